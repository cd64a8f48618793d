/**
 * Keeps the Node object right: registers it, posts its status when something changed and at least every five minutes,
 * and gives the pod CIDR that the control plane chose.
 */
import type { JsonObject, KubeObject } from '../../control/api/contract.ts';
import { type ApiClient, isAlreadyExists, isNotFound, resources } from '../../control/client/index.ts';
import { type Clock, pause, sleep } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { Cri, Image, RuntimeStatus, RuntimeVersion } from '../cri/cri.ts';
import {
  hasStatusChanged,
  type MachineFacts,
  type NodeIdentity,
  newNode,
  nodeLabels,
  nodeStatus,
  type StatusFacts,
} from './node-object.ts';

export interface NodeRegistrationOptions {
  readonly client: ApiClient;
  readonly cri: Cri;
  readonly clock: Clock;
  readonly log: Log;
  readonly identity: NodeIdentity;
  readonly machine: () => Promise<MachineFacts>;
  readonly statusPeriodMs: number;
  readonly signal: AbortSignal;
}

const retryMs = 1000;
const reportAtLeastEveryMs = 300_000;
const callTimeoutMs = 10_000;

export class NodeRegistration {
  readonly #options: NodeRegistrationOptions;
  #reported: JsonObject | undefined;
  #reportedAtMs = Number.NEGATIVE_INFINITY;
  #node: KubeObject | undefined;

  constructor(options: NodeRegistrationOptions) {
    this.#options = options;
  }

  /** The Node as last seen. */
  get node(): KubeObject | undefined {
    return this.#node;
  }

  /** Resolves when the Node exists; tries until then. */
  async register(): Promise<void> {
    const { clock, log, signal, identity } = this.#options;
    for (;;) {
      try {
        await this.#registerOnce();
        log.info('node registered', { node: identity.nodeName });
        return;
      } catch (error) {
        log.warn('node not registered', { node: identity.nodeName, error: errorText(error) });
        await sleep(clock, retryMs, signal);
      }
    }
  }

  /** Posts the status every period until the signal aborts. */
  async run(): Promise<void> {
    const { clock, log, signal, statusPeriodMs, identity } = this.#options;
    while (!signal.aborted) {
      let delayMs = statusPeriodMs;
      try {
        await this.#post();
        // A node that is not ready yet says so as soon as it is.
        if (!this.#isReady()) delayMs = Math.min(delayMs, retryMs);
      } catch (error) {
        log.warn('node status not written', { node: identity.nodeName, error: errorText(error) });
        delayMs = Math.min(delayMs, retryMs * 2);
      }
      await pause(clock, delayMs, signal);
    }
  }

  #isReady(): boolean {
    const conditions = (this.#reported?.conditions ?? []) as JsonObject[];
    return conditions.some((condition) => condition.type === 'Ready' && condition.status === 'True');
  }

  async #registerOnce(): Promise<void> {
    const { client, identity } = this.#options;
    const facts = await this.#facts();
    try {
      this.#node = await client.create(resources.nodes, newNode(identity, facts), { timeoutMs: callTimeoutMs });
      return;
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
    const existing = await client.get(resources.nodes, '', identity.nodeName, { timeoutMs: callTimeoutMs });
    this.#node = existing;
    const wanted = nodeLabels(identity, facts.machine);
    const known = existing.metadata.labels ?? {};
    if (Object.entries(wanted).every(([key, value]) => known[key] === value)) return;
    this.#node = await client.patch(resources.nodes, '', identity.nodeName, {
      type: 'merge',
      body: { metadata: { labels: wanted } },
    });
  }

  async #post(): Promise<void> {
    const { client, identity, clock } = this.#options;
    const facts = await this.#facts();
    const existing = await this.#get();
    this.#node = existing;
    const status = nodeStatus(identity, facts, existing);
    const isDue = clock.monotonicMs() - this.#reportedAtMs >= reportAtLeastEveryMs;
    if (!isDue && !hasStatusChanged(this.#reported, status) && this.#isStillReported(existing, status)) return;
    this.#node = await client.patch(
      resources.nodes,
      '',
      identity.nodeName,
      { type: 'strategic', body: { status: { ...status, addresses: withReplaced(existing, status) } } },
      { subresource: 'status', fieldManager: 'kubelet', timeoutMs: callTimeoutMs },
    );
    this.#reported = status;
    this.#reportedAtMs = clock.monotonicMs();
  }

  /** The control plane sets conditions to Unknown when it has not heard of us: then they are written again. */
  #isStillReported(existing: KubeObject, status: JsonObject): boolean {
    const known = (existing.status?.conditions ?? []) as JsonObject[];
    return ((status.conditions ?? []) as JsonObject[]).every(
      (condition) => known.find((each) => each.type === condition.type)?.status === condition.status,
    );
  }

  /** Someone may have deleted the Node while the agent runs: it is registered again. */
  async #get(): Promise<KubeObject> {
    const { client, identity } = this.#options;
    try {
      return await client.get(resources.nodes, '', identity.nodeName, { timeoutMs: callTimeoutMs });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await this.#registerOnce();
      return client.get(resources.nodes, '', identity.nodeName, { timeoutMs: callTimeoutMs });
    }
  }

  async #facts(): Promise<StatusFacts> {
    const { cri, clock, machine } = this.#options;
    let runtimeVersion: RuntimeVersion | undefined;
    let runtime: RuntimeStatus | undefined;
    let images: readonly Image[] = [];
    let runtimeError = '';
    try {
      [runtimeVersion, runtime, images] = await Promise.all([cri.version(), cri.status(), cri.listImages()]);
    } catch (error) {
      runtimeError = errorText(error);
    }
    return {
      machine: await machine(),
      runtimeVersion,
      runtime,
      runtimeError,
      images: images.map((image) => ({
        names: [...image.repoDigests, ...image.repoTags],
        sizeBytes: image.sizeBytes,
      })),
      nowMs: clock.wallMs(),
    };
  }
}

/** Addresses merge by type in a strategic patch; a type we no longer have is taken out. */
function withReplaced(existing: KubeObject, status: JsonObject): JsonObject[] {
  const wanted = status.addresses as JsonObject[];
  const known = (existing.status?.addresses ?? []) as JsonObject[];
  const gone = known.filter((address) => !wanted.some((each) => each.type === address.type));
  return [...gone.map(({ type }) => ({ type, $patch: 'delete' })), ...wanted];
}
