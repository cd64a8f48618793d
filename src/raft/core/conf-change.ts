/**
 * Membership algebra: a ConfState and a ConfChange give the next ConfState, or the reason why not. Pure; knows nothing
 * of logs or roles.
 *
 *   one step            simple change: the voter sets differ by at most one member, so old and new majorities overlap
 *   several steps       enter joint consensus (Raft thesis 4.3): outgoing = the voters so far, incoming = the new ones;
 *                       the leader leaves it by itself (autoLeave)
 *   no steps            leave joint consensus: only the incoming voters count from now on
 *
 * Witnesses (witness.ts) are voters that keep no state. No half of a membership has more of them than full voters: so no
 * quorum is without somebody who keeps state.
 *
 * A voter that becomes a learner while it still votes in the outgoing half waits in `learnersNext`, since nobody may be
 * voter and learner at once.
 */
import { assert } from '../../env/assert.ts';
import type { ConfChange, ConfChangeStep, ConfState, ReplicaId } from './types.ts';

/** Steps of one change. More members than this change in several changes; it bounds the encoded size. */
export const confChangeStepsMax = 64;

export const emptyConfState: ConfState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

type Outcome =
  | { readonly kind: 'changed'; readonly conf: ConfState }
  | { readonly kind: 'refused'; readonly why: string };

function refused(why: string): Outcome {
  return { kind: 'refused', why };
}

/** True in joint consensus. */
export function isJoint(conf: ConfState): boolean {
  return conf.votersOutgoing.length > 0;
}

/** Everyone a leader replicates to. */
export function membersOf(conf: ConfState): ReadonlySet<ReplicaId> {
  return new Set([...conf.voters, ...conf.votersOutgoing, ...conf.learners, ...conf.learnersNext]);
}

/** The next membership, or why there is none. */
export function changeMembership(conf: ConfState, change: ConfChange): Outcome {
  assertConfState(conf);
  const touched = new Set(change.steps.map((step) => step.replica));
  if (change.steps.length > confChangeStepsMax) return refused(`at most ${confChangeStepsMax} steps in one change`);
  if (touched.size < change.steps.length) return refused('a replica appears twice in one change');
  if (touched.has(0 as ReplicaId)) return refused('replica 0 is nobody');
  if (change.steps.length === 0) return leaveJoint(conf);
  if (isJoint(conf)) return refused('a joint configuration must be left before the next change');
  return change.steps.length === 1 ? simple(conf, change.steps) : enterJoint(conf, change.steps, true);
}

/** One member at a time, without joint consensus. */
export function simple(conf: ConfState, steps: readonly ConfChangeStep[]): Outcome {
  assert(!isJoint(conf), 'a simple change starts outside joint consensus');
  assert(steps.length === 1, 'a simple change is one step');
  const turned = turnedBy(conf, steps);
  if (turned !== undefined) return refused(turned);
  const sets = mutableSets(conf);
  for (const step of steps) applyStep(sets, step);
  if (sets.voters.size === 0) return refused('the change would leave no voter');
  const alone = tooManyWitnesses(sets);
  return alone === undefined ? { kind: 'changed', conf: frozen(sets, false) } : refused(alone);
}

/** Witnesses stay witnesses, and nobody else becomes one. */
function turnedBy(conf: ConfState, steps: readonly ConfChangeStep[]): string | undefined {
  const witnesses = new Set(conf.witnesses);
  const members = membersOf(conf);
  for (const { kind, replica } of steps) {
    const isMade = kind === 'addVoter' || kind === 'addLearner';
    if (isMade && witnesses.has(replica)) return 'a witness keeps no state: it stays one until it is removed';
    if (kind === 'addWitness' && members.has(replica) && !witnesses.has(replica))
      return 'a member does not become a witness';
  }
  return undefined;
}

function tooManyWitnesses({ voters, witnesses }: MutableSets): string | undefined {
  const count = [...witnesses].filter((id) => voters.has(id)).length;
  return areWitnessesCovered(voters.size - count, count) ? undefined : 'too few full voters for the witnesses';
}

/** A majority is then more than the witnesses alone. */
export function areWitnessesCovered(fullVoters: number, witnesses: number): boolean {
  assert(fullVoters >= 0 && witnesses >= 0, 'members are counted');
  return fullVoters >= witnesses;
}

/** Into joint consensus: both the old and the new voters must agree until it is left. */
export function enterJoint(conf: ConfState, steps: readonly ConfChangeStep[], autoLeave: boolean): Outcome {
  if (isJoint(conf)) return refused('a joint configuration must be left before the next change');
  if (conf.voters.length === 0) return refused('joint consensus needs voters to start from');
  const sets = mutableSets(conf);
  for (const id of conf.voters) sets.votersOutgoing.add(id);
  const turned = turnedBy(conf, steps);
  if (turned !== undefined) return refused(turned);
  for (const step of steps) applyStep(sets, step);
  if (sets.voters.size === 0) return refused('the change would leave no voter');
  const alone = tooManyWitnesses(sets);
  return alone === undefined ? { kind: 'changed', conf: frozen(sets, autoLeave) } : refused(alone);
}

/** Out of joint consensus: the outgoing voters go, and those demoted become learners. */
export function leaveJoint(conf: ConfState): Outcome {
  if (!isJoint(conf)) return refused('there is no joint configuration to leave');
  const sets = mutableSets(conf);
  for (const id of sets.learnersNext) sets.learners.add(id);
  sets.learnersNext.clear();
  sets.votersOutgoing.clear();
  for (const id of sets.witnesses) if (!sets.voters.has(id)) sets.witnesses.delete(id);
  assert(sets.voters.size > 0, 'a joint configuration has incoming voters');
  return { kind: 'changed', conf: frozen(sets, false) };
}

/** What must hold in every membership. */
export function assertConfState(conf: ConfState): void {
  const voters = new Set(conf.voters);
  const outgoing = new Set(conf.votersOutgoing);
  const learners = new Set(conf.learners);
  assert(!voters.has(0 as ReplicaId) && !learners.has(0 as ReplicaId), 'nobody is not a member');
  assert(voters.size === conf.voters.length && learners.size === conf.learners.length, 'no member is listed twice');
  assert(voters.size > 0 || membersOf(conf).size === 0, 'a membership with members has voters');
  for (const id of learners) assert(!voters.has(id) && !outgoing.has(id), () => `learner ${id} votes`);
  for (const id of conf.learnersNext) {
    assert(
      outgoing.has(id) && !voters.has(id),
      () => `${id} is to become a learner, so it votes in the outgoing half only`,
    );
  }
  assertWitnesses(conf);
  if (outgoing.size > 0) return;
  assert(conf.learnersNext.length === 0, 'only a joint configuration has future learners');
  assert(!conf.autoLeave, 'only a joint configuration is left');
}

function assertWitnesses({ voters, votersOutgoing, witnesses = [] }: ConfState): void {
  assert(new Set(witnesses).size === witnesses.length, 'no witness is listed twice');
  for (const id of witnesses) {
    assert(voters.includes(id) || votersOutgoing.includes(id), () => `witness ${id} does not vote`);
  }
  for (const half of [voters, votersOutgoing]) {
    const count = witnesses.filter((id) => half.includes(id)).length;
    assert(areWitnessesCovered(half.length - count, count), () => `${count} witnesses among ${half.length} voters`);
  }
}

interface MutableSets {
  readonly witnesses: Set<ReplicaId>;
  readonly voters: Set<ReplicaId>;
  readonly votersOutgoing: Set<ReplicaId>;
  readonly learners: Set<ReplicaId>;
  readonly learnersNext: Set<ReplicaId>;
}

function mutableSets(conf: ConfState): MutableSets {
  return {
    voters: new Set(conf.voters),
    votersOutgoing: new Set(conf.votersOutgoing),
    learners: new Set(conf.learners),
    learnersNext: new Set(conf.learnersNext),
    witnesses: new Set(conf.witnesses),
  };
}

function applyStep(sets: MutableSets, step: ConfChangeStep): void {
  const id = step.replica;
  assert(id > 0, 'a step names a replica');
  sets.voters.delete(id);
  sets.learners.delete(id);
  sets.learnersNext.delete(id);
  // Who still votes in the outgoing half is a witness there until that is left.
  if (!sets.votersOutgoing.has(id)) sets.witnesses.delete(id);
  if (step.kind === 'addVoter' || step.kind === 'addWitness') sets.voters.add(id);
  if (step.kind === 'addWitness') sets.witnesses.add(id);
  if (step.kind === 'addLearner') (sets.votersOutgoing.has(id) ? sets.learnersNext : sets.learners).add(id);
}

function frozen(sets: MutableSets, autoLeave: boolean): ConfState {
  const sorted = (ids: ReadonlySet<ReplicaId>): ReplicaId[] => [...ids].sort((left, right) => left - right);
  const conf: ConfState = {
    voters: sorted(sets.voters),
    votersOutgoing: sorted(sets.votersOutgoing),
    learners: sorted(sets.learners),
    learnersNext: sorted(sets.learnersNext),
    autoLeave,
    ...(sets.witnesses.size > 0 && { witnesses: sorted(sets.witnesses) }),
  };
  assertConfState(conf);
  return conf;
}
