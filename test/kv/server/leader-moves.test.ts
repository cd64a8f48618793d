/** Writes that are under way while leadership moves are answered as if nothing had been, and happen once. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { putRequest, rangeRequest } from '../../../src/kv/api.ts';
import { leaderOf, startTestMembers, type TestMember } from './test-members.ts';

let members: readonly TestMember[] = [];

before(async () => {
  members = await startTestMembers(3);
});

after(() => Promise.all(members.map((member) => member.stop())));

test('writes through every member, while leadership goes from one to the next, are all acknowledged and happen once', async () => {
  let moves = 0;
  let isOver = false;
  let count = 0;
  const write = async (member: TestMember): Promise<void> => {
    // At most some thousands of keys, should moving take long.
    while (!isOver && count < 5_000) {
      const key = Buffer.from(`key ${String(count++).padStart(5, '0')}`);
      await member.server.put(putRequest({ key, value: Buffer.from('value') }));
    }
  };
  const writers = members.flatMap((member) => Array.from({ length: 5 }, () => write(member)));
  while (moves < 5) {
    const leader = await leaderOf(members);
    const next = members[(members.indexOf(leader) + 1) % members.length] as TestMember;
    await leader.server.moveLeader(next.server.memberId);
    moves += 1;
  }
  isOver = true;
  await Promise.all(writers);
  const { kvs } = await (members[0] as TestMember).server.range(
    rangeRequest({ key: Buffer.from('key'), rangeEnd: Buffer.from('kez') }),
  );
  assert.equal(kvs.length, count);
  assert.deepEqual(
    kvs.filter(({ version }) => version !== 1),
    [],
    'none was written twice',
  );
  const counters = members.map((member) => member.server.counters());
  assert.deepEqual(
    counters.map((each) => each.proposalsFailed),
    [0, 0, 0],
  );
});
