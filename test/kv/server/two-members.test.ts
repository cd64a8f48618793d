/** Two members are one too few for any loss, but a planned departure must leave a working store behind. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { putRequest } from '../../../src/kv/api.ts';
import { present } from '../../../src/env/assert.ts';
import { startTestMembers } from './test-members.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

test('of two members the leader can be removed: the other one leads alone', { timeout: 30_000 }, async (t) => {
  const left = Promise.withResolvers<void>();
  const members = await startTestMembers(2, {
    isStrictReconfiguration: false,
    onRemoved: () => left.resolve(),
  });
  t.after(() => Promise.all(members.map((member) => member.stop())));
  const first = present(members[0], 'a member');
  const leader = first.server.position().leader;
  const leading = present(
    members.find((member) => member.server.memberId === leader),
    'the leader',
  );
  const staying = present(
    members.find((member) => member !== leading),
    'the other one',
  );
  const { promise: leads, resolve } = Promise.withResolvers<void>();
  staying.server.onSoftState((state) => {
    if (state.leader === staying.server.memberId) resolve();
  });
  await leading.server.memberRemove(leader);
  await left.promise;
  await leading.stop();
  await leads;
  const { revision } = await staying.server.put(putRequest({ key: bytes('a'), value: bytes('1') }));
  assert.ok(revision > 1);
  assert.equal(staying.server.position().leader, staying.server.memberId);
});
