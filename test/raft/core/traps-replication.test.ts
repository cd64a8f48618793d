/** Mistakes that other implementations of Raft have made, each with a test: appends, snapshots and flow control. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toIndex, toPersistToken, toReplicaId, toTerm } from '../../../src/raft/core/numbers.ts';
import type { SnapshotMeta } from '../../../src/raft/core/types.ts';
import { confStateOf, describeConf, RaftHarness } from '../../support/raft-harness.ts';
import { entry, flush, step, cutOff, change, addLearner } from '../../support/raft-steps.ts';

test('an append that is older than the commit index is acknowledged up to it and cuts nothing', () => {
  const harness = RaftHarness.of(3);
  step(harness, 'app', { term: 1, entries: [entry(1, 1), entry(2, 1), entry(3, 1)], commit: 3 });
  flush(harness, 1);
  step(harness, 'app', { term: 1, entries: [entry(1, 1)], commit: 1 });
  const [answer] = flush(harness, 1);
  assert.ok(answer?.type === 'appResp' && !answer.reject && answer.index === 3);
  assert.equal(harness.core(1).status().lastIndex, 3);
});

test('a heartbeat never carries a commit index beyond what its receiver holds', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  cutOff(harness, 3);
  harness.propose(1, 'a');
  harness.stabilize();
  harness.tick(1);
  const beats = flush(harness, 1).filter((message) => message.type === 'heartbeat');
  assert.deepEqual(
    beats.map(({ to, commit }) => [to, commit]),
    [
      [2, 2],
      [3, 1],
    ],
  );
});

test('a snapshot behind the commit index is ignored', () => {
  const harness = RaftHarness.of(3);
  step(harness, 'app', { term: 1, entries: [entry(1, 1), entry(2, 1), entry(3, 1)], commit: 3 });
  flush(harness, 1);
  const snapshot: SnapshotMeta = { index: toIndex(2), term: toTerm(1), confState: confStateOf([1, 2, 3]) };
  step(harness, 'snap', { term: 1, snapshot });
  const ready = harness.ready(1);
  assert.equal(ready.persist?.snapshot, undefined);
  assert.deepEqual([harness.core(1).status().firstIndex, harness.core(1).status().lastIndex], [1, 3]);
});

test('a snapshot behind what is compacted already is ignored as well', () => {
  const harness = RaftHarness.of(3);
  step(harness, 'app', { term: 1, entries: [entry(1, 1), entry(2, 1), entry(3, 1)], commit: 3 });
  flush(harness, 1);
  harness.compact(1, 3);
  const snapshot: SnapshotMeta = { index: toIndex(2), term: toTerm(1), confState: confStateOf([1, 2, 3]) };
  step(harness, 'snap', { term: 1, snapshot });
  const [answer] = flush(harness, 1);
  assert.ok(answer?.type === 'appResp' && answer.index === 3);
  assert.equal(harness.core(1).status().applied, 3);
});

test('log, membership, commit and snapshot change as one step, and the log matches at the edge', () => {
  const harness = RaftHarness.of(3);
  const snapshot: SnapshotMeta = { index: toIndex(7), term: toTerm(3), confState: confStateOf([1, 2], [3]) };
  step(harness, 'snap', { term: 4, snapshot });
  const { committed, lastIndex, firstIndex, confState } = harness.core(1).status();
  assert.deepEqual([committed, lastIndex, firstIndex, describeConf(confState)], [7, 7, 8, 'voters(1 2) learners(3)']);
  step(harness, 'app', { term: 4, prevIndex: 7, prevTerm: 3, entries: [entry(8, 4)] });
  assert.equal(harness.core(1).status().lastIndex, 8);
});

test('two snapshots in a short time: the later one wins, and nothing is applied in between', () => {
  const harness = RaftHarness.of(3);
  const meta = (index: number): SnapshotMeta => ({
    index: toIndex(index),
    term: toTerm(1),
    confState: confStateOf([1, 2, 3]),
  });
  step(harness, 'snap', { term: 1, snapshot: meta(5) });
  harness.do(1, (core) => core.takeReady());
  step(harness, 'snap', { term: 1, snapshot: meta(9) });
  const second = harness.do(1, (core) => core.takeReady());
  assert.equal(second.persist?.snapshot?.index, 9);
  harness.do(1, (core) => core.persisted(toPersistToken(2)));
  harness.do(1, (core) => core.applied(toIndex(5)));
  assert.deepEqual(harness.do(1, (core) => core.takeReady()).committed, []);
  harness.do(1, (core) => core.applied(toIndex(9)));
  assert.equal(harness.core(1).status().applied, 9);
});

test('a membership change handed out before a snapshot does not change what the snapshot brought', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  change(harness, 1, addLearner(4));
  harness.at(3).isSlowDisk = true;
  for (let turn = 0; turn < 12; turn += 1) harness.turn();
  harness.network = [];
  while (harness.core(3).hasReady()) harness.ready(3);
  harness.persist(3);
  const ready = harness.ready(3);
  assert.ok(ready.committed.some(({ kind }) => kind === 'confChange'));
  const snapshot: SnapshotMeta = { index: toIndex(9), term: toTerm(1), confState: confStateOf([1, 2, 3], [5]) };
  step(harness, 'snap', { from: 1, to: 3, term: 1, snapshot });
  const conf = harness.do(3, (core) => core.applyConfChange({ steps: [addLearner(4)], context: new Uint8Array(0) }));
  assert.equal(describeConf(conf), 'voters(1 2 3) learners(5)');
});

test('a follower that catches up while its snapshot is under way is not stuck', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  cutOff(harness, 3);
  harness.propose(1, 'a');
  harness.stabilize();
  harness.compact(1, 2);
  step(harness, 'heartbeatResp', { from: 3, term: 1 });
  step(harness, 'appResp', { from: 3, term: 1, index: 2, reject: true, hintIndex: 1, hintTerm: 1 });
  assert.equal(harness.core(1).status().progress.get(toReplicaId(3))?.state, 'snapshot');
  step(harness, 'appResp', { from: 3, term: 1, index: 2 });
  assert.equal(harness.core(1).status().progress.get(toReplicaId(3))?.state, 'replicate');
});

test('a slow follower is not flooded, and goes on after its log was compacted away', () => {
  const harness = RaftHarness.of(3, { inflightMessagesMax: 2 });
  harness.elect(1);
  cutOff(harness, 3);
  for (let at = 0; at < 6; at += 1) {
    harness.propose(1, `p${at}`);
    const toSlow = harness.network.length;
    harness.ready(1);
    const sent = harness.network.slice(toSlow).filter(({ to, type }) => to === 3 && type === 'app');
    assert.equal(sent.length, at < 2 ? 1 : 0);
    harness.stabilize();
  }
  harness.compact(1, harness.core(1).status().applied);
  harness.isCut = () => false;
  harness.tickAll(4);
  assert.deepEqual(harness.at(3).state, harness.at(1).state);
});

test('lost appends reopen with the answer to a heartbeat', () => {
  const harness = RaftHarness.of(2, { inflightMessagesMax: 1 });
  harness.elect(1);
  harness.propose(1, 'a');
  flush(harness, 1);
  harness.network = [];
  harness.tickAll(2);
  assert.equal(harness.core(2).status().committed, 2);
});

test('what could not be sent is probed again from what is known', () => {
  const harness = RaftHarness.of(2);
  harness.elect(1);
  harness.propose(1, 'a');
  flush(harness, 1);
  harness.do(1, (core) => core.reportUnreachable(toReplicaId(2)));
  assert.equal(harness.core(1).status().progress.get(toReplicaId(2))?.next, 2);
});

test('a message has a size: many entries go in several, a large one still goes', () => {
  const harness = RaftHarness.of(2, { messageBytesMax: 100, inflightMessagesMax: 16 });
  harness.elect(1);
  for (let at = 0; at < 4; at += 1) harness.propose(1, 'x'.repeat(10));
  harness.propose(1, 'y'.repeat(500));
  const sizes = flush(harness, 1).flatMap((message) => (message.type === 'app' ? [message.entries.length] : []));
  assert.deepEqual(sizes, [2, 2, 1]);
});

test('a leader that commits nothing stops taking proposals, but one always fits', () => {
  const harness = RaftHarness.of(3, { uncommittedBytesMax: 100 });
  harness.elect(1);
  cutOff(harness, 2, 3);
  assert.equal(harness.propose(1, 'x'.repeat(1000)), 2);
  const refused = harness.do(1, (core) => core.propose(new Uint8Array(1)));
  assert.deepEqual(refused, { kind: 'dropped', reason: 'tooMuchUncommitted' });
  harness.isCut = () => false;
  harness.tickAll(2);
  assert.equal(harness.propose(1, 'y'), 3);
});
