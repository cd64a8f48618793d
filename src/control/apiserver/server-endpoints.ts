/**
 * The live API servers behind the `kubernetes` Service. Each server keeps a key of its own alive by a store lease; every
 * server reconciles Endpoints and EndpointSlice from the keys that are there, so a dead one drops out after its lease.
 */
import type { Cancel, Clock } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { KvClient, LeaseId } from '../../kv/index.ts';
import { bytesOf, textOf } from '../storage/index.ts';
import { prefixEnd } from '../storage/keys.ts';
import type { RequestContext } from './core.ts';
import { type JsonObject, type KubeObject, resourceSchema, StatusError } from './kinds.ts';
import { createObject, updateObject } from './registry.ts';

const keyPrefix = '/registry/masterleases/';
/** Upstream's: long enough for a store election, short enough that clients soon lose a dead server. */
const leaseSeconds = 15;
const periodMs = 5_000;

export interface ServerEndpointsOptions {
  readonly kv: KvClient;
  readonly clock: Clock;
  readonly log: Log;
  /** Acts as a system:masters user. */
  readonly context: RequestContext;
  readonly advertiseAddress: string;
  readonly securePort: number;
}

export class ServerEndpoints {
  readonly #options: ServerEndpointsOptions;
  #lease: LeaseId | undefined;
  #cancel: Cancel | undefined;
  #isRunning = false;
  constructor(options: ServerEndpointsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#cancel = this.#options.clock.every(periodMs, () => this.#tick());
    this.#tick();
  }

  /** Leaves the list, so that clients stop coming before the server is gone. */
  async stop(): Promise<void> {
    this.#cancel?.();
    if (this.#lease === undefined) return;
    await this.#options.kv.leaseRevoke(this.#lease, { timeoutMs: 1000 });
    await this.#publish(await this.#liveAddresses());
  }

  #tick(): void {
    // A slow store must not pile up ticks.
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#reconcile()
      .catch((error: unknown) => {
        this.#options.log.warn('cannot reconcile the endpoints of the API servers', { error: errorText(error) });
      })
      .finally(() => {
        this.#isRunning = false;
      });
  }

  async #reconcile(): Promise<void> {
    await this.#keepAlive();
    let addresses = await this.#liveAddresses();
    if (!addresses.includes(this.#options.advertiseAddress)) {
      // Somebody removed the key; without it nobody would send requests here.
      await this.#announce();
      addresses = await this.#liveAddresses();
    }
    await this.#publish(addresses);
  }

  async #keepAlive(): Promise<void> {
    const { kv } = this.#options;
    if (this.#lease !== undefined) {
      const left = await kv.leaseKeepAliveOnce(this.#lease).catch(() => 0);
      if (left > 0) return;
    }
    await this.#announce();
  }

  async #announce(): Promise<void> {
    const { kv, advertiseAddress } = this.#options;
    const lease = await kv.leaseGrant(leaseSeconds);
    await kv.put({ key: bytesOf(keyPrefix + advertiseAddress), value: bytesOf(advertiseAddress), lease });
    this.#lease = lease;
  }

  async #liveAddresses(): Promise<string[]> {
    const found = await this.#options.kv.range({ key: bytesOf(keyPrefix), rangeEnd: prefixEnd(keyPrefix) });
    return found.kvs.map((item) => textOf(item.value)).sort();
  }

  async #publish(addresses: readonly string[]): Promise<void> {
    const { securePort } = this.#options;
    const port = { name: 'https', port: securePort, protocol: 'TCP' };
    await this.#ensure('v1', 'endpoints', {
      kind: 'Endpoints',
      metadata: { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
      subsets: addresses.length === 0 ? [] : [{ addresses: addresses.map((ip) => ({ ip })), ports: [port] }],
    });
    await this.#ensure('discovery.k8s.io/v1', 'endpointslices', {
      kind: 'EndpointSlice',
      metadata: { labels: { 'kubernetes.io/service-name': 'kubernetes' } },
      addressType: 'IPv4',
      endpoints: addresses.map((ip) => ({ addresses: [ip], conditions: { ready: true } })),
      ports: [port],
    });
  }

  async #ensure(apiVersion: string, resource: string, content: JsonObject): Promise<void> {
    const { context } = this.#options;
    const schema = resourceSchema(apiVersion, resource);
    const metadata = { ...content['metadata'], name: 'kubernetes', namespace: 'default' };
    const wanted = { apiVersion, ...content, metadata } as KubeObject;
    const update = () =>
      updateObject(context, {
        resource: schema,
        namespace: 'default',
        name: 'kubernetes',
        subresource: '',
        options: { dryRun: false },
        transform: (current) => ({
          ...wanted,
          metadata: { ...current.metadata, labels: { ...current.metadata.labels, ...metadata.labels } },
        }),
      });
    try {
      await update();
    } catch (error) {
      if (!(error instanceof StatusError) || error.reason !== 'NotFound') throw error;
      try {
        await createObject(context, schema, structuredClone(wanted), { dryRun: false });
      } catch (failure) {
        if (!(failure instanceof StatusError) || failure.reason !== 'AlreadyExists') throw failure;
        await update();
      }
    }
  }
}
