/**
 * The live API servers behind the `kubernetes` Service. Each server renews its lease; every server reconciles Endpoints
 * and EndpointSlice from the leases that are there, so a dead one drops out when its own has run out.
 */
import type { Cancel, Clock } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { ServerLeases } from '../storage/index.ts';
import type { RequestContext } from './core.ts';
import { type JsonObject, type KubeObject, resourceSchema, StatusError } from './kinds.ts';
import { createObject, updateObject } from './registry.ts';

/** A third of a lease's time: one renewal may fail without the server being taken for dead. */
const periodMs = 5_000;

export interface ServerEndpointsOptions {
  readonly servers: ServerLeases;
  readonly clock: Clock;
  readonly log: Log;
  /** Acts as a system:masters user. */
  readonly context: RequestContext;
  readonly securePort: number;
}

export class ServerEndpoints {
  readonly #options: ServerEndpointsOptions;
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
    const left = await this.#options.servers.leave();
    if (left !== undefined) await this.#publish(left);
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
    await this.#publish(await this.#options.servers.renew());
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
