/**
 * From a request to its outcome: encodes it, hands it to Raft, waits until it has been applied here.
 *
 * While there is no leader, or leadership is moving, a proposal waits and is tried again, because nothing has been sent
 * yet. Once Raft has accepted it, it is never proposed a second time: it might then happen twice.
 */
import { assert } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import type { Random } from '../../env/random.ts';
import type { ConfChangeStep, ProposeResult, RaftNode } from '../../raft/index.ts';
import type { ApplyResult, InternalOp } from '../api.ts';
import type { Caller } from '../auth/contract.ts';
import { KvError } from '../errors.ts';
import { encodeEntry, encodeMemberChange, type MemberChange } from './entry.ts';
import type { ChangeOutcome } from './state-machine.ts';
import type { Waiters } from './waiters.ts';

/** Requests under way on one member, as etcd's limit between committed and applied; each holds its bytes in memory. */
const waitersMax = 5_000;
/** While there is no leader: short beside an election, long beside a tick of the event loop. */
const retryEveryMs = 20;

const notRunning: ProposeResult = { kind: 'dropped', reason: 'noLeader' };

export interface ProposerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly memberId: number;
  /** Undefined before Raft runs, which is like having no leader. */
  readonly raft: () => RaftNode | undefined;
  readonly requests: Waiters<ApplyResult>;
  readonly changes: Waiters<ChangeOutcome>;
  readonly timeoutMs: number;
  readonly requestBytesMax: number;
}

export class Proposer {
  readonly #options: ProposerOptions;
  /** Starts at a random place, so that an entry from before a restart finds nobody waiting for its id. */
  #nextRequestId: number;
  #failed = 0;

  constructor(options: ProposerOptions) {
    this.#options = options;
    this.#nextRequestId = options.random.integer(1, 2 ** 45) * 128;
  }

  failedCount(): number {
    return this.#failed;
  }

  /**
   * Resolves with what applying gave; rejects with KvError, also for an outcome that is an error. `caller` is in whose name:
   * `member` for what this member does of itself.
   */
  async propose(op: InternalOp, caller: Caller | undefined): Promise<ApplyResult & { readonly ok: true }> {
    const { requests, memberId, requestBytesMax } = this.#options;
    const requestId = this.#nextRequestId++;
    assert(Number.isSafeInteger(requestId), 'request ids do not run out');
    const data = encodeEntry({
      proposer: memberId,
      request: caller === undefined ? { requestId, op } : { requestId, caller, op },
    });
    // The limit is about what a client asks for; checkpoints of many leases are the leader's own.
    if (data.length > requestBytesMax && op.kind !== 'leaseCheckpoint') throw new KvError('requestTooLarge');
    const result = await this.#carry(requests, requestId, () => this.#options.raft()?.propose(data));
    if (!result.ok) throw new KvError(result.error);
    return result;
  }

  async change(steps: readonly ConfChangeStep[], action: MemberChange['action']): Promise<void> {
    const requestId = this.#nextRequestId++;
    const context = encodeMemberChange({ proposer: this.#options.memberId, requestId, action });
    const outcome = await this.#carry(this.#options.changes, requestId, () =>
      this.#options.raft()?.proposeConfChange({ steps, context }),
    );
    if (outcome.kind === 'refused') throw new KvError(outcome.error);
  }

  async #carry<T>(waiters: Waiters<T>, requestId: number, propose: () => ProposeResult | undefined): Promise<T> {
    if (waiters.size >= waitersMax) throw new KvError('tooManyRequests');
    // Waiting begins before proposing, so that no outcome can come too early.
    const outcome = waiters.add(requestId, this.#options.timeoutMs);
    const attempt = () => {
      if (!waiters.has(requestId)) return;
      const result = propose() ?? notRunning;
      if (result.kind === 'accepted') return waiters.accepted(requestId, result.term);
      if (result.reason === 'removed') return waiters.fail(requestId, 'stopped');
      if (result.reason === 'tooMuchUncommitted') return waiters.fail(requestId, 'tooManyRequests');
      this.#options.clock.after(retryEveryMs, attempt);
    };
    attempt();
    try {
      return await outcome;
    } catch (error) {
      this.#failed++;
      throw error;
    }
  }
}
