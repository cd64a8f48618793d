/**
 * From a request to its outcome: encodes it, hands it to Raft, waits until it has been applied here.
 *
 * While there is no leader, or leadership is moving, a proposal waits and is tried again, because nothing has been sent
 * yet. Once Raft has accepted it, it is proposed again only after an entry of a newer term has been applied: until then it
 * may still be committed, and would happen twice (waiters.ts says why it cannot afterwards). Its time is counted from
 * when it came, however often it is proposed.
 *
 * Two kinds are proposed once. Membership changes, because what allowed them (who was healthy, who had caught up) was
 * looked at before. And what a member decides as the leader, because the next leader decides anew.
 */
import { assert } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import type { Random } from '../../env/random.ts';
import type { ConfChangeStep, ProposeResult, RaftNode } from '../../raft/index.ts';
import type { ApplyResult, InternalOp } from '../api.ts';
import type { Caller } from '../auth/contract.ts';
import { KvError } from '../errors.ts';
import { encodeEntry, encodeMemberChange, type MemberChange } from './entry.ts';
import { retryEveryMs } from './retry.ts';
import type { ChangeOutcome } from './state-machine.ts';
import type { Waiters } from './waiters.ts';

/** Requests under way on one member, as etcd's limit between committed and applied; each holds its bytes in memory. */
const waitersMax = 5_000;

const notRunning: ProposeResult = { kind: 'dropped', reason: 'noLeader' };

/**
 * `once`: to the leader that this member is, or not at all. `untilAccepted`: tried until Raft takes it. `untilApplied`:
 * also when what was taken is lost.
 */
type Persistence = 'once' | 'untilAccepted' | 'untilApplied';

interface Proposal {
  readonly waiters: Pick<Waiters<unknown>, 'has' | 'accepted' | 'fail'>;
  readonly requestId: number;
  readonly persistence: Persistence;
  readonly make: () => ProposeResult | undefined;
}

type Refusal = (ProposeResult & { kind: 'dropped' })['reason'];

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
  /**
   * To be proposed, for the first time or again, in the order of coming. Each is one that somebody waits for, or waited:
   * at most `waitersMax` of requests, as many of changes, and those whose time was up since the last try.
   */
  #toPropose: Proposal[] = [];
  #isTryDue = false;

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
    const { requestId, data } = this.#encode(op, caller);
    const make = () => this.#options.raft()?.propose(data);
    return done(await this.#carry(this.#options.requests, requestId, 'untilApplied', make));
  }

  /**
   * What this member decides because it leads: tried once, and rejects with `leaderChanged` when it does not lead or when
   * another leads before it is applied. A decision of the last leader must not reach the next one, which knows better.
   */
  async proposeAsLeader(op: InternalOp): Promise<ApplyResult & { readonly ok: true }> {
    const raft = this.#options.raft();
    if (raft?.status().role !== 'leader') throw new KvError('leaderChanged');
    const { requestId, data } = this.#encode(op, 'member');
    return done(await this.#carry(this.#options.requests, requestId, 'once', () => raft.propose(data)));
  }

  async change(steps: readonly ConfChangeStep[], action: MemberChange['action']): Promise<void> {
    const requestId = this.#newRequestId();
    const context = encodeMemberChange({ proposer: this.#options.memberId, requestId, action });
    const make = () => this.#options.raft()?.proposeConfChange({ steps, context });
    const outcome = await this.#carry(this.#options.changes, requestId, 'untilAccepted', make);
    if (outcome.kind === 'refused') throw new KvError(outcome.error);
  }

  #encode(op: InternalOp, caller: Caller | undefined): { readonly requestId: number; readonly data: Uint8Array } {
    const { memberId, requestBytesMax } = this.#options;
    const requestId = this.#newRequestId();
    const request = caller === undefined ? { requestId, op } : { requestId, caller, op };
    const data = encodeEntry({ proposer: memberId, request });
    // The limit is about what a client asks for; checkpoints of many leases are the leader's own.
    if (data.length > requestBytesMax && op.kind !== 'leaseCheckpoint') throw new KvError('requestTooLarge');
    return { requestId, data };
  }

  #newRequestId(): number {
    const requestId = this.#nextRequestId++;
    assert(Number.isSafeInteger(requestId), 'request ids do not run out');
    return requestId;
  }

  async #carry<T>(
    waiters: Waiters<T>,
    requestId: number,
    persistence: Persistence,
    make: Proposal['make'],
  ): Promise<T> {
    if (waiters.size >= waitersMax) throw new KvError('tooManyRequests');
    const proposal: Proposal = { waiters, requestId, persistence, make };
    // It is being applied to: Raft is asked once that is over.
    const onLost = () => {
      this.#toPropose.push(proposal);
      if (this.#toPropose.length === 1) queueMicrotask(() => this.#tryAll());
    };
    // Waiting begins before proposing, so that no outcome can come too early.
    const outcome = waiters.add(
      requestId,
      this.#options.timeoutMs,
      persistence === 'untilApplied' ? onLost : undefined,
    );
    if (this.#try(proposal) !== undefined) {
      this.#toPropose.push(proposal);
      this.#tryAllLater();
    }
    try {
      return await outcome;
    } catch (error) {
      this.#failed++;
      throw error;
    }
  }

  /** Why Raft does not take it now; undefined when there is no more to try. */
  #try({ waiters, requestId, persistence, make }: Proposal): Refusal | undefined {
    const result = make() ?? notRunning;
    if (result.kind === 'accepted') {
      const isOwn = result.index !== undefined;
      assert(isOwn || persistence !== 'once', 'what a leader decides is not passed on to another');
      waiters.accepted(requestId, result.term);
      return undefined;
    }
    if (result.reason === 'removed') waiters.fail(requestId, 'stopped');
    else if (result.reason === 'tooMuchUncommitted') waiters.fail(requestId, 'tooManyRequests');
    else if (persistence === 'once') waiters.fail(requestId, 'leaderChanged');
    else return result.reason;
    return undefined;
  }

  #tryAll(): void {
    const proposals = this.#toPropose;
    this.#toPropose = [];
    let refusal: Refusal | undefined;
    for (const proposal of proposals) {
      if (!proposal.waiters.has(proposal.requestId)) continue;
      // Without a leader the rest need not be tried: it would only be asked thousands of times.
      if (refusal !== 'noLeader') refusal = this.#try(proposal);
      if (refusal !== undefined) this.#toPropose.push(proposal);
    }
    if (this.#toPropose.length > 0) this.#tryAllLater();
  }

  #tryAllLater(): void {
    if (this.#isTryDue) return;
    this.#isTryDue = true;
    this.#options.clock.after(retryEveryMs(this.#options.timeoutMs), () => {
      this.#isTryDue = false;
      this.#tryAll();
    });
  }
}

function done(result: ApplyResult): ApplyResult & { readonly ok: true } {
  if (!result.ok) throw new KvError(result.error);
  return result;
}
