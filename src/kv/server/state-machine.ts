/**
 * KvState behind Raft: decodes committed entries, applies them in order and tells whoever waits. Deterministic but for
 * the telling: two members that apply the same entries hold the same KvState.
 */
import { assert } from '../../env/assert.ts';
import type { ConfChange, ConfState, Entry, EntryKind, Index, SnapshotMeta } from '../../raft/index.ts';
import type { StateMachine } from '../../raft/index.ts';
import type { ApplyResult, InternalOp, KvErrorCode, Member } from '../api.ts';
import type { KvState } from '../apply/contract.ts';
import { SnapshotCheck } from '../apply/index.ts';
import { membershipSnapshot } from '../apply/membership-snapshot.ts';
import { decodeEntry, decodeMemberChange, type MemberChange } from './entry.ts';
import { type SlowApply, tellSlow, type Timed, timedRestore, timedSnapshot } from './machine-timing.ts';
import { changeRefusal, changedMember } from './member-rules.ts';
import type { Waiters } from './waiters.ts';

/** How a membership change ended. */
export type ChangeOutcome = { readonly kind: 'done' } | { readonly kind: 'refused'; readonly error: KvErrorCode };

export interface StoreMachineOptions {
  /** Absent: nobody asks how long things take. */
  readonly timed?: Timed;
  readonly memberId: number;
  readonly kv: KvState;
  readonly requests: Waiters<ApplyResult>;
  readonly changes: Waiters<ChangeOutcome>;
  readonly learnersMax: number;
  /** After an entry was applied, before its proposer is told. */
  readonly onApplied: (op: InternalOp, result: ApplyResult) => void;
  /** Events wait for `publish`: it is owed soon. */
  onUnpublished(): void;
  /** After a snapshot took the place of everything. */
  readonly onRestored: () => void;
  /** After the member table changed, by an entry or a snapshot. */
  readonly onMembers: () => void;
  /** This member was removed. */
  readonly onRemoved: () => void;
  /** Told of every entry that takes longer to apply. */
  readonly slow?: SlowApply;
}

export class StoreMachine implements StateMachine {
  readonly #options: StoreMachineOptions;
  readonly #kv: KvState;
  #term = 0;

  constructor(options: StoreMachineOptions) {
    this.#options = options;
    this.#kv = options.kv;
  }

  appliedIndex(): Index {
    return this.#kv.consistentIndex() as Index;
  }

  durableIndex(): Index {
    const durable = this.#kv.durableIndex();
    assert(durable <= this.#kv.consistentIndex(), 'what is durable has been applied');
    return durable as Index;
  }

  apply(entries: readonly Entry[]): void {
    const { timed } = this.#options;
    const startedMs = timed?.clock.monotonicMs() ?? 0;
    this.#kv.beginBatch();
    try {
      this.#applyAll(entries);
    } finally {
      this.#kv.endBatch();
    }
    if (this.#kv.hasUnpublished()) this.#options.onUnpublished();
    if (timed) timed.timings.applied((timed.clock.monotonicMs() - startedMs) / 1000);
  }

  #applyAll(entries: readonly Entry[]): void {
    for (const entry of entries) {
      assert(entry.kind === 'normal', 'membership entries come through applyConfChange');
      assert(entry.index > this.#kv.consistentIndex(), () => `entry ${entry.index} is applied once`);
      this.#enterTerm(entry.term);
      if (entry.data.length === 0) {
        this.#kv.skip(entry.index);
        continue;
      }
      const { proposer, request } = decodeEntry(entry.data);
      const startedMs = this.#options.slow?.clock.monotonicMs() ?? 0;
      const result = this.#kv.apply(entry.index, request);
      if (this.#options.slow) tellSlow(this.#options.slow, startedMs, request.op.kind);
      assert(this.#kv.consistentIndex() === entry.index, () => `entry ${entry.index} moved the index`);
      this.#options.onApplied(request.op, result);
      // A key is told with the name: from now on the member is known by it.
      if (request.op.kind === 'memberAttributes') this.#options.onMembers();
      if (proposer === this.#options.memberId) this.#options.requests.complete(request.requestId, entry.term, result);
    }
  }

  applyConfChange(entry: Entry, change: ConfChange): boolean {
    assert(entry.index > this.#kv.consistentIndex(), () => `entry ${entry.index} is applied once`);
    this.#enterTerm(entry.term);
    // Leaving a joint configuration says nothing about members.
    if (change.context.length === 0) {
      this.#kv.skip(entry.index);
      return true;
    }
    const decoded = decodeMemberChange(change.context);
    const error = changeRefusal(this.#kv, decoded.action, this.#options.learnersMax);
    if (error === undefined) this.#carryOut(entry.index, decoded.action);
    else this.#kv.skip(entry.index);
    if (decoded.proposer === this.#options.memberId) {
      const outcome: ChangeOutcome = error ? { kind: 'refused', error } : { kind: 'done' };
      this.#options.changes.complete(decoded.requestId, entry.term, outcome);
    }
    if (error === undefined) this.#options.onMembers();
    if (decoded.action.kind === 'remove' && decoded.action.id === this.#options.memberId && !error) {
      this.#options.onRemoved();
    }
    return error === undefined;
  }

  understands(kind: EntryKind, data: Uint8Array): boolean {
    // Leaving a joint configuration says nothing about members.
    if (kind === 'confChange') return data.length === 0 || canBeRead(() => decodeMemberChange(data));
    // A new leader's own is empty; nobody proposes one.
    return data.length > 0 && canBeRead(() => decodeEntry(data));
  }

  snapshotCheck(): SnapshotCheck {
    return new SnapshotCheck();
  }

  /** The table tells: it is as the change wanted it, or the change was vetoed. */
  wasChangeTaken(change: ConfChange): boolean {
    const members = this.#kv.members();
    return change.steps.every(({ kind, replica }) => {
      const member = members.get(replica);
      if (kind === 'remove') return member === undefined;
      return member !== undefined && member.isLearner === (kind === 'addLearner');
    });
  }

  /** The table knows who votes, but no two memberships at a time: of a joint one it cannot tell. */
  holdsMembership({ voters, votersOutgoing, learners, witnesses = [] }: ConfState): boolean {
    if (votersOutgoing.length > 0) return false;
    const members = [...this.#kv.members().values()];
    const same = (ids: readonly number[], known: readonly Member[]) =>
      known.length === ids.length && known.every(({ id }) => ids.includes(id));
    const isWitness = (member: Member) => member.isWitness === true;
    const [own, others] = [members.filter((member) => !member.isLearner), members.filter((member) => member.isLearner)];
    return same(voters, own) && same(learners, others) && same(witnesses, members.filter(isWitness));
  }

  membershipChanged(_confState: ConfState): void {
    this.#options.onMembers();
  }

  snapshot(): AsyncIterable<Uint8Array> {
    return timedSnapshot(this.#options.timed, this.#kv.snapshot());
  }

  membershipSnapshot(): AsyncIterable<Uint8Array> {
    return membershipSnapshot(this.#kv);
  }

  async restore(meta: SnapshotMeta, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const { requests, changes } = this.#options;
    // What was accepted by now may be in the snapshot: its entry will not pass here, and proposed again it could happen
    // twice. What is accepted while the snapshot is read comes after it in the log.
    requests.unsureUpTo(meta.term);
    changes.unsureUpTo(meta.term);
    await timedRestore(this.#options.timed, () => this.#kv.restore(meta.index, chunks));
    assert(this.#kv.consistentIndex() === meta.index, () => `the snapshot at ${meta.index} sets the index`);
    const isAnyLeft = requests.isAnyBefore(meta.term) || changes.isAnyBefore(meta.term);
    assert(!isAnyLeft, 'nobody whose entry may be in the snapshot waits any more');
    this.#enterTerm(meta.term);
    this.#options.onMembers();
    this.#options.onRestored();
  }

  #enterTerm(term: number): void {
    assert(term >= this.#term, () => `applied terms do not fall: ${term} after ${this.#term}`);
    if (term === this.#term) return;
    this.#term = term;
    this.#options.requests.lostBefore(term);
    this.#options.changes.lostBefore(term);
  }

  #carryOut(index: number, action: MemberChange['action']): void {
    if (action.kind === 'remove') return this.#kv.changeMember(index, { kind: 'remove', id: action.id });
    this.#kv.changeMember(index, { kind: 'set', member: changedMember(this.#kv, action) });
  }
}

/** Bytes from elsewhere: whatever is wrong with them, and however that shows, they are not what was asked for. */
function canBeRead(decode: () => unknown): boolean {
  try {
    decode();
    return true;
  } catch {
    return false;
  }
}
