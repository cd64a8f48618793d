/** Moving leadership by hand, and to the best successor when a leader stops. */
import { assert } from '../../env/assert.ts';
import { type Clock, sleep } from '../../env/clock.ts';
import type { RaftNode, RaftStatus, ReplicaId } from '../../raft/index.ts';
import { KvError } from '../errors.ts';

/** While leadership moves. */
const leaderPollMs = 10;

export interface LeadershipOptions {
  readonly clock: Clock;
  readonly memberId: number;
  readonly electionMs: number;
  readonly raft: () => RaftNode | undefined;
  /** As of PeerTransport. Absent where there are no connections. */
  readonly connectedSinceMs: ((id: number) => number | undefined) | undefined;
}

/**
 * Who is to lead after this member, if it leads: of the full voters that can be reached, the one that is furthest. Having
 * been heard a moment ago is not enough: a member that has just stopped was.
 */
export function successorOf(
  { id, role, progress, confState }: Pick<RaftStatus, 'id' | 'role' | 'progress' | 'confState'>,
  connectedSinceMs: LeadershipOptions['connectedSinceMs'],
): ReplicaId | undefined {
  if (role !== 'leader') return undefined;
  let best: { readonly to: ReplicaId; readonly match: number } | undefined;
  for (const [to, peer] of progress) {
    if (to === id || !confState.voters.includes(to) || peer.isWitness === true || !peer.recentActive) continue;
    if (connectedSinceMs && connectedSinceMs(to) === undefined) continue;
    if (!best || peer.match > best.match) best = { to, match: peer.match };
  }
  return best?.to;
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

  /** Moves leadership to the best successor, when this one leads. */
  async handOn(): Promise<void> {
    const raft = this.#options.raft();
    if (!raft) return;
    const to = successorOf(raft.status(), this.#options.connectedSinceMs);
    if (to !== undefined) await this.#transfer(raft, to);
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
