/**
 * Taking turns over keys of the store, for elections and locks: whoever wants the turn makes a key under the common prefix,
 * named after its lease, and the oldest key has the turn. A key goes with its lease, so nobody holds the turn for ever.
 *
 *   jobs/694d…1a  created at 12   has the turn
 *   jobs/694d…2c  created at 15   waits for the one made at 12 to go
 *   jobs/694d…07  created at 21   waits for the one made at 15, and looks again then
 *
 * Each waits only for the youngest key that is older than its own, so that one key's end wakes one caller.
 */
import { assert, present } from '../../env/assert.ts';
import {
  type Bytes,
  type Compare,
  type KeyValue,
  type LeaseId,
  noBytes,
  putRequest,
  rangeRequest,
  type RequestOp,
  type ResponseOp,
  type WatchRequest,
} from '../api.ts';
import { KvError } from '../errors.ts';
import type { Watcher, WatchSink } from '../mvcc/contract.ts';
import type { From } from '../server/auth-contract.ts';
import type { KvServer } from '../server/contract.ts';

/** A caller that brings no lease gets one for this long, as from etcd. */
const leaseSecondsDefault = 60;
const slash = 0x2f;

/** A place in the queue. */
export interface Turn {
  readonly key: Bytes;
  readonly lease: LeaseId;
  /** The key's create revision. */
  readonly revision: number;
  /** Of the answer that it was taken with. */
  readonly answerRevision: number;
  /** The value of a key that was there before, by an earlier call with the same lease. */
  readonly found: Bytes | undefined;
}

export class Turns {
  readonly #server: KvServer;
  readonly #from: From;

  constructor(server: KvServer, from: From) {
    this.#server = server;
    this.#from = from;
  }

  /** The lease to hold a turn by: the caller's, renewed once, or a new one. */
  async lease(wanted: LeaseId, signal: AbortSignal): Promise<LeaseId> {
    if (wanted === 0n) return (await this.#server.leaseGrant(0n, leaseSecondsDefault, this.#from)).id;
    // A lease that is gone is found out when its key is made.
    await this.#server.leaseKeepAlive(wanted, signal, this.#from);
    return wanted;
  }

  /** Queues up under the prefix; who is there already by this lease keeps its place. */
  async take(prefix: Bytes, lease: LeaseId, value: Bytes): Promise<Turn> {
    const key = turnKey(prefix, lease);
    const put: RequestOp = { kind: 'put', request: putRequest({ key, value, lease }) };
    const get: RequestOp = { kind: 'range', request: rangeRequest({ key }) };
    const answer = await this.#server.txn({ compare: [createdAt(key, 0)], success: [put], failure: [get] }, this.#from);
    const { revision } = answer;
    if (answer.succeeded) return { key, lease, revision, answerRevision: revision, found: undefined };
    const kv = present(keysOf(answer.responses[0])[0], 'the key that kept another from being made');
    return { key, lease, revision: kv.createRevision, answerRevision: revision, found: kv.value };
  }

  /** Resolves when no key under the prefix is older than `revision`. */
  async untilOldest(prefix: Bytes, revision: number, signal: AbortSignal): Promise<void> {
    assert(revision > 1, 'a key is made at a revision of its own');
    for (;;) {
      signal.throwIfAborted();
      const older = await this.#server.range(
        rangeRequest({
          key: prefix,
          rangeEnd: prefixEndOf(prefix),
          sortTarget: 'create',
          sortOrder: 'descend',
          maxCreateRevision: revision - 1,
          limit: 1,
        }),
        this.#from,
      );
      const [last] = older.kvs;
      if (!last) return;
      await this.#untilDeleted(last.key, older.revision + 1, signal);
    }
  }

  /** The oldest key under the prefix, and the revision this was seen at. */
  async oldest(prefix: Bytes): Promise<{ readonly kv: KeyValue | undefined; readonly revision: number }> {
    const { kvs, revision } = await this.#server.range(
      rangeRequest({ key: prefix, rangeEnd: prefixEndOf(prefix), sortTarget: 'create', sortOrder: 'ascend', limit: 1 }),
      this.#from,
    );
    return { kv: kvs[0], revision };
  }

  /** A new value for the key of a turn; undefined when the turn is over, else the revision. */
  async replace(turn: Pick<Turn, 'key' | 'lease' | 'revision'>, value: Bytes): Promise<number | undefined> {
    const put: RequestOp = { kind: 'put', request: putRequest({ key: turn.key, value, lease: turn.lease }) };
    const compare = [createdAt(turn.key, turn.revision)];
    const answer = await this.#server.txn({ compare, success: [put], failure: [] }, this.#from);
    return answer.succeeded ? answer.revision : undefined;
  }

  /** Gives the turn, or the place in the queue, up. Nothing happens when it is over already. */
  async leave(turn: Pick<Turn, 'key' | 'revision'>): Promise<number> {
    const remove: RequestOp = { kind: 'deleteRange', request: { key: turn.key, rangeEnd: noBytes, prevKv: false } };
    const compare = [createdAt(turn.key, turn.revision)];
    return (await this.#server.txn({ compare, success: [remove], failure: [] }, this.#from)).revision;
  }

  /** Undefined when the key is gone, else the revision at which it was there. */
  async isHeld(key: Bytes): Promise<number | undefined> {
    const { kvs, revision } = await this.#server.range(rangeRequest({ key }), this.#from);
    return kvs.length > 0 ? revision : undefined;
  }

  /** Rejects when the caller may not read what it wants to watch. */
  async watch(request: WatchRequest, sink: WatchSink): Promise<Watcher> {
    const refusal = await this.#server.watchRefusal(request, this.#from);
    if (refusal !== undefined) throw new KvError(refusal);
    return this.#server.watch(request, sink);
  }

  async #untilDeleted(key: Bytes, startRevision: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    let watcher: Watcher | undefined;
    try {
      watcher = await this.watch(keyWatch(key, startRevision), {
        events: (events) => {
          if (events.some((event) => event.type === 'delete')) resolve();
          return true;
        },
        // Whether it is gone is seen by looking again.
        compacted: () => resolve(),
      });
      signal.throwIfAborted();
      await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
      watcher?.cancel();
    }
  }
}

/** What is watched: one key, puts and deletions. */
export function keyWatch(key: Bytes, startRevision: number): WatchRequest {
  return { key, rangeEnd: noBytes, startRevision, prevKv: false, noPut: false, noDelete: false };
}

/** `name/`: the prefix of the keys that take turns under a name. */
export function prefixOf(name: Bytes): Bytes {
  return Buffer.concat([name, Buffer.of(slash)]);
}

/** The end of the interval of all keys under a prefix. */
export function prefixEndOf(prefix: Bytes): Bytes {
  assert(prefix.at(-1) === slash, 'a prefix of turns ends with a slash');
  return Buffer.concat([prefix.subarray(0, -1), Buffer.of(slash + 1)]);
}

/** Lease ids are written as etcd's clients write them, so that `etcdctl lock` and the service queue up together. */
function turnKey(prefix: Bytes, lease: LeaseId): Bytes {
  return Buffer.concat([prefix, Buffer.from(lease.toString(16))]);
}

function createdAt(key: Bytes, revision: number): Compare {
  return { key, rangeEnd: noBytes, result: 'equal', target: { kind: 'create', value: revision } };
}

function keysOf(response: ResponseOp | undefined): readonly KeyValue[] {
  assert(response?.kind === 'range', 'a range is answered as a range');
  return response.response.kvs;
}
