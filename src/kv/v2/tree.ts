/**
 * The tree of etcd's first API over today's keys: looks, decides, and writes with a comparison of what it has seen, again
 * when somebody else was quicker.
 */
import { type Compare, type LeaseId, noBytes, putRequest, rangeRequest, type RequestOp } from '../api.ts';
import type { From } from '../server/auth-contract.ts';
import type { KvServer } from '../server/contract.ts';
import { V2Error } from './errors.ts';
import { ancestorsOf, encodeRecord, keyOf, nodeOf, rangeUnder, type V2Node, type WriteAction } from './records.ts';

/** Others may be quicker a few times, not for ever. */
const attemptsMax = 32;

export interface SetRequest {
  readonly path: string;
  /** undefined: a directory. */
  readonly value: string | undefined;
  /** 0 = lasts. */
  readonly ttlSeconds: number;
  readonly prevExist?: boolean;
  readonly prevValue?: string;
  readonly prevIndex?: number;
  /** Only the time to live changes. */
  readonly isRefresh?: boolean;
}

export interface DeleteRequest {
  readonly path: string;
  readonly isDirectory: boolean;
  readonly isRecursive: boolean;
  readonly prevValue?: string;
  readonly prevIndex?: number;
}

export interface Change {
  readonly action: string;
  readonly node: V2Node;
  readonly prevNode: V2Node | undefined;
  /** The store's revision after it. */
  readonly index: number;
}

export interface Listing {
  /** Undefined for the root. */
  readonly node: V2Node | undefined;
  /** Everything under a directory, in order of the paths. */
  readonly under: readonly V2Node[];
  readonly index: number;
}

export class V2Tree {
  readonly #server: KvServer;
  readonly #from: From;

  constructor(server: KvServer, from: From) {
    this.#server = server;
    this.#from = from;
  }

  async get(path: string, isQuorum: boolean): Promise<Listing> {
    const serializable = !isQuorum;
    if (path !== '/') {
      const { nodes, index } = await this.#look([...ancestorsOf(path), path], serializable);
      const node = this.#reachable(path, nodes);
      if (!node) throw new V2Error('keyNotFound', firstMissing(path, nodes));
      if (!node.isDirectory) return { node, under: [], index };
      return { node, ...(await this.#under(path, serializable)) };
    }
    return { node: undefined, ...(await this.#under(path, serializable)) };
  }

  async set(request: SetRequest): Promise<Change> {
    const { path } = request;
    if (path === '/') throw new V2Error('rootReadOnly', '/');
    await this.#makeDirectories(path, request.prevExist === true || hasComparison(request));
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const { nodes } = await this.#look([...ancestorsOf(path), path], false);
      const before = this.#reachable(path, nodes);
      const action = checkedAction(request, before);
      const isKeptDirectory = before?.isDirectory === true && action === 'update';
      const kept = isKeptDirectory ? undefined : before?.value;
      const value = request.isRefresh === true || isKeptDirectory ? kept : request.value;
      const lease = await this.#leaseFor(request.ttlSeconds);
      // What is swapped or updated is as old as it was; what is set anew begins now.
      const createdIndex = action === 'update' || action === 'compareAndSwap' ? (before?.createdIndex ?? 0) : 0;
      const record = encodeRecord(action, value, createdIndex);
      const put: RequestOp = { kind: 'put', request: putRequest({ key: keyOf(path), value: record, lease }) };
      const compare = [unchanged(path, before), ...ancestorsOf(path).map(exists)];
      const { succeeded, revision } = await this.#server.txn({ compare, success: [put], failure: [] }, this.#from);
      if (!succeeded) continue;
      const node: V2Node = {
        path,
        isDirectory: value === undefined,
        value: value ?? '',
        action,
        createdIndex: createdIndex || revision,
        modifiedIndex: revision,
        lease,
      };
      return { action, node, prevNode: before, index: revision };
    }
    throw new V2Error('raftInternal', `${path} changes too often`);
  }

  async delete(request: DeleteRequest): Promise<Change> {
    const { path } = request;
    if (path === '/') throw new V2Error('rootReadOnly', '/');
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const { nodes } = await this.#look([...ancestorsOf(path), path], false);
      const before = this.#reachable(path, nodes);
      if (!before) throw new V2Error('keyNotFound', firstMissing(path, nodes));
      if (before.isDirectory) await this.#checkDirectoryGoes(request);
      const isCompared = hasComparison(request);
      if (isCompared) checkSame(request, before);
      const remove: RequestOp[] = [
        { kind: 'deleteRange', request: { key: keyOf(path), rangeEnd: noBytes, prevKv: false } },
      ];
      if (before.isDirectory) remove.push({ kind: 'deleteRange', request: { ...rangeUnder(path), prevKv: false } });
      const compare = [unchanged(path, before)];
      const { succeeded, revision } = await this.#server.txn({ compare, success: remove, failure: [] }, this.#from);
      if (!succeeded) continue;
      const node = { ...before, value: '', modifiedIndex: revision };
      return { action: isCompared ? 'compareAndDelete' : 'delete', node, prevNode: before, index: revision };
    }
    throw new V2Error('raftInternal', `${path} changes too often`);
  }

  /** Seconds that remain of a node's lease. */
  async ttlSeconds(lease: LeaseId): Promise<number | undefined> {
    if (lease === 0n) return undefined;
    const never = new AbortController().signal;
    const { ttlSeconds } = await this.#server.leaseTimeToLive(lease, false, never, this.#from);
    return Math.max(0, ttlSeconds);
  }

  async #checkDirectoryGoes({ path, isDirectory, isRecursive }: DeleteRequest): Promise<void> {
    if (isRecursive) return;
    if (!isDirectory) throw new V2Error('notFile', path);
    const { under } = await this.#under(path, false);
    if (under.length > 0) throw new V2Error('directoryNotEmpty', path);
  }

  /** The nodes at these paths that are there, by path. */
  async #look(
    paths: readonly string[],
    serializable: boolean,
  ): Promise<{ readonly nodes: ReadonlyMap<string, V2Node>; readonly index: number }> {
    const success = paths.map((path): RequestOp => {
      return { kind: 'range', request: rangeRequest({ key: keyOf(path), serializable }) };
    });
    const { responses, revision } = await this.#server.txn({ compare: [], success, failure: [] }, this.#from);
    const kvs = responses.flatMap((answer) => (answer.kind === 'range' ? answer.response.kvs : []));
    return { nodes: new Map(kvs.map(nodeOf).map((node) => [node.path, node])), index: revision };
  }

  /** The node, when all directories above it are there. Throws when one of them is a file. */
  #reachable(path: string, nodes: ReadonlyMap<string, V2Node>): V2Node | undefined {
    for (const ancestor of ancestorsOf(path)) {
      const node = nodes.get(ancestor);
      if (!node) return undefined;
      if (!node.isDirectory) throw new V2Error('notDirectory', ancestor);
    }
    return nodes.get(path);
  }

  /** Without nodes that begin with `_`, which listings hide, and without what a vanished directory has left behind. */
  async #under(path: string, serializable: boolean): Promise<Pick<Listing, 'under' | 'index'>> {
    const { kvs, revision } = await this.#server.range(rangeRequest({ ...rangeUnder(path), serializable }), this.#from);
    const nodes = kvs.map(nodeOf);
    const directories = new Set(nodes.filter((node) => node.isDirectory).map((node) => node.path));
    const isShown = (node: V2Node) =>
      ancestorsOf(node.path).every((above) => above.length <= path.length || directories.has(above)) &&
      !node.path
        .slice(path === '/' ? 1 : path.length + 1)
        .split('/')
        .some((part) => part.startsWith('_'));
    return { under: nodes.filter(isShown), index: revision };
  }

  /** Makes what is missing above, one by one; `isOnlyLooked`: the node must be there already, so nothing is made. */
  async #makeDirectories(path: string, isOnlyLooked: boolean): Promise<void> {
    if (isOnlyLooked) return;
    for (const ancestor of ancestorsOf(path)) {
      const { nodes } = await this.#look([ancestor], true);
      const node = nodes.get(ancestor);
      if (node?.isDirectory) continue;
      if (node) throw new V2Error('notDirectory', ancestor);
      const clear: RequestOp = { kind: 'deleteRange', request: { ...rangeUnder(ancestor), prevKv: false } };
      const put: RequestOp = {
        kind: 'put',
        request: putRequest({ key: keyOf(ancestor), value: encodeRecord('set', undefined) }),
      };
      await this.#server.txn(
        { compare: [unchanged(ancestor, undefined)], success: [clear, put], failure: [] },
        this.#from,
      );
    }
  }

  async #leaseFor(ttlSeconds: number): Promise<LeaseId> {
    return ttlSeconds > 0 ? (await this.#server.leaseGrant(0n, ttlSeconds, this.#from)).id : 0n;
  }
}

function hasComparison(request: { readonly prevValue?: string; readonly prevIndex?: number }): boolean {
  return request.prevValue !== undefined || request.prevIndex !== undefined;
}

/** What the write is called, or why it is refused. */
function checkedAction(request: SetRequest, before: V2Node | undefined): WriteAction {
  const { path, prevExist, value } = request;
  if (hasComparison(request)) {
    if (!before) throw new V2Error('keyNotFound', path);
    if (before.isDirectory) throw new V2Error('notFile', path);
    checkSame(request, before);
    return 'compareAndSwap';
  }
  if (prevExist === true) {
    if (!before) throw new V2Error('keyNotFound', path);
    if (before.isDirectory && value !== undefined && value !== '') throw new V2Error('notFile', path);
    return 'update';
  }
  if (prevExist === false && before) throw new V2Error('keyExists', path);
  if (before?.isDirectory) throw new V2Error('notFile', path);
  return prevExist === false ? 'create' : 'set';
}

function checkSame(request: { readonly prevValue?: string; readonly prevIndex?: number }, before: V2Node): void {
  const { prevValue, prevIndex } = request;
  const differences: string[] = [];
  if (prevValue !== undefined && prevValue !== before.value) differences.push(`[${prevValue} != ${before.value}]`);
  if (prevIndex !== undefined && prevIndex !== before.modifiedIndex) {
    differences.push(`[${prevIndex} != ${before.modifiedIndex}]`);
  }
  if (differences.length > 0) throw new V2Error('compareFailed', differences.join(' '));
}

function unchanged(path: string, before: V2Node | undefined): Compare {
  return {
    key: keyOf(path),
    rangeEnd: noBytes,
    result: 'equal',
    target: { kind: 'mod', value: before?.modifiedIndex ?? 0 },
  };
}

function exists(path: string): Compare {
  return { key: keyOf(path), rangeEnd: noBytes, result: 'greater', target: { kind: 'create', value: 0 } };
}

/** etcd names the first part of the path that is not there. */
function firstMissing(path: string, nodes: ReadonlyMap<string, V2Node>): string {
  return ancestorsOf(path).find((ancestor) => !nodes.has(ancestor)) ?? path;
}
