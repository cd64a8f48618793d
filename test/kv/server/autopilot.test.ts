/** The autopilot on real members: who waits, who is promoted, who goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinTestMember, startTestMembers, type TestMember } from './test-members.ts';
import { freePorts } from '../../support/free-ports.ts';

const autopilot = { deadServerAfterMs: 1_500, stableAfterMs: 300 };

async function until(what: string, isTrue: () => boolean, limitMs = 20_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!isTrue()) {
    assert.ok(performance.now() < end, `waited until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('a second server waits, a third makes three voters, and a dead one is replaced by a standby', async (t) => {
  const members: TestMember[] = [...(await startTestMembers(1, { autopilot }))];
  t.after(() => Promise.all(members.map((member) => member.stop())));
  const [first] = members as [TestMember];
  const voters = () => first.server.status().raft.confState.voters.length;
  const add = async (name: string) => {
    const [port] = (await freePorts(1)) as [number];
    const url = `http://127.0.0.1:${port}`;
    await first.server.memberAdd([url], true);
    const joined = await joinTestMember(members, name, url, { autopilot });
    members.push(joined);
    return joined;
  };
  await add('m2');
  await until('the standby is named', () =>
    (first.server.status().autopilot?.notes ?? []).includes('m2 is a standby until one more server comes'),
  );
  assert.equal(voters(), 1);
  await add('m3');
  await until('there are three voters', () => voters() === 3);
  const fourth = await add('m4');
  const third = members[2] as TestMember;
  members.splice(2, 1);
  await third.stop();
  await until('the dead one is gone and the standby votes', () => {
    const { confState } = first.server.status().raft;
    return confState.voters.length === 3 && confState.voters.some((id) => id === fourth.server.memberId);
  });
  const status = first.server.status().autopilot;
  assert.deepEqual(status?.decisions.map(({ kind, name }) => `${kind} ${name}`).reverse(), [
    'promote m2',
    'promote m3',
    'remove m3',
    'promote m4',
  ]);
  assert.match(await first.registry.metrics(), /keelson_autopilot_removals_total 1/);
});
