/** What was accepted in a term is an entry of that term or none: whoever proposes again after a newer term relies on it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Message } from '../../../src/raft/core/types.ts';
import { RaftHarness } from '../../support/raft-harness.ts';
import { flush, step } from '../../support/raft-steps.ts';

const data = new Uint8Array([1, 2, 3]);

/** Three replicas of which 1 leads term 1, and the proposal that 2 has passed on to it and that is still on the way. */
function forwarded(): { readonly harness: RaftHarness; readonly proposal: Message & { type: 'prop' } } {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  const result = harness.do(2, (core) => core.propose(data));
  assert.deepEqual(result, { kind: 'accepted', term: 1 });
  const proposal = flush(harness, 2).find((message) => message.type === 'prop');
  assert.ok(proposal?.type === 'prop');
  assert.equal(proposal.term, 1);
  harness.network = [];
  return { harness, proposal };
}

const lastIndex = (harness: RaftHarness, id: number) => harness.core(id).status().lastIndex;

test('the leader of the term takes it in with that term', () => {
  const { harness, proposal } = forwarded();
  step(harness, 'prop', { ...proposal });
  const entry = harness.core(1).inspectLog().entries.at(-1);
  assert.deepEqual([entry?.term, entry?.data], [1, data]);
});

test('a leader that was elected again meanwhile does not take it in', () => {
  const { harness, proposal } = forwarded();
  harness.elect(2);
  harness.elect(1);
  const before = lastIndex(harness, 1);
  assert.ok(harness.core(1).status().term > proposal.term);
  step(harness, 'prop', { ...proposal });
  assert.equal(lastIndex(harness, 1), before);
});

test('a leader of an older term follows instead of taking it in', () => {
  const { harness, proposal } = forwarded();
  const before = lastIndex(harness, 1);
  step(harness, 'prop', { ...proposal, term: 5 });
  const { role, term, lastIndex: after } = harness.core(1).status();
  assert.deepEqual([role, term, after], ['follower', 5, before]);
});

test('nobody passes it on a second time', () => {
  const { harness, proposal } = forwarded();
  for (const role of ['follower', 'candidate'] as const) {
    step(harness, 'prop', { ...proposal, to: 3, term: harness.core(3).status().term });
    assert.equal(harness.core(3).hasReady(), false, `a ${role} has nothing to say to it`);
    // Without pre-vote answers it asks and asks; the proposal changes nothing about that.
    harness.do(3, (core) => core.campaign());
    flush(harness, 3);
    harness.network = [];
  }
});

test('who knows no leader does not accept it', () => {
  const { harness } = forwarded();
  harness.do(3, (core) => core.campaign());
  assert.deepEqual(
    harness.do(3, (core) => core.propose(data)),
    { kind: 'dropped', reason: 'noLeader' },
  );
});

test('a leader that gives leadership away drops what is passed on to it', () => {
  const { harness, proposal } = forwarded();
  harness.isCut = (_from, to) => to === 3;
  harness.do(1, (core) => core.propose(data));
  harness.do(1, (core) => core.transferLeader(harness.at(3).id));
  const before = lastIndex(harness, 1);
  step(harness, 'prop', { ...proposal });
  assert.equal(lastIndex(harness, 1), before);
});
