/** What `keelson status` says, on real members. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type StoreView, verdictOf, viewStore } from '../../src/cli/store-view.ts';
import { realClock } from '../../src/env/real.ts';
import { withWitnesses } from '../../src/kv/server/cluster-config.ts';
import { joinTestMember, startTestMember, startTestMembers, type TestMember } from '../kv/server/test-members.ts';
import { freePorts } from '../support/free-ports.ts';

/** Slower than other tests: who is only kept waiting by a busy machine must not be taken for dead. */
const settings = { tickMs: 40, autopilot: { deadServerAfterMs: 60_000, stableAfterMs: 400 } };

const view = (...endpoints: string[]) => viewStore({ clock: realClock, endpoints });

/** Asks until the view is as wanted; the last one otherwise. */
async function viewUntil(endpoint: string, isWanted: (seen: StoreView) => boolean): Promise<StoreView> {
  const end = performance.now() + 20_000;
  for (;;) {
    const seen = await view(endpoint);
    if (isWanted(seen) || performance.now() > end) return seen;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('the second server of a store waits, and the status says for what; the third makes three voters', async (t) => {
  const members: TestMember[] = [...(await startTestMembers(1, settings))];
  t.after(() => Promise.all(members.map((member) => member.stop())));
  const [first] = members as [TestMember];
  const add = async (name: string) => {
    const [port] = (await freePorts(1)) as [number];
    const url = `http://127.0.0.1:${port}`;
    await first.server.memberAdd([url], true);
    members.push(await joinTestMember(members, name, url, settings));
  };
  await add('m2');
  const waits = /^autopilot: 1 voter \+ 1 standby: m2 is a standby until one more server comes$/;
  const two = await viewUntil(first.endpoint, (seen) => verdictOf(seen).some((line) => waits.test(line)));
  assert.match(verdictOf(two)[1] ?? '', waits);
  assert.equal(verdictOf(two)[0], 'quorum: 1 of 1 voters answer, 1 is needed; 0 more can be lost');
  assert.deepEqual(two.members.map(({ name, role, state }) => `${name} ${role} ${state}`).sort(), [
    'm1 voter leader',
    'm2 standby follower',
  ]);
  await add('m3');
  const three = await viewUntil(first.endpoint, (seen) => (seen.autopilot?.words ?? '').startsWith('3 voters:'));
  const [quorum, words, ...decisions] = verdictOf(three);
  assert.equal(quorum, 'quorum: 3 of 3 voters answer, 2 are needed; 1 more can be lost');
  assert.equal(words, 'autopilot: 3 voters: nothing to wait for');
  assert.equal(decisions.length, 2);
  for (const line of decisions)
    assert.match(line, /^ {2}\d{4}-\d\d-\d\dT[\d:.]+Z promote m[23]: stable, and .* \(done\)$/);
  assert.ok(Math.abs((three.autopilot?.decisions[0]?.atMs ?? 0) - Date.now()) < 60_000);
});

test('a witness is shown as one and counts, and the last voter alone says what is missing', async (t) => {
  const ports = await freePorts(3);
  const named = ports.map((port, index) => ({ name: `m${index + 1}`, peerUrls: [`http://127.0.0.1:${port}`] }));
  const initialCluster = withWitnesses(named, ['m3']);
  const members = await Promise.all(
    initialCluster.map(({ name, peerUrls, isWitness = false }) =>
      startTestMember({ name, peerUrls, initialCluster, isWitness, ...settings }),
    ),
  );
  const [first, second, witness] = members as [TestMember, TestMember, TestMember];
  t.after(() => Promise.all([second.stop(), witness.stop()]));
  await Promise.all(members.map(({ member }) => member.server.publish()));
  const words = 'autopilot: 3 voters (1 of them a witness): nothing to wait for';
  const all = await viewUntil(witness.endpoint, (seen) => verdictOf(seen).includes(words));
  assert.ok(verdictOf(all).includes(words), verdictOf(all).join('\n'));
  assert.equal(all.members.find(({ name }) => name === 'm3')?.role, 'witness');
  assert.equal(all.members.find(({ name }) => name === 'm3')?.revision, null);
  await first.stop();
  const one = await viewUntil(second.endpoint, (seen) => seen.up === 2 && seen.autopilot !== undefined);
  assert.match(verdictOf(one)[0] ?? '', /^quorum: 2 of 3 voters answer, 2 are needed; 0 more can be lost$/);
  assert.match(verdictOf(one)[1] ?? '', /m1 has not been heard of for \d+ s|nothing to wait for/);
});

test('a store that does not answer is told in one line', async () => {
  const [port] = (await freePorts(1)) as [number];
  await assert.rejects(view(`http://127.0.0.1:${port}`), /no member answers.*check that it runs/);
});
