/**
 * Requests about keys on their way through one member:
 *
 *   write: check -> quota -> Proposer -> Raft -> StoreMachine -> Waiters -> answer
 *   read:  check -> LinearizableReader (or nothing, when serializable) -> KvState -> answer
 */
import { assert } from '../../env/assert.ts';
import type { DeleteRangeRequest, KvErrorCode, PutRequest, RangeRequest, RequestOp, TxnRequest } from '../api.ts';
import { isReadOnlyTxn, type KvState, validateOp } from '../apply/index.ts';
import { KvError } from '../errors.ts';
import type { Proposer } from './proposer.ts';
import type { LinearizableReader } from './reader.ts';
import type { Upkeep } from './upkeep.ts';

/** Estimated bytes that one write takes beyond key and value. */
export const writeOverheadBytes = 256;

export interface KeyRequestsOptions {
  readonly kv: KvState;
  readonly proposer: Proposer;
  readonly reader: LinearizableReader;
  readonly upkeep: Upkeep;
  readonly txnOpsMax: number;
  /** Throws KvError for the given error, and for a member that may not answer. */
  readonly check: (error: KvErrorCode | undefined) => void;
}

export class KeyRequests {
  /** Reads asked of this member; writes are counted where they are applied. */
  readonly counts = { ranges: 0, txns: 0 };
  readonly #options: KeyRequestsOptions;

  constructor(options: KeyRequestsOptions) {
    assert(options.txnOpsMax > 0, 'a transaction may hold something');
    this.#options = options;
  }

  async range(request: RangeRequest) {
    this.#options.check(validateOp({ kind: 'range', request }));
    this.counts.ranges++;
    if (!request.serializable) await this.#options.reader.point();
    const result = this.#options.kv.range(request);
    if (typeof result === 'string') throw new KvError(result);
    return { ...result, revision: this.#options.kv.revision() };
  }

  async put(request: PutRequest) {
    this.#options.check(validateOp({ kind: 'put', request }));
    this.#options.upkeep.checkQuota(request.key.length + request.value.length + writeOverheadBytes);
    const { revision, response } = await this.#options.proposer.propose({ kind: 'put', request });
    assert(response.kind === 'put', 'a put is answered as a put');
    return { ...response.response, revision };
  }

  async deleteRange(request: DeleteRangeRequest) {
    this.#options.check(validateOp({ kind: 'deleteRange', request }));
    const { revision, response } = await this.#options.proposer.propose({ kind: 'deleteRange', request });
    assert(response.kind === 'deleteRange', 'a deletion is answered as a deletion');
    return { ...response.response, revision };
  }

  async txn(request: TxnRequest) {
    this.#options.check(validateOp({ kind: 'txn', request }, this.#options.txnOpsMax));
    if (isReadOnlyTxn(request)) return this.#readOnlyTxn(request);
    // What only deletes must stay possible when the quota is used up.
    const bytes = Math.max(bytesOfPuts(request.success), bytesOfPuts(request.failure));
    if (bytes > 0) this.#options.upkeep.checkQuota(bytes);
    const { revision, response } = await this.#options.proposer.propose({ kind: 'txn', request });
    assert(response.kind === 'txn', 'a transaction is answered as a transaction');
    return { ...response.response, revision };
  }

  async #readOnlyTxn(request: TxnRequest) {
    this.counts.txns++;
    const ops = [...request.success, ...request.failure];
    // Without a single read it is a question about the compares, which is as linearizable as any.
    const isSerializable = ops.length > 0 && ops.every((op) => op.kind === 'range' && op.request.serializable);
    if (!isSerializable) await this.#options.reader.point();
    const result = this.#options.kv.readOnlyTxn(request);
    if (!result.ok) throw new KvError(result.error);
    assert(result.response.kind === 'txn', 'a transaction is answered as a transaction');
    return { ...result.response.response, revision: result.revision };
  }

  async compact(revision: number, isPhysical: boolean) {
    this.#options.check(undefined);
    const result = await this.#options.proposer.propose({ kind: 'compact', revision });
    if (isPhysical) await this.#options.upkeep.clean();
    return { revision: result.revision };
  }
}

function bytesOfPuts(ops: readonly RequestOp[]): number {
  let bytes = 0;
  for (const op of ops) {
    if (op.kind === 'put') bytes += op.request.key.length + op.request.value.length + writeOverheadBytes;
    else if (op.kind === 'txn') bytes += Math.max(bytesOfPuts(op.request.success), bytesOfPuts(op.request.failure));
  }
  return bytes;
}
