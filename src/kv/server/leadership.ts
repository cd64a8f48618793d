/** Moving leadership by hand, and to the best successor when a leader stops. */
import { assert } from '../../env/assert.ts';
import { type Clock, sleep } from '../../env/clock.ts';
import type { RaftNode, ReplicaId } from '../../raft/index.ts';
import { KvError } from '../errors.ts';

/** While leadership moves. */
const leaderPollMs = 10;

export interface LeadershipOptions {
  readonly clock: Clock;
  readonly memberId: number;
  readonly electionMs: number;
  readonly raft: () => RaftNode | undefined;
}

export class Leadership {
  readonly #options: LeadershipOptions;

  constructor(options: LeadershipOptions) {
    assert(options.electionMs > 0, 'an election takes time');
    this.#options = options;
  }

  /** Rejects with KvError `notLeader`, `badLeaderTransferee` or `timeoutLeaderTransfer`. */
  async moveTo(to: number): Promise<void> {
    const raft = this.#options.raft();
    if (!raft) throw new KvError('noLeader');
    const { role, confState } = raft.status();
    if (role !== 'leader') throw new KvError('notLeader');
    // A witness leads for nobody.
    const isWitness = confState.witnesses?.includes(to as ReplicaId) === true;
    if (isWitness || !confState.voters.includes(to as ReplicaId)) throw new KvError('badLeaderTransferee');
    if (!(await this.#transfer(raft, to))) throw new KvError('timeoutLeaderTransfer');
  }

  /** Moves leadership to the member that is furthest, when this one leads. */
  async handOn(): Promise<void> {
    const raft = this.#options.raft();
    if (!raft) return;
    const { role, progress, confState, id } = raft.status();
    if (role !== 'leader' || confState.voters.length < 2) return;
    let best: { readonly to: number; readonly match: number } | undefined;
    for (const [to, peer] of progress) {
      if (to === id || peer.isLearner || peer.isWitness === true || !peer.recentActive) continue;
      if (!best || peer.match > best.match) best = { to, match: peer.match };
    }
    if (best) await this.#transfer(raft, best.to);
  }

  /** True when `to` leads within one election time-out. */
  async #transfer(raft: RaftNode, to: number): Promise<boolean> {
    const { clock, memberId, electionMs } = this.#options;
    if (to === memberId) return true;
    raft.transferLeader(to as ReplicaId);
    const untilMs = clock.monotonicMs() + electionMs;
    while (raft.status().leader !== to) {
      if (clock.monotonicMs() >= untilMs) return false;
      await sleep(clock, leaderPollMs);
    }
    return true;
  }
}
