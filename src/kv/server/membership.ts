/** Membership as clients change it: checks against the member table, then one Raft entry per change. */
import { assert } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { Random } from '../../env/random.ts';
import type { ConfChangeStep, RaftNode, ReplicaId } from '../../raft/index.ts';
import type { Member } from '../api.ts';
import type { KvState } from '../apply/contract.ts';
import { KvError } from '../errors.ts';
import { memberIdOf } from './cluster-config.ts';
import type { MemberJoin, MemberMove } from './contract.ts';
import type { MemberChange } from './entry.ts';
import { addressText, isSignedBy } from './member-key.ts';
import { arePeerUrlsValid, changeRefusal, wouldLoseQuorum, wouldStrandWitness } from './member-rules.ts';
import type { Proposer } from './proposer.ts';

/** A learner whose log reaches this share of the leader's may be promoted, as in etcd. */
const readyShare = 0.9;

export interface MembershipOptions {
  readonly kv: KvState;
  readonly random: Random;
  readonly proposer: Proposer;
  readonly raft: () => RaftNode;
  readonly token: string;
  readonly clusterId: number;
  readonly log: Log;
  readonly learnersMax: number;
  readonly isStrict: boolean;
  readonly clock: Clock;
  /** As PeerTransport has it; absent on a network that has no connections. */
  readonly connectedSinceMs: ((id: number) => number | undefined) | undefined;
  /** Who has been connected for this long counts as healthy. */
  readonly healthyAfterMs: number;
}

export class Membership {
  readonly #options: MembershipOptions;

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  list(): readonly Member[] {
    return [...this.#options.kv.members().values()].sort((a, b) => a.id - b.id);
  }

  add(peerUrls: readonly string[], isLearner: boolean): Promise<Member> {
    return this.#add(peerUrls, isLearner ? 'learner' : 'voter');
  }

  async #add(peerUrls: readonly string[], as: 'learner' | 'voter' | 'witness', key?: string): Promise<Member> {
    if (!arePeerUrlsValid(peerUrls)) throw new KvError('badPeerUrls');
    const salt = Buffer.from(this.#options.random.bytes(8)).toString('hex');
    const id = memberIdOf(peerUrls, this.#options.token, salt);
    const keyed = key === undefined ? {} : { key };
    const role = { isLearner: as === 'learner', ...(as === 'witness' && { isWitness: true }) };
    const member: Member = { id, name: '', peerUrls: [...peerUrls], clientUrls: [], ...role, ...keyed };
    await this.#change({ kind: 'add', member }, stepFor(member), id);
    return member;
  }

  async remove(id: number): Promise<void> {
    if (wouldStrandWitness(this.list(), id)) throw new KvError('tooManyWitnesses');
    await this.#remove(id);
  }

  async #remove(id: number): Promise<void> {
    await this.#change({ kind: 'remove', id }, 'remove', id);
  }

  async update(id: number, peerUrls: readonly string[]): Promise<void> {
    const current = this.#options.kv.members().get(id);
    if (!current) throw new KvError('memberNotFound');
    if (!arePeerUrlsValid(peerUrls)) throw new KvError('badPeerUrls');
    // Raft sees the member become what it already is; the address is in the context.
    const member = { ...current, peerUrls: [...peerUrls] };
    await this.#change({ kind: 'update', member }, stepFor(member), id);
  }

  /** Only on the leader, which alone knows how far a learner is. */
  async promote(id: number): Promise<void> {
    const { role, progress, lastIndex } = this.#options.raft().status();
    if (role !== 'leader') throw new KvError('notLeader');
    const refusal = changeRefusal(this.#options.kv, { kind: 'promote', id }, this.#options.learnersMax);
    if (refusal) throw new KvError(refusal);
    const learner = progress.get(id as ReplicaId);
    if (!learner || learner.match < lastIndex * readyShare) throw new KvError('learnerNotReady');
    await this.#change({ kind: 'promote', id }, 'addVoter', id);
  }

  /**
   * A member that lost its data, or was removed, comes back as another one. Its old identity goes first, when those that
   * stay are a quorum without it; the new one is a learner. Only on the leader, who knows who is there.
   */
  async join({ peerUrls, key, replaces, isWitness = false }: MemberJoin): Promise<number> {
    const { kv, raft, log } = this.#options;
    const { role, progress } = raft().status();
    // Not this member's to say: the caller asks the next one.
    if (role !== 'leader') throw new KvError('noLeader');
    const members = this.list();
    const known = members.find((member) => member.key === key);
    if (known !== undefined) return known.id;
    const isOld = (member: Member) => member.id === replaces || member.peerUrls.some((url) => peerUrls.includes(url));
    for (const old of members.filter(isOld)) {
      if (progress.get(old.id as ReplicaId)?.recentActive === true) throw new KvError('unhealthy');
      if (this.#isUnhealthyFor({ kind: 'remove', id: old.id })) throw new KvError('unhealthy');
      log.warn('a member that comes back without its data is removed', { id: old.id, name: old.name });
      await this.#remove(old.id);
    }
    assert(!kv.removedMembers().has(replaces) || !kv.members().has(replaces), 'who was removed is no member');
    const as = isWitness ? 'witness' : 'learner';
    const added = await this.#add(peerUrls, as, key);
    log.info(`a member that asked to join is taken in as a ${as}`, { id: added.id, replaces, peerUrls });
    return added.id;
  }

  /** A member says where it is now. Rejects with `BAD_SIGNATURE` unless it signed that, moving from where the table has it. */
  async move({ memberId, peerUrls, signature }: MemberMove): Promise<void> {
    const { kv, clusterId, log } = this.#options;
    const member = kv.members().get(memberId);
    if (member === undefined) throw new KvError('memberNotFound');
    const key = member.key;
    const text = addressText({ clusterId, memberId, fromUrls: member.peerUrls, toUrls: peerUrls });
    if (key === undefined || !isSignedBy(key, text, signature)) {
      throw new KeelsonError(
        'BAD_SIGNATURE',
        `move member ${memberId} to ${peerUrls.join(',')}: that is not signed with its key: use member update instead`,
      );
    }
    await this.update(memberId, peerUrls);
    log.info('a member has moved', { id: memberId, from: member.peerUrls, to: peerUrls });
  }

  async #change(action: MemberChange['action'], step: ConfChangeStep['kind'], id: number): Promise<void> {
    const { kv, learnersMax, isStrict, proposer } = this.#options;
    const refusal = changeRefusal(kv, action, learnersMax);
    if (refusal) throw new KvError(refusal);
    if (isStrict) {
      if (wouldLoseQuorum(this.list(), action)) throw new KvError('notEnoughStartedMembers');
      if (this.#isUnhealthyFor(action) || this.#isTooNewFor(action)) throw new KvError('unhealthy');
    }
    await proposer.change([{ kind: step, replica: id as ReplicaId }], action);
  }

  /**
   * As etcd: a change needs connections that have lasted. To grow, with all voters; to shrink, with a quorum of those that
   * stay, but for a member that is gone already. Asked of whichever member gets the request.
   */
  #isTooNewFor(action: MemberChange['action']): boolean {
    const { raft, clock, connectedSinceMs, healthyAfterMs } = this.#options;
    if (!connectedSinceMs) return false;
    const { id: self, confState } = raft().status();
    const lasts = (id: number) => {
      const sinceMs = id === self ? Number.NEGATIVE_INFINITY : connectedSinceMs(id);
      return sinceMs !== undefined && clock.monotonicMs() - sinceMs >= healthyAfterMs;
    };
    const { voters } = confState;
    if (action.kind === 'add') return !voters.every(lasts);
    if (action.kind !== 'remove' || !voters.includes(action.id as ReplicaId)) return false;
    if (action.id !== self && connectedSinceMs(action.id) === undefined) return false;
    return voters.filter(lasts).length - 1 < 1 + Math.floor((voters.length - 1) / 2);
  }

  /** The leader sees who answers: growing needs all voters, removing needs a quorum of those that stay. */
  #isUnhealthyFor(action: MemberChange['action']): boolean {
    const { role, progress, id: self } = this.#options.raft().status();
    if (role !== 'leader' || action.kind === 'update' || action.kind === 'promote') return false;
    const voters = [...progress].filter(([, peer]) => !peer.isLearner);
    const isActive = ([id, peer]: (typeof voters)[number]) => id === self || peer.recentActive;
    if (action.kind === 'add') return !action.member.isLearner && !voters.every(isActive);
    const remaining = voters.filter(([id]) => id !== action.id);
    if (remaining.length === voters.length || remaining.length === 0) return false;
    return remaining.filter(isActive).length < Math.floor(remaining.length / 2) + 1;
  }
}

function stepFor({ isLearner, isWitness }: Member): ConfChangeStep['kind'] {
  if (isWitness === true) return 'addWitness';
  return isLearner ? 'addLearner' : 'addVoter';
}
