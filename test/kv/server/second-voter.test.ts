/** The second voter of a cluster: from the moment it is added nothing is decided without it, also not who it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { putRequest, rangeRequest } from '../../../src/kv/api.ts';
import { freePorts } from '../../support/free-ports.ts';
import { joinTestMember, startTestMembers, type TestMember } from './test-members.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

test('a member that is added to a lone one as a voter joins, although there is no quorum without it', async (t) => {
  const [first] = (await startTestMembers(1)) as [TestMember];
  t.after(() => first.stop());
  await first.server.put(putRequest({ key: bytes('before'), value: bytes('1') }));
  const [port] = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;
  await first.server.memberAdd([url], false);
  const second = await joinTestMember([first], 'm2', url);
  t.after(() => second.stop());
  await second.server.put(putRequest({ key: bytes('after'), value: bytes('2') }));
  for (const { server } of [first, second]) {
    const { kvs } = await server.range(rangeRequest({ key: bytes('\0'), rangeEnd: bytes('\0') }));
    assert.deepEqual(
      kvs.map(({ key }) => Buffer.from(key).toString()),
      ['after', 'before'],
    );
    assert.equal((await server.members(true)).length, 2);
  }
});
