/**
 * Writes pod statuses to the API server: one writer per pod, the newest status wins, the same status is written once.
 * A write that fails is tried again until it succeeds or the pod is gone; nobody waits for it but `flush`. A condition of
 * ours that somebody else changed since (the node lifecycle controller, while the node was silent) is written again.
 */
import type { JsonObject, KubeObject } from '../../control/api/contract.ts';
import { type ApiClient, isConflict, isNotFound, resources } from '../../control/client/index.ts';
import { type Clock, pause } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';

interface Slot {
  readonly pod: KubeObject;
  wanted: JsonObject;
  /** JSON of the status last written. */
  written: string;
  /** The pod's resourceVersion that this write made. */
  writtenVersion: string;
  isWriting: boolean;
  /** The API server knows no such pod any more. */
  isGone: boolean;
  readonly waiters: (() => void)[];
}

const retryInitialMs = 500;
const retryMaxMs = 10_000;

export class StatusManager {
  readonly #client: ApiClient;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  readonly #slots = new Map<string, Slot>();

  constructor(options: { client: ApiClient; clock: Clock; log: Log; signal: AbortSignal }) {
    this.#client = options.client;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#signal = options.signal;
  }

  /** Takes the status to be written; returns at once. */
  set(pod: KubeObject, status: JsonObject): void {
    const uid = pod.metadata.uid;
    let slot = this.#slots.get(uid);
    if (slot === undefined) {
      slot = { pod, wanted: status, written: '', writtenVersion: '', isWriting: false, isGone: false, waiters: [] };
      this.#slots.set(uid, slot);
    }
    slot.wanted = status;
    if (isChangedByOthers(pod, slot)) slot.written = '';
    if (!slot.isWriting && JSON.stringify(status) !== slot.written) void this.#write(slot);
  }

  /** Resolves when the newest status is written, or the pod is gone. */
  flush(podUid: string): Promise<void> {
    const slot = this.#slots.get(podUid);
    if (slot === undefined || !slot.isWriting) return Promise.resolve();
    return new Promise((resolve) => slot.waiters.push(resolve));
  }

  remove(podUid: string): void {
    const slot = this.#slots.get(podUid);
    if (slot !== undefined) slot.isGone = true;
    this.#slots.delete(podUid);
  }

  async #write(slot: Slot): Promise<void> {
    slot.isWriting = true;
    let delayMs = retryInitialMs;
    while (!slot.isGone && !this.#signal.aborted) {
      const status = slot.wanted;
      const text = JSON.stringify(status);
      if (text === slot.written) break;
      try {
        const pod = await this.#patch(slot.pod, status);
        slot.written = text;
        slot.writtenVersion = pod.metadata.resourceVersion ?? '';
        delayMs = retryInitialMs;
      } catch (error) {
        if (isNotFound(error) || isConflict(error)) {
          // Gone, or another pod of the same name: the uid in the patch did not fit.
          slot.isGone = true;
          break;
        }
        this.#log.warn('pod status not written', {
          pod: slot.pod.metadata.name,
          namespace: slot.pod.metadata.namespace,
          error: errorText(error),
        });
        await pause(this.#clock, delayMs, this.#signal);
        delayMs = Math.min(delayMs * 2, retryMaxMs);
      }
    }
    slot.isWriting = false;
    for (const waiter of slot.waiters.splice(0)) waiter();
  }

  async #patch(pod: KubeObject, status: JsonObject): Promise<KubeObject> {
    const { namespace = '', name, uid } = pod.metadata;
    const body = { metadata: { uid }, status: withDeletedIps(pod, status) };
    return await this.#client.patch(
      resources.pods,
      namespace,
      name,
      { type: 'strategic', body },
      { subresource: 'status', fieldManager: 'kubelet' },
    );
  }
}

/** A copy as old as our own write, or older, says nothing of what came after it. */
function isChangedByOthers(pod: KubeObject, slot: Slot): boolean {
  if (slot.written === '' || !isNewer(pod.metadata.resourceVersion ?? '', slot.writtenVersion)) return false;
  const seen = (pod.status?.conditions ?? []) as JsonObject[];
  const own = (slot.wanted.conditions ?? []) as JsonObject[];
  return own.some((each) => seen.find((other) => other.type === each.type)?.status !== each.status);
}

/** Resource versions are decimal numbers without leading zeros, of any length. */
function isNewer(version: string, than: string): boolean {
  return version.length > than.length || (version.length === than.length && version > than);
}

/** Addresses merge by value in a strategic patch: one that is no longer the pod's must be taken out by name. */
function withDeletedIps(pod: KubeObject, status: JsonObject): JsonObject {
  const wanted = ((status.podIPs ?? []) as { ip: string }[]).map((each) => each.ip);
  const known = ((pod.status?.podIPs ?? []) as { ip: string }[]).map((each) => each.ip);
  const deleted = known.filter((ip) => !wanted.includes(ip)).map((ip) => ({ ip, $patch: 'delete' }));
  if (deleted.length === 0 || wanted.length === 0) return status;
  return { ...status, podIPs: [...deleted, ...status.podIPs] };
}
