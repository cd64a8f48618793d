/** The autopilot's decisions, one situation each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { present } from '../../../src/env/assert.ts';
import { describeAutopilot } from '../../../src/kv/server/autopilot-words.ts';
import { majorityOf, type PilotedMember, planMembership } from '../../../src/kv/server/autopilot-plan.ts';

const limits = { deadAfterMs: 60_000, stableAfterMs: 10_000, absentAfterMs: 2_000 };

type What = 'leader' | 'voter' | 'absentVoter' | 'deadVoter' | 'standby' | 'newStandby' | 'deadStandby';

function membersOf(...whats: What[]): PilotedMember[] {
  return whats.map((what, at) => ({
    id: at + 1,
    name: `m${at + 1}`,
    isLearner: /standby/i.test(what),
    isLeader: what === 'leader',
    silentMs: what.startsWith('dead') ? 61_000 : what === 'absentVoter' ? 5_000 : 0,
    stableMs: what === 'newStandby' || /dead|absent/.test(what) ? 0 : 20_000,
  }));
}

function decide(...whats: What[]): string {
  const { decision } = planMembership(membersOf(...whats), limits);
  return decision === undefined ? 'nothing' : `${decision.kind} ${decision.name}`;
}

test('a second server waits as a standby, and is named', () => {
  assert.equal(decide('leader', 'standby'), 'nothing');
  const plan = planMembership(membersOf('leader', 'standby'), limits);
  assert.deepEqual(plan.notes, ['m2 is a standby until one more server comes']);
  assert.deepEqual([plan.voters, plan.tolerance, plan.standbys], [1, 0, ['m2']]);
});

test('when a third server comes, both standbys are promoted, one after the other', () => {
  assert.equal(decide('leader', 'standby', 'standby'), 'promote m2');
  assert.equal(decide('leader', 'voter', 'standby'), 'promote m3');
});

test('a fourth server waits, and a fifth makes five voters', () => {
  assert.equal(decide('leader', 'voter', 'voter', 'standby'), 'nothing');
  assert.equal(decide('leader', 'voter', 'voter', 'standby', 'standby'), 'promote m4');
});

test('only a stable standby is promoted', () => {
  assert.equal(decide('leader', 'voter', 'newStandby'), 'nothing');
  assert.equal(decide('leader', 'standby', 'newStandby'), 'nothing');
});

test('a dead voter makes room for a standby', () => {
  assert.equal(decide('leader', 'voter', 'deadVoter', 'standby'), 'remove m3');
  assert.equal(decide('leader', 'voter', 'standby'), 'promote m3');
});

test('a dead voter without a standby stays: two voters bear no more than two of three', () => {
  assert.equal(decide('leader', 'voter', 'deadVoter'), 'nothing');
  assert.equal(decide('leader', 'voter', 'voter', 'voter', 'deadVoter'), 'nothing');
});

test('two dead voters of five go, as three bear one more', () => {
  assert.equal(decide('leader', 'voter', 'voter', 'deadVoter', 'deadVoter'), 'remove m4');
  assert.equal(decide('leader', 'voter', 'voter', 'deadVoter'), 'remove m4');
});

test('nobody is removed when those who are there would be no quorum without', () => {
  assert.equal(decide('leader', 'deadVoter', 'deadVoter', 'standby'), 'nothing');
  assert.equal(decide('leader', 'absentVoter', 'deadVoter', 'standby'), 'nothing');
});

test('who has just fallen silent is not dead', () => {
  assert.equal(decide('leader', 'voter', 'absentVoter', 'standby'), 'nothing');
});

test('a dead standby is removed, as it stands in the way of the next one', () => {
  assert.equal(decide('leader', 'voter', 'voter', 'deadStandby'), 'remove m4');
});

test('nothing is promoted when the voters that are there would be no quorum with one more', () => {
  assert.equal(
    decide('leader', 'absentVoter', 'absentVoter', 'voter', 'absentVoter', 'absentVoter', 'standby'),
    'nothing',
  );
});

test('an even number of voters is named', () => {
  const { notes } = planMembership(membersOf('leader', 'voter'), limits);
  assert.deepEqual(notes, ['2 voters bear no more than 1: one more server makes 3, which do']);
});

test('whatever the cluster, each decision keeps a quorum of those who are there, and decisions come to an end', () => {
  const whats: What[] = ['voter', 'absentVoter', 'deadVoter', 'standby', 'newStandby', 'deadStandby'];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...whats), { maxLength: 9 }), (others) => {
      let members = membersOf('leader', ...others);
      const hadQuorum = planMembership(members, limits).tolerance >= 0;
      for (let step = 0; ; step += 1) {
        assert.ok(step < 20, 'decisions come to an end');
        const { decision, tolerance } = planMembership(members, limits);
        if (hadQuorum) assert.ok(tolerance >= 0, 'a decision never costs the quorum');
        if (decision === undefined) break;
        assert.ok(!members.find(({ id }) => id === decision.id)?.isLeader, 'the leader is left alone');
        members =
          decision.kind === 'remove'
            ? members.filter(({ id }) => id !== decision.id)
            : members.map((member) => (member.id === decision.id ? { ...member, isLearner: false } : member));
      }
      assert.ok(majorityOf(members.filter(({ isLearner }) => !isLearner).length) > 0);
    }),
    { numRuns: 500, seed: 4 },
  );
});

test('a witness counts as a voter, and a dead full one beside it goes only once a standby votes', () => {
  const witness = { ...present(membersOf('voter')[0], 'a member'), id: 9, name: 'w', isWitness: true };
  const plan = (...whats: What[]) => planMembership([...membersOf(...whats), witness], limits);
  assert.deepEqual([plan('leader', 'voter').voters, plan('leader', 'voter').witnesses], [3, 1]);
  assert.equal(plan('leader', 'voter', 'standby').decision, undefined, 'three voters are odd');
  assert.equal(plan('leader', 'deadVoter').decision, undefined);
  const promoted = plan('leader', 'deadVoter', 'standby').decision;
  assert.deepEqual([promoted?.kind, promoted?.name], ['promote', 'm3']);
  assert.match(promoted?.why ?? '', /takes the place of m2/);
  const removed = plan('leader', 'deadVoter', 'voter').decision;
  assert.deepEqual([removed?.kind, removed?.name], ['remove', 'm2']);
});

test('a dead witness is removed when its vote is worth less than its silence costs, and never promoted', () => {
  const dead = { ...present(membersOf('deadVoter')[0], 'a member'), id: 9, name: 'w', isWitness: true };
  const plan = (...whats: What[]) => planMembership([...membersOf(...whats), dead], limits);
  assert.equal(plan('leader', 'voter').decision, undefined, 'two of three bear as much as two of two');
  assert.deepEqual(plan('leader', 'voter', 'voter').decision?.name, 'w');
});

test('words name the numbers, what is done and what is waited for', () => {
  const words = (...whats: What[]) => describeAutopilot(planMembership(membersOf(...whats), limits));
  assert.equal(words('leader', 'voter', 'voter'), '3 voters: nothing to wait for');
  assert.equal(words('leader', 'standby'), '1 voter + 1 standby: m2 is a standby until one more server comes');
  assert.match(words('leader', 'voter', 'newStandby'), /^2 voters \+ 1 standby: .*m3 is a standby and not stable yet$/);
  assert.match(words('leader', 'voter', 'standby'), /^2 voters \+ 1 standby: to promote m3: stable/);
});
