/**
 * The membership in force, and what is known about its members: progress (a leader's) and votes (a candidate's).
 * Counting is done here and by quorum.ts only; whoever is not in the membership cannot count.
 */
import { assert, present } from '../../env/assert.ts';
import { assertConfState, membersOf } from './conf-change.ts';
import { toIndex } from './numbers.ts';
import { Progress } from './progress.ts';
import { quorumValue, quorumVote, type VoteResult, type VoterSets } from './quorum.ts';
import type { ConfState, Index, PeerProgress, ReplicaId } from './types.ts';

export class Tracker {
  #conf: ConfState;
  #voters: VoterSets;
  #witnesses: ReadonlySet<ReplicaId> = new Set();
  #members: Map<ReplicaId, Progress> = new Map();
  /** The same members by id. */
  #inOrder: readonly ReplicaId[] = [];
  #votes: Map<ReplicaId, boolean> = new Map();
  readonly #inflightMessagesMax: number;

  constructor(conf: ConfState, lastIndex: Index, inflightMessagesMax: number) {
    this.#inflightMessagesMax = inflightMessagesMax;
    this.#conf = conf;
    this.#voters = { incoming: new Set(), outgoing: new Set() };
    this.changeTo(conf, lastIndex);
  }

  get conf(): ConfState {
    return this.#conf;
  }

  /** Takes a membership over. Members that stay keep their progress. */
  changeTo(conf: ConfState, lastIndex: Index): void {
    assertConfState(conf);
    this.#conf = conf;
    this.#voters = { incoming: new Set(conf.voters), outgoing: new Set(conf.votersOutgoing) };
    this.#witnesses = new Set(conf.witnesses);
    const members: Map<ReplicaId, Progress> = new Map();
    for (const id of membersOf(conf)) members.set(id, this.#members.get(id) ?? this.#newcomer(lastIndex));
    this.#members = members;
    this.#inOrder = [...members.keys()].sort((left, right) => left - right);
    assert(members.size >= conf.voters.length, 'every voter is a member');
  }

  /** A new term of leadership knows nothing about anybody. */
  resetProgress(lastIndex: Index): void {
    for (const id of this.#members.keys()) {
      const progress = this.#newcomer(lastIndex);
      progress.recentActive = false;
      this.#members.set(id, progress);
    }
  }

  /** Counts as active for now: a newcomer must not make the leader lose its quorum before it could answer. */
  #newcomer(lastIndex: Index): Progress {
    const progress = new Progress({ next: toIndex(lastIndex + 1), inflightMessagesMax: this.#inflightMessagesMax });
    progress.recentActive = true;
    return progress;
  }

  isMember(id: ReplicaId): boolean {
    return this.#members.has(id);
  }

  /** Votes in either half. */
  isVoter(id: ReplicaId): boolean {
    return this.#voters.incoming.has(id) || this.#voters.outgoing.has(id);
  }

  /** Votes in either half and keeps no state. */
  isWitness(id: ReplicaId): boolean {
    return this.#witnesses.has(id);
  }

  hasVoters(): boolean {
    return this.#voters.incoming.size > 0;
  }

  /** Everyone who votes, in order of id so that messages go out in the same order every time. */
  voters(): ReplicaId[] {
    return this.members().filter((id) => this.isVoter(id));
  }

  /** Everyone who is replicated to, in order of id. */
  members(): readonly ReplicaId[] {
    return this.#inOrder;
  }

  /** Undefined for a replica that is no member: its messages do not count. */
  progressOf(id: ReplicaId): Progress | undefined {
    return this.#members.get(id);
  }

  /** The highest index that a quorum holds durably (Raft 5.3, thesis 4.3). */
  matchedByQuorum(): Index {
    return toIndex(quorumValue(this.#voters, (id) => present(this.#members.get(id), `progress of voter ${id}`).match));
  }

  /** The highest value that a quorum reached, for reads. */
  reachedByQuorum(valueOf: (id: ReplicaId) => number): number {
    return quorumValue(this.#voters, valueOf);
  }

  /** True when the leader heard of a quorum, itself included, since the last forgetActivity(). */
  isQuorumActive(self: ReplicaId): boolean {
    const isActive = (id: ReplicaId): boolean => id === self || this.#members.get(id)?.recentActive === true;
    return quorumVote(this.#voters, isActive) === 'won';
  }

  forgetActivity(): void {
    for (const progress of this.#members.values()) progress.forgetActivity();
  }

  resetVotes(): void {
    this.#votes.clear();
  }

  /** The first answer of a voter counts; a repeated message cannot change it. */
  recordVote(id: ReplicaId, granted: boolean): void {
    if (this.#votes.has(id)) return;
    this.#votes.set(id, granted);
    assert(this.#votes.get(id) === granted, 'a vote is kept');
  }

  /** Only votes of present voters count. */
  voteResult(): VoteResult {
    return quorumVote(this.#voters, (id) => this.#votes.get(id));
  }

  describe(): Map<ReplicaId, PeerProgress> {
    const learners = new Set(this.#conf.learners);
    return new Map(
      this.members().map((id) => {
        const described = present(this.#members.get(id), 'progress').describe(learners.has(id));
        return [id, this.isWitness(id) ? { ...described, isWitness: true } : described];
      }),
    );
  }

  checkState(): void {
    assertConfState(this.#conf);
    const members = membersOf(this.#conf);
    assert(members.size === this.#members.size, 'there is progress for the members and nobody else');
    for (const id of this.#members.keys()) assert(members.has(id), () => `progress of ${id}, which is no member`);
  }
}
