/**
 * Objects over the store: create, read, compare-and-swap update, delete and lists of a snapshot. The only door to keys
 * and revisions, together with the watch cache.
 *
 * Promises: an update or deletion happens only on the state that was decided on (modRevision is compared in the same
 * transaction). Errors of the store pass through as they are; the edge maps them. A write whose answer was lost is not
 * repeated: the caller learns of the error and must read to find out.
 */
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import {
  type KeyValue,
  type KvClient,
  type LeaseId,
  noBytes,
  putRequest,
  type RequestOp,
  rangeRequest,
} from '../../kv/index.ts';
import type { KubeObject } from '../api/contract.ts';
import { bytesOf, prefixEnd, prefixOf, storeKey, textOf } from './keys.ts';
import { decodeStored, encodeStored, type StoredObject } from './stored-object.ts';
import type { WatchCache } from './watch-cache.ts';

/** A key under such contention that this many rounds fail is a bug of some client; upstream would loop until its deadline. */
const attemptsMax = 64;

export interface ObjectRef {
  readonly storagePrefix: string;
  /** Short key: `<namespace>/<name>` or `<name>`. */
  readonly key: string;
}

export type Change =
  | { readonly kind: 'put'; readonly object: KubeObject }
  | { readonly kind: 'delete' }
  /** Leave it as it is. */
  | { readonly kind: 'none' };

export type UpdateOutcome =
  | { readonly kind: 'missing' }
  | { readonly kind: 'put'; readonly before: StoredObject; readonly after: StoredObject }
  /** `revision` is the deletion's. */
  | { readonly kind: 'deleted'; readonly before: StoredObject; readonly revision: number }
  | { readonly kind: 'unchanged'; readonly before: StoredObject };

export interface Page {
  readonly objects: readonly StoredObject[];
  /** Revision of the snapshot the page is from. */
  readonly revision: number;
  /** Objects after this page. */
  readonly remaining: number;
}

export interface ObjectStorageOptions {
  readonly kv: KvClient;
  readonly cache: WatchCache;
  /** Of one call to the store. */
  readonly timeoutMs: number;
}

export class ObjectStorage {
  readonly #kv: KvClient;
  readonly #cache: WatchCache;
  readonly #timeoutMs: number;

  constructor(options: ObjectStorageOptions) {
    this.#kv = options.kv;
    this.#cache = options.cache;
    this.#timeoutMs = options.timeoutMs;
  }

  /** The stored object, or `exists` when the name is taken. */
  async create(ref: ObjectRef, object: KubeObject, lease: LeaseId = 0n): Promise<StoredObject | 'exists'> {
    const key = storeKey(ref.storagePrefix, ref.key);
    const value = encodeStored(object);
    const result = await this.#kv.txn(
      {
        compare: [{ key, rangeEnd: noBytes, result: 'equal', target: { kind: 'mod', value: 0 } }],
        success: [{ kind: 'put', request: putRequest({ key, value, lease }) }],
        failure: [],
      },
      { timeoutMs: this.#timeoutMs },
    );
    if (!result.succeeded) return 'exists';
    return asStored(ref.key, object, result.revision);
  }

  /** The newest state, by a linearizable read. The state of the cache is returned when it is the same. */
  async get(ref: ObjectRef): Promise<StoredObject | undefined> {
    const result = await this.#kv.range(
      { key: storeKey(ref.storagePrefix, ref.key), limit: 1 },
      { timeoutMs: this.#timeoutMs },
    );
    const kv = result.kvs[0];
    return kv === undefined ? undefined : this.#decode(ref, kv);
  }

  #decode(ref: ObjectRef, kv: KeyValue): StoredObject {
    const cached = this.#cache.resource(ref.storagePrefix).get(ref.key);
    return cached !== undefined && cached.revision === kv.modRevision ? cached : decodeStored(ref.key, kv);
  }

  /**
   * Calls `decide` with the current state (a copy that it may change) until its change could be made on exactly that
   * state. The first try takes the cache's state and costs no read; when `decide` throws on it, it is asked again with
   * the newest one, so that a stale cache never makes an error.
   */
  async update(
    ref: ObjectRef,
    decide: (current: KubeObject, stored: StoredObject) => Change | Promise<Change>,
    lease: LeaseId = 0n,
  ): Promise<UpdateOutcome> {
    const key = storeKey(ref.storagePrefix, ref.key);
    let current: StoredObject | undefined = this.#cache.resource(ref.storagePrefix).get(ref.key);
    let isFresh = false;
    if (current === undefined) {
      current = await this.get(ref);
      isFresh = true;
    }
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      if (current === undefined) return { kind: 'missing' };
      const before: StoredObject = current;
      let change: Change;
      try {
        change = await decide(structuredClone(before.object), before);
      } catch (error) {
        if (isFresh) throw error;
        current = await this.get(ref);
        isFresh = true;
        if (current?.revision === before.revision) throw error;
        continue;
      }
      if (change.kind === 'none') {
        if (isFresh) return { kind: 'unchanged', before };
        current = await this.get(ref);
        isFresh = true;
        if (current?.revision === before.revision) return { kind: 'unchanged', before };
        continue;
      }
      const operation: RequestOp =
        change.kind === 'delete'
          ? { kind: 'deleteRange', request: { key, rangeEnd: noBytes, prevKv: false } }
          : { kind: 'put', request: putRequest({ key, value: encodeStored(change.object), lease }) };
      const result = await this.#kv.txn(
        {
          compare: [{ key, rangeEnd: noBytes, result: 'equal', target: { kind: 'mod', value: before.revision } }],
          success: [operation],
          failure: [{ kind: 'range', request: rangeRequest({ key }) }],
        },
        { timeoutMs: this.#timeoutMs },
      );
      if (result.succeeded) {
        assert(result.revision > before.revision, 'a write must raise the revision');
        return change.kind === 'delete'
          ? { kind: 'deleted', before, revision: result.revision }
          : { kind: 'put', before, after: asStored(ref.key, change.object, result.revision) };
      }
      const answer = result.responses[0];
      assert(answer?.kind === 'range', 'a failed compare must answer with the current state');
      const kv = answer.response.kvs[0];
      current = kv === undefined ? undefined : decodeStored(ref.key, kv);
      isFresh = true;
    }
    throw new KeelsonError(
      'TOO_MUCH_CONTENTION',
      `cannot update ${ref.storagePrefix} ${ref.key}: it changed ${attemptsMax} times meanwhile; try again`,
    );
  }

  /** Objects of a snapshot straight from the store. `revision` 0 = the newest. Rejects with `compacted` when it is gone. */
  async page(
    storagePrefix: string,
    options: {
      readonly namespace?: string;
      readonly after?: string;
      readonly limit: number;
      readonly revision: number;
    },
  ): Promise<Page> {
    const prefix = prefixOf(storagePrefix) + (options.namespace === undefined ? '' : `${options.namespace}/`);
    const start =
      options.after === undefined ? bytesOf(prefix) : bytesOf(`${prefixOf(storagePrefix)}${options.after}\0`);
    const result = await this.#kv.range(
      { key: start, rangeEnd: prefixEnd(prefix), limit: options.limit, revision: options.revision },
      { timeoutMs: this.#timeoutMs },
    );
    const skip = prefixOf(storagePrefix).length;
    const objects = result.kvs.map((kv) => this.#decode({ storagePrefix, key: textOf(kv.key).slice(skip) }, kv));
    return {
      objects,
      revision: options.revision === 0 ? result.revision : options.revision,
      remaining: result.more ? Math.max(0, result.count - result.kvs.length) : 0,
    };
  }
}

/** What the store holds after writing `object` at `revision`, without reading it back. */
function asStored(key: string, object: KubeObject, revision: number): StoredObject {
  assert(revision > 0, 'a write must have a revision');
  return {
    key,
    object: { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } },
    revision,
  };
}
