/** Whose data is wrong: the decisions, one rule at a time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compactionVerdict, corruptMembers, differingPeers, type PeerHash } from '../../../src/kv/server/corruption.ts';

const own = { hash: 7, compactRevision: 3, revision: 9 };
const peer = (memberId: number, differing: Partial<PeerHash> = {}): PeerHash => ({
  ...own,
  headRevision: 9,
  memberId,
  ...differing,
});
const view = { memberId: 1, before: own, after: own };

test('at the start only equal revisions are compared', () => {
  assert.deepEqual(differingPeers(own, [peer(2), peer(3)]), []);
  assert.deepEqual(differingPeers(own, [peer(2, { hash: 8 }), peer(3)]), [2]);
  assert.deepEqual(differingPeers(own, [peer(2, { hash: 8, compactRevision: 4 })]), []);
});

test('a follower whose hash differs is corrupt, one that is compacted otherwise is left alone', () => {
  assert.deepEqual(corruptMembers(view, [peer(2), peer(3, { hash: 8 })]), [3]);
  assert.deepEqual(corruptMembers(view, [peer(2, { hash: 8, compactRevision: 2 })]), []);
});

test('nobody can be ahead of a confirmed leader', () => {
  assert.deepEqual(corruptMembers(view, [peer(2, { headRevision: 10 })]), [2]);
  assert.deepEqual(corruptMembers(view, [peer(2, { compactRevision: 4 })]), [2]);
  const after = { ...own, revision: 12, compactRevision: 5, hash: 1 };
  assert.deepEqual(corruptMembers({ ...view, after }, [peer(2, { headRevision: 12, compactRevision: 5 })]), []);
});

test('a leader whose own data changes by itself is corrupt', () => {
  assert.deepEqual(corruptMembers({ ...view, after: { ...own, hash: 8 } }, [peer(2)]), [1]);
  assert.deepEqual(corruptMembers({ ...view, after: { ...own, hash: 8, revision: 10 } }, [peer(2)]), []);
});

test('at a compaction the majority of the cluster is right, even against the leader', () => {
  const leader = { ...own, memberId: 1 };
  assert.deepEqual(compactionVerdict(leader, [peer(2), peer(3)], 3), { kind: 'equal' });
  assert.deepEqual(compactionVerdict(leader, [peer(2), peer(3, { hash: 8 })], 3), { kind: 'corrupt', members: [3] });
  assert.deepEqual(compactionVerdict(leader, [peer(2, { hash: 8 }), peer(3, { hash: 8 })], 3), {
    kind: 'corrupt',
    members: [1],
  });
  assert.deepEqual(compactionVerdict(leader, [peer(2, { hash: 8 })], 3), { kind: 'undecided' });
  assert.deepEqual(compactionVerdict(leader, [peer(2, { hash: 8 }), peer(3, { hash: 9 })], 3), { kind: 'undecided' });
});
