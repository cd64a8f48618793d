/** Raft paper, sections 5.1, 5.2 and 5.4.1, and thesis 4.2.3 and 9.6: terms, votes and elections, one test per rule. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toIndex, toReplicaId, toTerm } from '../../../src/raft/core/numbers.ts';
import type { Message, MessageType } from '../../../src/raft/core/types.ts';
import { RaftHarness } from '../../support/raft-harness.ts';
import { messageOf } from '../../support/raft-messages.ts';

function sent(harness: RaftHarness, id: number, type: MessageType): Message[] {
  while (harness.core(id).hasReady()) harness.ready(id);
  harness.persist(id);
  return harness.network.filter((message) => message.from === id && message.type === type);
}

function stateOf(harness: RaftHarness, id: number): [string, number] {
  const { role, term } = harness.core(id).status();
  return [role, term];
}

function vote(from: number, term: number, last: readonly [number, number] = [0, 0]): Message {
  const [index, lastTerm] = last;
  const fields = { lastIndex: toIndex(index), lastTerm: toTerm(lastTerm) };
  return messageOf('vote', { from: toReplicaId(from), term: toTerm(term), ...fields });
}

test('5.1: a replica that learns of a later term takes it over and follows', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.do(1, (core) => core.step(messageOf('appResp', { term: toTerm(7) })));
  assert.deepEqual(stateOf(harness, 1), ['follower', 7]);
});

test('5.1: a request of an earlier term is refused and told the present one', () => {
  const harness = RaftHarness.of(3, { preVote: false });
  harness.elect(1);
  harness.elect(2);
  const term = harness.core(1).status().term;
  harness.do(1, (core) => core.step(messageOf('app', { from: toReplicaId(3), term: toTerm(term - 1) })));
  const [answer] = sent(harness, 1, 'appResp');
  assert.equal(answer?.term, term);
  assert.equal(harness.core(1).status().leader, 2);
});

test('5.2: replicas start as followers', () => {
  const harness = RaftHarness.of(3);
  for (const id of [1, 2, 3]) assert.deepEqual(stateOf(harness, id), ['follower', 0]);
});

test('5.2: a leader sends heartbeats to everybody, all the time', () => {
  const harness = RaftHarness.of(3, { heartbeatTicks: 2 });
  harness.elect(1);
  harness.tick(1, 2);
  assert.deepEqual(
    sent(harness, 1, 'heartbeat').map(({ to }) => to),
    [2, 3],
  );
});

test('5.2: a follower that hears nothing raises its term, votes for itself and asks the others', () => {
  const harness = RaftHarness.of(3, { preVote: false });
  harness.tick(1, 10);
  assert.deepEqual(stateOf(harness, 1), ['candidate', 1]);
  assert.equal(harness.core(1).status().vote, 1);
  assert.deepEqual(
    sent(harness, 1, 'vote').map(({ to }) => to),
    [2, 3],
  );
});

test('5.2: a candidate whose time-out ends without a winner starts over in the next term', () => {
  const harness = RaftHarness.of(3, { preVote: false });
  harness.tick(1, 20);
  assert.deepEqual(stateOf(harness, 1), ['candidate', 2]);
});

for (const [voters, granted, refused, role] of [
  [1, 0, 0, 'leader'],
  [3, 1, 0, 'leader'],
  [3, 0, 2, 'follower'],
  [3, 0, 1, 'candidate'],
  [5, 2, 2, 'leader'],
  [5, 2, 0, 'leader'],
  [5, 1, 2, 'candidate'],
  [5, 0, 3, 'follower'],
] as const) {
  test(`5.2: of ${voters} voters, ${granted} grants and ${refused} refusals make the candidate ${role}`, () => {
    const harness = RaftHarness.of(voters, { preVote: false });
    harness.do(1, (core) => core.campaign());
    harness.ready(1);
    harness.persist(1);
    for (let at = 0; at < granted + refused && harness.core(1).status().role === 'candidate'; at += 1) {
      const answer = messageOf('voteResp', { from: toReplicaId(at + 2), term: toTerm(1), reject: at >= granted });
      harness.do(1, (core) => core.step(answer));
    }
    assert.equal(harness.core(1).status().role, role);
  });
}

test('5.2: a voter gives one vote in a term, to the first who asks, and gives it again to the same', () => {
  const harness = RaftHarness.of(3, { preVote: false });
  const answers = [2, 3, 2].map((from) => {
    harness.do(1, (core) => core.step(vote(from, 1)));
    const answer = sent(harness, 1, 'voteResp').at(-1);
    return answer?.type === 'voteResp' && !answer.reject;
  });
  assert.deepEqual(answers, [true, false, true]);
});

test('5.2: a candidate follows whoever won its term', () => {
  const harness = RaftHarness.of(3, { preVote: false });
  harness.do(1, (core) => core.campaign());
  harness.do(1, (core) => core.step(messageOf('heartbeat', { term: toTerm(1) })));
  assert.deepEqual(stateOf(harness, 1), ['follower', 1]);
  assert.equal(harness.core(1).status().leader, 2);
});

test('5.2: time-outs are random in [electionTicks, 2·electionTicks), and drawn anew', () => {
  for (const extra of [0, 3, 9]) {
    const harness = RaftHarness.of(3, { preVote: false, random: (bound) => extra % bound });
    harness.tick(1, 9 + extra);
    assert.equal(harness.core(1).status().role, 'follower');
    harness.tick(1);
    assert.equal(harness.core(1).status().role, 'candidate');
  }
});

for (const [own, asked, granted] of [
  [[1, 1], [1, 1], true],
  [[1, 1], [2, 1], true],
  [[2, 1], [1, 1], false],
  [[3, 1], [1, 2], true],
  [[1, 2], [3, 1], false],
] as const) {
  test(`5.4.1: a log ending ${own.join('/')} ${granted ? 'votes' : 'does not vote'} for one ending ${asked.join('/')}`, () => {
    const harness = RaftHarness.of(3, { preVote: false });
    const entries = Array.from({ length: own[0] }, (_, at) => {
      const term = toTerm(at + 1 === own[0] ? own[1] : 1);
      return { term, index: toIndex(at + 1), kind: 'normal' as const, data: new Uint8Array(0) };
    });
    harness.do(1, (core) => core.step(messageOf('app', { term: toTerm(2), entries })));
    harness.tick(1, 10);
    harness.network = [];
    harness.do(1, (core) => core.step(vote(3, 9, asked)));
    const [answer] = sent(harness, 1, 'voteResp');
    assert.ok(answer?.type === 'voteResp');
    assert.equal(answer.reject, !granted);
  });
}

test('thesis 4.2.3: who follows a live leader does not listen to a candidate, not even to its term', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.do(2, (core) => core.step({ ...vote(3, 9, [9, 9]), to: toReplicaId(2) }));
  assert.deepEqual(stateOf(harness, 2), ['follower', 1]);
  assert.deepEqual(sent(harness, 2, 'voteResp'), []);
});

test('thesis 6.2: a leader that hears of no quorum for an election time-out steps down', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.isCut = () => true;
  harness.tickAll(20);
  assert.notEqual(harness.core(1).status().role, 'leader');
});

test('thesis 9.6: a pre-candidate changes neither its own term nor vote, nor anybody else’s', () => {
  const harness = RaftHarness.of(3);
  harness.do(1, (core) => core.campaign());
  assert.deepEqual(stateOf(harness, 1), ['preCandidate', 0]);
  assert.equal(harness.core(1).status().vote, 0);
  for (const message of sent(harness, 1, 'preVote')) harness.deliver(message);
  for (const id of [2, 3])
    assert.deepEqual([...stateOf(harness, id), harness.core(id).status().vote], ['follower', 0, 0]);
});

test('thesis 9.6: who comes back from a partition does not depose the leader', () => {
  const harness = RaftHarness.of(3);
  harness.elect(1);
  harness.isCut = (from, to) => from === 3 || to === 3;
  harness.tickAll(100);
  harness.isCut = () => false;
  harness.tickAll(3);
  assert.deepEqual(stateOf(harness, 1), ['leader', 1]);
  assert.deepEqual(stateOf(harness, 3), ['follower', 1]);
});

test('thesis 9.6: without pre-vote the same replica would depose it', () => {
  const harness = RaftHarness.of(3, { preVote: false });
  harness.elect(1);
  harness.isCut = (from, to) => from === 3 || to === 3;
  harness.tickAll(100);
  harness.isCut = () => false;
  harness.tickAll(3);
  assert.ok(harness.core(3).status().term > 1);
});
