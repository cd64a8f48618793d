/** The autopilot on real members: who waits, who is promoted, who goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinTestMember, startTestMembers, type TestMember } from './test-members.ts';
import { freePorts } from '../../support/free-ports.ts';

/** Slower than other tests: who is only kept waiting by a busy machine must not be taken for dead. */
const settings = { tickMs: 40, autopilot: { deadServerAfterMs: 3_000, stableAfterMs: 400 } };

async function until(what: string, isTrue: () => boolean, limitMs = 20_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!isTrue()) {
    assert.ok(performance.now() < end, `waited until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('a second server waits, a third makes three voters, and a dead one is replaced by a standby', async (t) => {
  const members: TestMember[] = [...(await startTestMembers(1, settings))];
  t.after(() => Promise.all(members.map((member) => member.stop())));
  // On a busy machine leadership may move, and the next leader's autopilot goes on.
  const leader = () => members.find(({ server }) => server.status().raft.role === 'leader')?.server;
  const voters = () => leader()?.status().raft.confState.voters ?? [];
  const add = async (name: string) => {
    const [port] = (await freePorts(1)) as [number];
    const url = `http://127.0.0.1:${port}`;
    const [first] = members as [TestMember];
    await first.server.memberAdd([url], true);
    const joined = await joinTestMember(members, name, url, settings);
    members.push(joined);
    return joined;
  };
  await add('m2');
  await until('the standby is named', () =>
    (leader()?.status().autopilot?.notes ?? []).includes('m2 is a standby until one more server comes'),
  );
  assert.equal(voters().length, 1);
  const third = await add('m3');
  await until('there are three voters', () => voters().length === 3);
  const fourth = await add('m4');
  members.splice(members.indexOf(third), 1);
  await third.stop();
  await until('the dead one is gone and the standby votes', () => {
    const ids = voters();
    return ids.length === 3 && ids.some((id) => id === fourth.server.memberId);
  });
  const decisions = members.flatMap(({ server }) => server.status().autopilot?.decisions ?? []);
  assert.ok(decisions.some(({ kind, name, outcome }) => `${kind} ${name} ${outcome}` === 'promote m4 done'));
  const texts = await Promise.all(members.map(({ registry }) => registry.metrics()));
  assert.ok(texts.some((text) => /keelson_autopilot_promotions_total [1-9]/.test(text)));
});
