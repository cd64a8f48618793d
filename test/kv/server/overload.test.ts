/** More requests than a member takes are answered at once, and what is taken does not grow with what is asked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../../chaos/sim/random.ts';
import { putRequest } from '../../../src/kv/api.ts';
import { KvError } from '../../../src/kv/errors.ts';
import { Proposer } from '../../../src/kv/server/proposer.ts';
import type { ChangeOutcome } from '../../../src/kv/server/state-machine.ts';
import { Waiters } from '../../../src/kv/server/waiters.ts';
import type { ApplyResult } from '../../../src/kv/api.ts';
import type { ProposeResult, RaftNode, Term } from '../../../src/raft/index.ts';
import { StepClock } from '../../support/step-clock.ts';

const asked = 20_000;
const taken = 5_000;
const timeoutMs = 7_000;
const op = { kind: 'put', request: putRequest({ key: Buffer.from('key'), value: Buffer.alloc(16) }) } as const;

function proposerOver(answer: () => ProposeResult) {
  const clock = new StepClock();
  const requests = new Waiters<ApplyResult>(clock);
  let proposed = 0;
  const raft = {
    propose: () => {
      proposed += 1;
      return answer();
    },
  } as unknown as RaftNode;
  const proposer = new Proposer({
    clock,
    random: seededRandom('overload'),
    memberId: 1,
    raft: () => raft,
    requests,
    changes: new Waiters<ChangeOutcome>(clock),
    timeoutMs,
    requestBytesMax: 1_000,
  });
  return { clock, requests, proposer, proposed: () => proposed };
}

/** How each of `count` requests ended by now; undefined for those that still wait. */
function ask(proposer: Proposer, count: number): (string | undefined)[] {
  const ends = Array<string | undefined>(count).fill(undefined);
  ends.forEach((_none, at) => {
    proposer.propose(op, undefined).then(
      () => (ends[at] = 'done'),
      (error: unknown) => (ends[at] = error instanceof KvError ? error.kv : String(error)),
    );
  });
  return ends;
}

const settled = () => new Promise((resolve) => setImmediate(resolve));
const countOf = (ends: readonly (string | undefined)[], end: string | undefined) =>
  ends.filter((each) => each === end).length;

for (const [what, answer] of [
  ['that are under way', { kind: 'accepted', term: 3 as Term }],
  ['that wait for a leader', { kind: 'dropped', reason: 'noLeader' }],
] as const) {
  test(`beyond 5,000 requests ${what} the next ones are too many, at once, until some have ended`, async () => {
    const { clock, requests, proposer, proposed } = proposerOver(() => answer);
    const ends = ask(proposer, asked);
    await settled();
    assert.deepEqual([countOf(ends, undefined), countOf(ends, 'tooManyRequests')], [taken, asked - taken]);
    assert.deepEqual([requests.size, proposed()], [taken, taken]);
    clock.step(timeoutMs);
    await settled();
    assert.deepEqual([countOf(ends, 'timeout'), requests.size], [taken, 0]);
    const later = ask(proposer, 1);
    await settled();
    assert.equal(later[0], undefined, 'there is room again');
  });
}

test('what Raft holds uncommitted has a limit in bytes: beyond it requests are too many, and none waits', async () => {
  const { requests, proposer } = proposerOver(() => ({ kind: 'dropped', reason: 'tooMuchUncommitted' }));
  const ends = ask(proposer, 100);
  await settled();
  assert.deepEqual([countOf(ends, 'tooManyRequests'), requests.size], [100, 0]);
  assert.equal(new KvError('tooManyRequests').message, 'etcdserver: too many requests');
});
