/** How a member learns that it is out: by the entry, or by asking; and that nobody hears of it once it has stopped. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { silentLog } from '../../../src/env/log.ts';
import type { Member } from '../../../src/kv/api.ts';
import type { JoinInfo } from '../../../src/kv/server/beginning.ts';
import { Removal } from '../../../src/kv/server/removal.ts';
import { StepClock } from '../../support/step-clock.ts';

const electionMs = 1_000;
const member = (id: number): Member => {
  return { id, name: `m${id}`, peerUrls: [`http://m${id}:2380`], clientUrls: [], isLearner: false };
};
const all = [1, 2, 3].map((id) => member(id));

/** Member 1 of three, whose questions are answered by hand. */
function removal() {
  const clock = new StepClock();
  const told: string[] = [];
  const questions: { readonly urls: readonly string[]; answer(info: Partial<JoinInfo>): void }[] = [];
  const state = { hasLeader: false };
  const made = new Removal({
    clock,
    log: silentLog,
    electionMs,
    join: (urls) => {
      const { promise, resolve } = Promise.withResolvers<JoinInfo>();
      questions.push({ urls, answer: (info) => resolve({ clusterId: 7, members: all, ...info }) });
      return promise;
    },
    onGone: (because) => told.push(because),
  });
  made.watch({ clusterId: 7, memberId: 1, hasLeader: () => state.hasLeader, members: () => all });
  return { clock, told, questions, state, removal: made };
}

test('who was removed lingers for two elections, and then is gone', () => {
  const { clock, told, removal: own } = removal();
  own.removed();
  // A second one, of the replay of a log, changes nothing.
  clock.step(1_000);
  own.removed();
  assert.deepEqual(told, []);
  clock.step(1_000);
  assert.deepEqual(told, ['removed']);
});

test('a member that stops while it lingers leaves no timer behind, and nobody is told', () => {
  const { clock, told, removal: own } = removal();
  own.removed();
  clock.step(500);
  own.stop();
  assert.equal(clock.pending, 0);
  clock.step(10_000);
  own.removed();
  assert.deepEqual([told, clock.pending], [[], 0]);
});

test('without a leader for long it asks, each time somebody else first', async () => {
  const { clock, told, questions, state } = removal();
  state.hasLeader = true;
  clock.step(5_000);
  assert.equal(questions.length, 0, 'who has a leader belongs to it');
  state.hasLeader = false;
  clock.step(5_000);
  assert.deepEqual(questions[0]?.urls, ['http://m2:2380', 'http://m3:2380']);
  clock.step(5_000);
  assert.equal(questions.length, 1, 'one question at a time');
  questions[0]?.answer({});
  await turn();
  clock.step(5_000);
  assert.deepEqual(questions[1]?.urls, ['http://m3:2380', 'http://m2:2380']);
  questions[1]?.answer({ members: all.slice(1) });
  await turn();
  assert.deepEqual(told, ['removed']);
});

test('what the answers mean', async () => {
  for (const [info, wanted] of [
    [{ members: all.slice(1), isUnconfirmed: true }, []],
    [{ clusterId: 8 }, []],
    [{ clusterId: 8, succeeds: [6] }, []],
    [{ clusterId: 8, succeeds: [6, 7] }, ['succeeded']],
  ] as const) {
    const { clock, told, questions } = removal();
    clock.step(5_000);
    questions[0]?.answer(info);
    await turn();
    assert.deepEqual(told, wanted, JSON.stringify(info));
  }
});

test('an answer that comes after the member has stopped is nobody’s business', async () => {
  const { clock, told, questions, removal: own } = removal();
  clock.step(5_000);
  own.stop();
  questions[0]?.answer({ members: all.slice(1) });
  await turn();
  assert.deepEqual(told, []);
});
