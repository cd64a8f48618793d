/** Which membership changes are allowed: pure functions of the member table, asked before proposing and again when applying. */
import { assert, present } from '../../env/assert.ts';
import { areWitnessesCovered } from '../../raft/index.ts';
import type { KvErrorCode, Member } from '../api.ts';
import { isUrl } from './cluster-config.ts';
import type { MemberChange } from './entry.ts';
import { fullVotersMin } from './full-voters.ts';

export interface MemberTable {
  members(): ReadonlyMap<number, Member>;
  removedMembers(): ReadonlySet<number>;
}

/** Why the change cannot be made to this table; undefined when it can. Every member decides alike. */
export function changeRefusal(
  table: MemberTable,
  action: MemberChange['action'],
  learnersMax: number,
): KvErrorCode | undefined {
  const members = table.members();
  const id = 'member' in action ? action.member.id : action.id;
  if (table.removedMembers().has(id)) return 'memberIdRemoved';
  const current = members.get(id);
  switch (action.kind) {
    case 'add': {
      if (current) return 'memberExists';
      if (isAnyUrlTaken(members, action.member)) return 'peerUrlExists';
      if (action.member.isWitness === true && !areCoveredWith(members, action.member)) return 'tooManyWitnesses';
      const learners = [...members.values()].filter((member) => member.isLearner).length;
      return action.member.isLearner && learners >= learnersMax ? 'tooManyLearners' : undefined;
    }
    case 'update':
      if (!current) return 'memberNotFound';
      return isAnyUrlTaken(members, action.member) ? 'peerUrlExists' : undefined;
    case 'promote':
      if (!current) return 'memberNotFound';
      return current.isLearner ? undefined : 'memberNotLearner';
    case 'remove':
      if (!current) return 'memberNotFound';
      return areCoveredWithout(members, id) ? undefined : 'tooManyWitnesses';
  }
}

function countVoters(members: Iterable<Member>): { readonly full: number; readonly witnesses: number } {
  const voters = [...members].filter((member) => !member.isLearner);
  const witnesses = voters.filter((member) => member.isWitness === true).length;
  return { full: voters.length - witnesses, witnesses };
}

function areCoveredWith(members: ReadonlyMap<number, Member>, added: Member): boolean {
  assert(added.isWitness === true && !added.isLearner, 'a witness votes from the beginning');
  const { full, witnesses } = countVoters([...members.values(), added]);
  return full >= fullVotersMin && areWitnessesCovered(full, witnesses);
}

/** Raft's own rule (raft/core/conf-change.ts), asked first so that the answer can say what to do. */
function areCoveredWithout(members: ReadonlyMap<number, Member>, id: number): boolean {
  const { full, witnesses } = countVoters([...members.values()].filter((member) => member.id !== id));
  return areWitnessesCovered(full, witnesses);
}

/**
 * Whether taking this member out would leave a witness with fewer full voters than it needs, and nobody to take its place:
 * what an operator should not do. A member that comes back without its data makes room for itself.
 */
export function wouldStrandWitness(members: readonly Member[], id: number): boolean {
  const remaining = members.filter((member) => member.id !== id);
  const { full, witnesses } = countVoters(remaining);
  if (witnesses === 0 || full >= fullVotersMin || full === countVoters(members).full) return false;
  return !remaining.some((member) => member.isLearner);
}

function isAnyUrlTaken(members: ReadonlyMap<number, Member>, wanted: Member): boolean {
  const others = [...members.values()].filter((member) => member.id !== wanted.id);
  return others.some((member) => member.peerUrls.some((url) => wanted.peerUrls.includes(url)));
}

/** The member as it is after the change; for a removal the member that goes. */
export function changedMember(table: MemberTable, action: MemberChange['action']): Member {
  if (action.kind === 'add') return action.member;
  if (action.kind === 'update') {
    const current = present(table.members().get(action.member.id), 'member to update');
    return { ...current, peerUrls: action.member.peerUrls };
  }
  const current = present(table.members().get(action.id), 'member to change');
  return action.kind === 'promote' ? { ...current, isLearner: false } : current;
}

/**
 * `--strict-reconfig-check`: refuses a change after which the members that have ever started are no quorum. A single
 * member may always get a second one, as there is no other way to grow.
 */
export function wouldLoseQuorum(members: readonly Member[], action: MemberChange['action']): boolean {
  const voters = members.filter((member) => !member.isLearner);
  const started = (list: readonly Member[]) => list.filter((member) => member.name !== '').length;
  if (action.kind === 'add') {
    if (action.member.isLearner) return false;
    if (voters.length === 1 && started(voters) === 1) return false;
    return started(voters) < quorumOf(voters.length + 1);
  }
  if (action.kind === 'promote') {
    // The learner has caught up, so it runs; it counts whether or not its name has arrived.
    return started(voters) + 1 < quorumOf(voters.length + 1);
  }
  if (action.kind === 'remove') {
    const remaining = voters.filter((member) => member.id !== action.id);
    if (remaining.length === voters.length) return false;
    return remaining.length === 0 || started(remaining) < quorumOf(remaining.length);
  }
  return false;
}

function quorumOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** Peer URLs as a client gives them: at least one, each `http(s)://host:port`. */
export function arePeerUrlsValid(urls: readonly string[]): boolean {
  return urls.length > 0 && urls.every(isUrl) && new Set(urls).size === urls.length;
}
