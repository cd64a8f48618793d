import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Member } from '../../../src/kv/api.ts';
import {
  bootstrapMembers,
  clusterIdOf,
  memberIdOf,
  parseInitialCluster,
} from '../../../src/kv/server/cluster-config.ts';
import { arePeerUrlsValid, changeRefusal, wouldLoseQuorum } from '../../../src/kv/server/member-rules.ts';

const member = (id: number, name: string, isLearner = false): Member => ({
  id,
  name,
  peerUrls: [`http://127.0.0.1:${2380 + id}`],
  clientUrls: [],
  isLearner,
});

const tableOf = (members: readonly Member[], removed: readonly number[] = []) => ({
  members: () => new Map(members.map((item) => [item.id, item])),
  removedMembers: () => new Set(removed),
});

test('every member computes the same ids from the same flags, and other flags give other ids', () => {
  const one = parseInitialCluster('m1=http://a:1,m2=http://b:1');
  const other = parseInitialCluster('m2=http://b:1,m1=http://a:1');
  assert.deepEqual(bootstrapMembers(one, 't'), bootstrapMembers(other, 't'));
  const ids = bootstrapMembers(one, 't').map((item) => item.id);
  assert.equal(clusterIdOf(ids, 't'), clusterIdOf([...ids].reverse(), 't'));
  assert.notEqual(memberIdOf(['http://a:1'], 't'), memberIdOf(['http://a:1'], 'u'));
  assert.ok(ids.every((id) => Number.isSafeInteger(id) && id > 0));
});

test('an initial cluster that makes no sense is refused with one line', () => {
  for (const text of ['m1', 'm1=a:1', 'm1=http://a', '=http://a:1', 'm1=http://a:1,m2=http://a:1']) {
    assert.throws(() => parseInitialCluster(text), { code: 'BAD_CLUSTER' }, text);
  }
});

test('a change that the table does not allow is refused with etcd’s error', () => {
  const table = tableOf([member(1, 'a'), member(2, 'b', true)], [9]);
  assert.equal(changeRefusal(table, { kind: 'add', member: member(1, '') }, 1), 'memberExists');
  assert.equal(changeRefusal(table, { kind: 'add', member: member(9, '') }, 1), 'memberIdRemoved');
  const sameUrl = { ...member(3, ''), peerUrls: ['http://127.0.0.1:2381'] };
  assert.equal(changeRefusal(table, { kind: 'add', member: sameUrl }, 1), 'peerUrlExists');
  assert.equal(changeRefusal(table, { kind: 'add', member: member(3, '', true) }, 1), 'tooManyLearners');
  assert.equal(changeRefusal(table, { kind: 'add', member: member(3, '', true) }, 2), undefined);
  assert.equal(changeRefusal(table, { kind: 'remove', id: 3 }, 1), 'memberNotFound');
  assert.equal(changeRefusal(table, { kind: 'promote', id: 1 }, 1), 'memberNotLearner');
  assert.equal(changeRefusal(table, { kind: 'promote', id: 2 }, 1), undefined);
});

test('the strict check keeps a quorum of started members', () => {
  const three = [member(1, 'a'), member(2, 'b'), member(3, '')];
  assert.equal(wouldLoseQuorum([member(1, 'a')], { kind: 'add', member: member(2, '') }), false);
  assert.equal(wouldLoseQuorum(three, { kind: 'add', member: member(4, '') }), true);
  assert.equal(wouldLoseQuorum(three, { kind: 'add', member: member(4, '', true) }), false);
  assert.equal(wouldLoseQuorum(three, { kind: 'remove', id: 1 }), true);
  assert.equal(wouldLoseQuorum(three, { kind: 'remove', id: 3 }), false);
  assert.equal(wouldLoseQuorum([member(1, 'a')], { kind: 'remove', id: 1 }), true);
});

test('peer URLs are addresses and nothing more', () => {
  assert.equal(arePeerUrlsValid(['http://a:1', 'https://b:2']), true);
  for (const urls of [[], ['a:1'], ['http://a'], ['http://a:1/path'], ['http://a:1', 'http://a:1']]) {
    assert.equal(arePeerUrlsValid(urls), false, urls.join());
  }
});
