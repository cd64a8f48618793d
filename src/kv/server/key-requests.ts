/**
 * Requests about keys on their way through one member:
 *
 *   write: check -> quota -> who asks -> Proposer -> Raft -> StoreMachine -> Waiters -> answer
 *   read:  check -> LinearizableReader (or nothing, when serializable) -> who asks -> may they -> KvState -> answer
 */
import { assert } from '../../env/assert.ts';
import type {
  DeleteRangeRequest,
  InternalOp,
  KvErrorCode,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from '../api.ts';
import { isReadOnlyTxn, type KvState, validateOp } from '../apply/index.ts';
import { KvError } from '../errors.ts';
import type { From } from './auth-contract.ts';
import type { AuthKeeper } from './auth-keeper.ts';
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
  readonly auth: AuthKeeper;
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

  async range(request: RangeRequest, from: From) {
    this.#options.check(validateOp({ kind: 'range', request }));
    this.counts.ranges++;
    if (!request.serializable) await this.#options.reader.point();
    const { auth } = this.#options;
    const caller = auth.caller(from);
    auth.checkRead(caller instanceof Promise ? await caller : caller, { kind: 'range', request });
    const result = this.#options.kv.range(request);
    if (typeof result === 'string') throw new KvError(result);
    return { ...result, revision: this.#options.kv.revision() };
  }

  async put(request: PutRequest, from: From) {
    this.#options.check(validateOp({ kind: 'put', request }));
    this.#options.upkeep.checkQuota(request.key.length + request.value.length + writeOverheadBytes);
    const { revision, response } = await this.#propose({ kind: 'put', request }, from);
    assert(response.kind === 'put', 'a put is answered as a put');
    return { ...response.response, revision };
  }

  async deleteRange(request: DeleteRangeRequest, from: From) {
    this.#options.check(validateOp({ kind: 'deleteRange', request }));
    const { revision, response } = await this.#propose({ kind: 'deleteRange', request }, from);
    assert(response.kind === 'deleteRange', 'a deletion is answered as a deletion');
    return { ...response.response, revision };
  }

  async txn(request: TxnRequest, from: From) {
    this.#options.check(validateOp({ kind: 'txn', request }, this.#options.txnOpsMax));
    if (isReadOnlyTxn(request)) return this.#readOnlyTxn(request, from);
    // What only deletes must stay possible when the quota is used up.
    const bytes = Math.max(bytesOfPuts(request.success), bytesOfPuts(request.failure));
    if (bytes > 0) this.#options.upkeep.checkQuota(bytes);
    const { revision, response } = await this.#propose({ kind: 'txn', request }, from);
    assert(response.kind === 'txn', 'a transaction is answered as a transaction');
    return { ...response.response, revision };
  }

  async #readOnlyTxn(request: TxnRequest, from: From) {
    this.counts.txns++;
    const ops = [...request.success, ...request.failure];
    // Without a single read it is a question about the compares, which is as linearizable as any.
    const isSerializable = ops.length > 0 && ops.every((op) => op.kind === 'range' && op.request.serializable);
    if (!isSerializable) await this.#options.reader.point();
    const { auth } = this.#options;
    const caller = auth.caller(from);
    auth.checkRead(caller instanceof Promise ? await caller : caller, { kind: 'txn', request });
    const result = this.#options.kv.readOnlyTxn(request);
    if (!result.ok) throw new KvError(result.error);
    assert(result.response.kind === 'txn', 'a transaction is answered as a transaction');
    return { ...result.response.response, revision: result.revision };
  }

  async compact(revision: number, isPhysical: boolean, from: From) {
    this.#options.check(undefined);
    const result = await this.#propose({ kind: 'compact', revision }, from);
    if (isPhysical) await this.#options.upkeep.clean();
    return { revision: result.revision };
  }

  /** In the name of whoever asks; whether they may is decided when it is applied. */
  async #propose(op: InternalOp, from: From) {
    const { auth, proposer } = this.#options;
    const caller = auth.caller(from);
    return proposer.propose(op, caller instanceof Promise ? await caller : caller);
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
