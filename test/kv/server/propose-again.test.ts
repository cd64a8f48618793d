/** A request whose leader went is proposed again, so that it happens once: when, and when not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { seededRandom } from '../../../chaos/sim/random.ts';
import { type ApplyResult, putRequest } from '../../../src/kv/api.ts';
import { openKvState } from '../../../src/kv/apply/index.ts';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';
import { KvError } from '../../../src/kv/errors.ts';
import { Proposer } from '../../../src/kv/server/proposer.ts';
import { type ChangeOutcome, StoreMachine } from '../../../src/kv/server/state-machine.ts';
import { Waiters } from '../../../src/kv/server/waiters.ts';
import { encodeConfChange } from '../../../src/raft/core/conf-change-codec.ts';
import type { ConfChange, Entry, Index, ProposeResult, RaftNode, ReplicaId, Term } from '../../../src/raft/index.ts';
import { StepClock } from '../../support/step-clock.ts';

const timeoutMs = 7_000;
const put = { kind: 'put', request: putRequest({ key: Buffer.from('key'), value: Buffer.from('value') }) } as const;

interface Proposed {
  readonly term: number;
  readonly kind: Entry['kind'];
  readonly data: Uint8Array;
}

/** One member over a Raft that is played by the test: what it accepts lies in `proposed`, and is applied by hand. */
async function member() {
  const clock = new StepClock();
  const requests = new Waiters<ApplyResult>(clock);
  const changes = new Waiters<ChangeOutcome>(clock);
  const kv = await openKvState({ backend: createMemoryBackend() });
  const machine = new StoreMachine({
    memberId: 1,
    kv,
    requests,
    changes,
    learnersMax: 1,
    onApplied: () => undefined,
    onUnpublished: () => undefined,
    onMembers: () => undefined,
    onRestored: () => undefined,
    onRemoved: () => undefined,
  });
  const raft = { term: 1, hasLeader: true, isLeader: false };
  const proposed: Proposed[] = [];
  const accept = (kind: Entry['kind'], data: Uint8Array): ProposeResult => {
    if (!raft.hasLeader) return { kind: 'dropped', reason: 'noLeader' };
    proposed.push({ term: raft.term, kind, data });
    const index = raft.isLeader ? { index: proposed.length as Index } : {};
    return { kind: 'accepted', term: raft.term as Term, ...index };
  };
  const node = {
    propose: (data: Uint8Array) => accept('normal', data),
    proposeConfChange: (change: ConfChange) => accept('confChange', encodeConfChange(change)),
    status: () => ({ role: raft.isLeader ? 'leader' : 'follower' }),
  } as unknown as RaftNode;
  const proposer = new Proposer({
    clock,
    random: seededRandom('propose-again'),
    memberId: 1,
    raft: () => node,
    requests,
    changes,
    timeoutMs,
    requestBytesMax: 1_000,
  });
  let index = 0;
  return {
    clock,
    raft,
    proposed,
    proposer,
    requests,
    kv,
    machine,
    /** Applies an entry that this member had proposed, in the term in which it was accepted. */
    apply({ term, data }: Proposed): void {
      machine.apply([{ index: ++index as Index, term: term as Term, kind: 'normal', data }]);
    },
    /** Applies a new leader's first entry. */
    newTerm(term: number): void {
      raft.term = term;
      machine.apply([{ index: ++index as Index, term: term as Term, kind: 'normal', data: new Uint8Array(0) }]);
    },
  };
}

/** How it ended, and undefined while it has not. */
function endOf(outcome: Promise<unknown>): () => string | undefined {
  let end: string | undefined;
  outcome.then(
    () => (end = 'done'),
    (error: unknown) => (end = error instanceof KvError ? error.kv : String(error)),
  );
  return () => end;
}

test('a request whose leader went is proposed again, with its own id, once a newer term has been applied', async () => {
  const { newTerm, proposed, proposer, apply, kv } = await member();
  newTerm(1);
  const outcome = proposer.propose(put, undefined);
  newTerm(2);
  await turn();
  assert.deepEqual(
    proposed.map(({ term }) => term),
    [1, 2],
  );
  assert.deepEqual(proposed[1]?.data, proposed[0]?.data);
  apply(proposed[1] as Proposed);
  assert.equal((await outcome).revision, 2);
  assert.equal(kv.revision(), 2);
});

test('it is not proposed again before: its entry may still be committed, and is, by the next leader', async () => {
  const { newTerm, proposed, proposer, apply, raft, clock, kv } = await member();
  newTerm(1);
  const outcome = proposer.propose(put, undefined);
  // Another leads term 2; what it has of term 1 comes first.
  raft.term = 2;
  clock.step(1_000);
  await turn();
  assert.equal(proposed.length, 1);
  apply(proposed[0] as Proposed);
  newTerm(2);
  await turn();
  assert.equal((await outcome).revision, 2);
  assert.deepEqual([proposed.length, kv.revision()], [1, 2]);
});

test('entries of the same term are no reason', async () => {
  const { newTerm, proposed, proposer, apply } = await member();
  newTerm(1);
  const first = proposer.propose(put, undefined);
  const second = proposer.propose(put, undefined);
  apply(proposed[1] as Proposed);
  await second;
  assert.equal(proposed.length, 2);
  apply(proposed[0] as Proposed);
  await first;
});

test('it may take several leaders', async () => {
  const { newTerm, proposed, proposer, apply } = await member();
  newTerm(1);
  const outcome = proposer.propose(put, undefined);
  for (const term of [2, 5, 6]) {
    newTerm(term);
    await turn();
  }
  assert.deepEqual(
    proposed.map(({ term }) => term),
    [1, 2, 5, 6],
  );
  apply(proposed[3] as Proposed);
  await outcome;
});

test('without a leader it waits for one, and is not asked for a thousand times', async () => {
  const { newTerm, proposed, proposer, apply, raft, clock } = await member();
  newTerm(1);
  const outcomes = Array.from({ length: 100 }, () => proposer.propose(put, undefined));
  raft.hasLeader = false;
  newTerm(2);
  await turn();
  clock.step(20);
  assert.equal(proposed.length, 100);
  raft.hasLeader = true;
  clock.step(20);
  assert.equal(proposed.length, 200);
  for (const again of proposed.slice(100)) apply(again);
  assert.equal((await Promise.all(outcomes)).length, 100);
});

test('a request that a snapshot may hold is not proposed again: its outcome is unknown', async () => {
  const other = await member();
  other.newTerm(1);
  const { newTerm, proposed, proposer, machine, raft } = await member();
  newTerm(1);
  const end = endOf(proposer.propose(put, undefined));
  // The others applied it, and this member is brought there by a snapshot of term 2.
  other.apply(proposed[0] as Proposed);
  other.newTerm(2);
  raft.term = 2;
  const confState = { voters: [1 as ReplicaId], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
  const restored = machine.restore({ index: 3 as Index, term: 2 as Term, confState }, other.machine.snapshot());
  const during = proposer.propose(put, undefined);
  await restored;
  await turn();
  assert.equal(end(), 'timeout');
  assert.deepEqual(
    proposed.map(({ term }) => term),
    [1, 2],
  );
  // What was proposed while it was read comes after it.
  machine.apply([{ index: 4 as Index, term: 2 as Term, kind: 'normal', data: proposed[1]?.data as Uint8Array }]);
  assert.equal((await during).revision, 3);
});

test('its time is counted from when it came', async () => {
  const { newTerm, proposed, proposer, clock, requests } = await member();
  newTerm(1);
  const end = endOf(proposer.propose(put, undefined));
  clock.step(timeoutMs - 100);
  newTerm(2);
  await turn();
  assert.deepEqual([proposed.length, end()], [2, undefined]);
  clock.step(100);
  await turn();
  assert.equal(end(), 'timeout');
  newTerm(3);
  await turn();
  clock.step(1_000);
  assert.deepEqual([proposed.length, requests.size], [2, 0]);
});

test('a member that stops proposes nothing again', async () => {
  const { newTerm, proposed, proposer, requests, raft, clock } = await member();
  newTerm(1);
  const ends = [endOf(proposer.propose(put, undefined)), endOf(proposer.propose(put, undefined))];
  newTerm(2);
  requests.failAll('stopped');
  await turn();
  raft.hasLeader = false;
  const late = endOf(proposer.propose(put, undefined));
  requests.failAll('stopped');
  raft.hasLeader = true;
  clock.step(1_000);
  await turn();
  assert.deepEqual(
    [...ends, late].map((end) => end()),
    ['stopped', 'stopped', 'stopped'],
  );
  assert.equal(proposed.length, 2);
});

test('what a leader decides ends with its leadership: the next leader decides anew', async () => {
  const { newTerm, proposed, proposer, raft, clock } = await member();
  raft.isLeader = true;
  newTerm(1);
  const end = endOf(proposer.proposeAsLeader({ kind: 'leaseRevoke', id: 7n }));
  raft.isLeader = false;
  const tooLate = endOf(proposer.proposeAsLeader({ kind: 'leaseRevoke', id: 8n }));
  newTerm(2);
  await turn();
  clock.step(1_000);
  assert.deepEqual([end(), tooLate(), proposed.length], ['leaderChanged', 'leaderChanged', 1]);
});

test('a membership change is not proposed again: what allowed it was true before', async () => {
  const { newTerm, proposed, proposer, clock } = await member();
  newTerm(1);
  const end = endOf(proposer.change([{ kind: 'remove', replica: 2 as ReplicaId }], { kind: 'remove', id: 2 }));
  newTerm(2);
  await turn();
  clock.step(1_000);
  assert.deepEqual([end(), proposed.length], ['leaderChanged', 1]);
});
