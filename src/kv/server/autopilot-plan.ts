/**
 * The autopilot's decisions, as a pure function of what the leader sees: at most one change of membership at a time, with the
 * reason in words. Every change leaves a quorum of voters that are there, and aims at what can be lost without harm:
 *
 *   tolerance = voters that are there − majority of all voters
 *
 *   dead voters    are removed when that raises the tolerance, alone or with a standby in their place; never when the others
 *                  would not be a quorum, and not for an even number, which bears no more than the odd one below
 *   standbys       (learners that are stable: there, and caught up, for a while) are promoted when that makes the number of
 *                  voters odd, two of them when there are two. A second and a fourth server wait.
 *   dead standbys  are removed, as they only stand in the way of the next one
 *   witnesses      are voters like any other, and make a number odd; they are never promoted, and removed when dead. They
 *                  need two full voters: a dead one of these goes only after a standby votes in its place
 */
import { assert } from '../../env/assert.ts';
import { fullVotersMin } from './full-voters.ts';

export interface PilotedMember {
  readonly id: number;
  readonly name: string;
  readonly isLearner: boolean;
  /** Votes and keeps no data. */
  readonly isWitness?: boolean;
  readonly isLeader: boolean;
  /** Since it was last heard of; 0 = just now. */
  readonly silentMs: number;
  /** For how long it has been there without a gap, with everything that was committed. */
  readonly stableMs: number;
}

export interface AutopilotLimits {
  /** Silence after which a member is taken for dead. */
  readonly deadAfterMs: number;
  /** How long a standby must have been stable to be promoted. */
  readonly stableAfterMs: number;
  /** Silence that makes a member one that is not there now. */
  readonly absentAfterMs: number;
}

export type AutopilotDecision = {
  readonly kind: 'promote' | 'remove';
  readonly id: number;
  readonly name: string;
  readonly why: string;
};

export interface AutopilotPlan {
  readonly decision: AutopilotDecision | undefined;
  readonly voters: number;
  /** Of the voters. */
  readonly witnesses: number;
  /** Voters that may be lost now, and writes go on; below 0 there is no quorum. */
  readonly tolerance: number;
  /** Names of learners that wait. */
  readonly standbys: readonly string[];
  /** What people should know: even numbers, members that are missing, who is waited for. */
  readonly notes: readonly string[];
}

/** More voters make every write slower and bear hardly more. */
const votersMax = 7;

export function majorityOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** What is to be done next about these members, seen from their leader. */
export function planMembership(members: readonly PilotedMember[], limits: AutopilotLimits): AutopilotPlan {
  assert(limits.deadAfterMs >= limits.absentAfterMs, 'who is dead is absent');
  const voters = members.filter((member) => !member.isLearner);
  assert(voters.length > 0, 'a cluster has voters');
  const present = voters.filter((member) => member.silentMs < limits.absentAfterMs);
  const standbys = members.filter((member) => member.isLearner);
  const decision =
    removeDeadVoter(voters, present, standbys, limits) ??
    removeDeadStandby(standbys, limits) ??
    promoteStandby(voters, present, standbys, limits);
  return {
    decision,
    voters: voters.length,
    witnesses: voters.filter(isWitness).length,
    tolerance: present.length - majorityOf(voters.length),
    standbys: standbys.map(nameOf),
    notes: notesOf(voters, present, standbys, limits),
  };
}

function isWitness(member: PilotedMember): boolean {
  return member.isWitness === true;
}

/** Whether the witnesses among `voters` would miss the full voter `member`. */
function isNeededByWitnesses(member: PilotedMember, voters: readonly PilotedMember[]): boolean {
  const witnesses = voters.filter(isWitness).length;
  if (witnesses === 0 || isWitness(member)) return false;
  const fullAfter = voters.length - witnesses - 1;
  return fullAfter < Math.max(fullVotersMin, witnesses);
}

function isStable(member: PilotedMember, limits: AutopilotLimits): boolean {
  return member.silentMs < limits.absentAfterMs && member.stableMs >= limits.stableAfterMs;
}

function removeDeadVoter(
  voters: readonly PilotedMember[],
  present: readonly PilotedMember[],
  standbys: readonly PilotedMember[],
  limits: AutopilotLimits,
): AutopilotDecision | undefined {
  const dead = voters.filter((member) => !member.isLeader && member.silentMs >= limits.deadAfterMs);
  const able = dead.filter((member) => !isNeededByWitnesses(member, voters));
  const [first] = able.sort((a, b) => b.silentMs - a.silentMs || a.id - b.id);
  if (first === undefined || present.length < majorityOf(voters.length - 1)) return undefined;
  const now = present.length - majorityOf(voters.length);
  const replacements = Math.min(standbys.filter((member) => isStable(member, limits)).length, dead.length);
  const votersAfter = voters.length - dead.length + replacements;
  const after = present.length + replacements - majorityOf(votersAfter);
  if (after <= now) return undefined;
  const silent = `not heard of for ${Math.round(first.silentMs / 1000)} s`;
  const gain = replacements > 0 ? 'a standby takes its place' : `${votersAfter} voters bear more without it`;
  return { kind: 'remove', id: first.id, name: nameOf(first), why: `${silent}, and ${gain}` };
}

function removeDeadStandby(standbys: readonly PilotedMember[], limits: AutopilotLimits): AutopilotDecision | undefined {
  const dead = standbys.find((member) => member.silentMs >= limits.deadAfterMs);
  if (dead === undefined) return undefined;
  const why = `a standby not heard of for ${Math.round(dead.silentMs / 1000)} s`;
  return { kind: 'remove', id: dead.id, name: nameOf(dead), why };
}

function promoteStandby(
  voters: readonly PilotedMember[],
  present: readonly PilotedMember[],
  standbys: readonly PilotedMember[],
  limits: AutopilotLimits,
): AutopilotDecision | undefined {
  const stable = standbys.filter((member) => isStable(member, limits));
  const [first] = stable.sort((a, b) => b.stableMs - a.stableMs || a.id - b.id);
  if (first === undefined || voters.length >= votersMax) return undefined;
  // With the new one, who is there must be a quorum; otherwise the promotion itself could stop the writes.
  if (present.length + 1 < majorityOf(voters.length + 1)) return undefined;
  const replaced = voters.find(
    (member) => !member.isLeader && member.silentMs >= limits.deadAfterMs && isNeededByWitnesses(member, voters),
  );
  if (replaced !== undefined) {
    const why = `stable, and takes the place of ${nameOf(replaced)}, without which there are too few full voters for the witnesses`;
    return { kind: 'promote', id: first.id, name: nameOf(first), why };
  }
  const isEven = voters.length % 2 === 0;
  if (!isEven && (stable.length < 2 || voters.length + 2 > votersMax)) return undefined;
  const why = isEven
    ? `stable, and makes ${voters.length + 1} voters of ${voters.length}`
    : `stable, and with the next standby makes ${voters.length + 2} voters of ${voters.length}`;
  return { kind: 'promote', id: first.id, name: nameOf(first), why };
}

function notesOf(
  voters: readonly PilotedMember[],
  present: readonly PilotedMember[],
  standbys: readonly PilotedMember[],
  limits: AutopilotLimits,
): string[] {
  const notes: string[] = [];
  const count = voters.length;
  if (count % 2 === 0) {
    notes.push(`${count} voters bear no more than ${count - 1}: one more server makes ${count + 1}, which do`);
  }
  for (const standby of standbys) {
    if (!isStable(standby, limits)) notes.push(`${nameOf(standby)} is a standby and not stable yet`);
    else if (count % 2 === 1) notes.push(`${nameOf(standby)} is a standby until one more server comes`);
  }
  for (const voter of voters) {
    if (present.includes(voter)) continue;
    notes.push(`${nameOf(voter)} has not been heard of for ${Math.round(voter.silentMs / 1000)} s`);
  }
  return notes;
}

function nameOf(member: PilotedMember): string {
  return member.name === '' ? member.id.toString(16) : member.name;
}
