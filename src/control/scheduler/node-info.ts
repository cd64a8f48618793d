/** The scheduler's snapshot: each node with its pods and the sums that filters and scores ask for. No I/O. */
import { assert } from '../../env/assert.ts';
import type { JsonObject, KubeObject } from '../api/contract.ts';
import { addResources, requestsOf, resourcesOf, type Resources, scoredRequestsOf } from './pod-resources.ts';

export interface PodInfo {
  readonly pod: KubeObject;
  readonly requests: Resources;
  readonly ports: readonly string[];
}

export function podInfoOf(pod: KubeObject): PodInfo {
  const containers = [...(pod['spec'].containers ?? []), ...(pod['spec'].initContainers ?? [])] as JsonObject[];
  const ports = containers.flatMap((container) =>
    ((container['ports'] ?? []) as JsonObject[])
      .filter((port) => port['hostPort'])
      .map((port) => `${port['hostIP'] || '0.0.0.0'}|${port['protocol'] ?? 'TCP'}|${port['hostPort']}`),
  );
  return { pod, requests: requestsOf(pod), ports };
}

export class NodeInfo {
  readonly name: string;
  readonly node: KubeObject;
  readonly allocatable: Resources;
  readonly requested: Record<string, number> = {};
  readonly scored = { cpu: 0, memory: 0 };
  readonly pods = new Map<string, PodInfo>();

  constructor(node: KubeObject) {
    this.node = node;
    this.name = node.metadata.name;
    this.allocatable = resourcesOf(node['status']?.allocatable ?? node['status']?.capacity);
  }

  add(info: PodInfo): void {
    const { uid } = info.pod.metadata;
    assert(!this.pods.has(uid), () => `pod ${uid} must be on node ${this.name} once`);
    this.pods.set(uid, info);
    this.#count(info, 1);
  }

  remove(uid: string): void {
    const info = this.pods.get(uid);
    assert(info !== undefined, () => `pod ${uid} must be on node ${this.name}`);
    this.pods.delete(uid);
    this.#count(info, -1);
  }

  #count(info: PodInfo, sign: 1 | -1): void {
    addResources(this.requested, info.requests, sign);
    const scored = scoredRequestsOf(info.requests);
    this.scored.cpu += sign * scored.cpu;
    this.scored.memory += sign * scored.memory;
  }
}

export interface Snapshot {
  readonly nodes: readonly NodeInfo[];
}

/**
 * Nodes and pods as the informers tell them, plus the pods that were just placed and are not confirmed yet (assumed).
 * A pod counts exactly once, on the node it was last told or assumed to be on.
 */
export class SchedulerCache {
  readonly #nodes = new Map<string, NodeInfo>();
  /** Every pod with a node, also of nodes that are not known (yet). */
  readonly #pods = new Map<
    string,
    { readonly info: PodInfo; readonly nodeName: string; readonly isAssumed: boolean }
  >();

  setNode(name: string, node: KubeObject | undefined): void {
    this.#nodes.delete(name);
    if (node === undefined) return;
    const info = new NodeInfo(node);
    for (const entry of this.#pods.values()) if (entry.nodeName === name) info.add(entry.info);
    this.#nodes.set(name, info);
  }

  /** A pod as the API server has it. Without a node it says nothing about an assumption. */
  setPod(uid: string, pod: KubeObject | undefined): void {
    const nodeName: string | undefined = pod?.['spec']?.nodeName;
    const isDone = pod === undefined || pod['status']?.phase === 'Succeeded' || pod['status']?.phase === 'Failed';
    if (isDone) return this.#place(uid, undefined);
    if (nodeName) this.#place(uid, { info: podInfoOf(pod), nodeName, isAssumed: false });
  }

  assume(pod: KubeObject, nodeName: string): void {
    assert(this.#nodes.has(nodeName), () => `node ${nodeName} must be known`);
    this.#place(pod.metadata.uid, { info: podInfoOf(pod), nodeName, isAssumed: true });
  }

  /** Takes an assumption back; a confirmed pod stays. */
  forget(uid: string): void {
    if (this.#pods.get(uid)?.isAssumed) this.#place(uid, undefined);
  }

  forgetAll(): void {
    for (const [uid, entry] of this.#pods) if (entry.isAssumed) this.#place(uid, undefined);
  }

  isPlaced(uid: string): boolean {
    return this.#pods.has(uid);
  }

  /** Live view: valid until the next change, which is after the synchronous decision it is for. */
  snapshot(): Snapshot {
    return { nodes: [...this.#nodes.values()] };
  }

  #place(uid: string, next: { info: PodInfo; nodeName: string; isAssumed: boolean } | undefined): void {
    const before = this.#pods.get(uid);
    if (before !== undefined) {
      this.#nodes.get(before.nodeName)?.remove(uid);
      this.#pods.delete(uid);
    }
    if (next === undefined) return;
    this.#pods.set(uid, next);
    this.#nodes.get(next.nodeName)?.add(next.info);
  }
}
