/** Questions that come together share a call, and none waits for the others longer than it must. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { QuestionBatches, questionsPerCallMax } from '../../../src/kv/rpc/question-batches.ts';
import { StepClock } from '../../support/step-clock.ts';

/** Calls that are answered by hand, with each question doubled. */
function batches() {
  const clock = new StepClock();
  const calls: { readonly asked: readonly number[]; answer(answers?: readonly number[]): void; fail(): void }[] = [];
  const questions = new QuestionBatches<number, number>(clock, (asked) => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly number[]>();
    calls.push({
      asked,
      answer: (answers) => resolve(answers ?? asked.map((question) => question * 2)),
      fail: () => reject(new Error('the leader is gone')),
    });
    return promise;
  });
  const asked = () => calls.map((call) => call.asked);
  return { clock, calls, questions, asked };
}

test('what is asked in one turn goes in one call, and each gets its own answer', async () => {
  const { calls, questions, asked } = batches();
  const answers = [1, 2, 3].map((question) => questions.ask(question));
  await turn();
  assert.deepEqual(asked(), [[1, 2, 3]]);
  calls[0]?.answer();
  assert.deepEqual(await Promise.all(answers), [2, 4, 6]);
});

test('what comes while a call is under way makes the next one', async () => {
  const { calls, questions, asked } = batches();
  const first = questions.ask(1);
  await turn();
  const later = [2, 3].map((question) => questions.ask(question));
  await turn();
  assert.deepEqual(asked(), [[1]]);
  calls[0]?.answer();
  assert.equal(await first, 2);
  await turn();
  assert.deepEqual(asked(), [[1], [2, 3]]);
  calls[1]?.answer();
  assert.deepEqual(await Promise.all(later), [4, 6]);
});

test('a call that is not answered does not hold up the next one for long', async () => {
  const { clock, calls, questions, asked } = batches();
  const stuck = questions.ask(1);
  await turn();
  const next = questions.ask(2);
  await turn();
  clock.step(49);
  assert.deepEqual(asked(), [[1]]);
  clock.step(1);
  assert.deepEqual(asked(), [[1], [2]]);
  calls[1]?.answer();
  assert.equal(await next, 4);
  // Nothing is left for the time that was set.
  clock.step(1_000);
  calls[0]?.answer();
  assert.equal(await stuck, 2);
  assert.deepEqual(asked(), [[1], [2]]);
});

test('a call that fails fails for those that were in it, and for nobody else', async () => {
  const { calls, questions } = batches();
  const first = questions.ask(1);
  await turn();
  const second = questions.ask(2);
  calls[0]?.fail();
  await assert.rejects(first, /the leader is gone/);
  await turn();
  calls[1]?.answer();
  assert.equal(await second, 4);
});

test('answers that do not match the questions are nobody’s', async () => {
  const { calls, questions } = batches();
  const both = [1, 2].map((question) => questions.ask(question));
  await turn();
  calls[0]?.answer([2]);
  for (const answer of both) await assert.rejects(answer, { code: 'BAD_ANSWER' });
});

test('a call carries so many and no more, and so many wait and no more', async () => {
  const { questions, asked } = batches();
  const ask = (count: number) =>
    Array.from({ length: count }, (_none, question) => questions.ask(question).catch((error: unknown) => error));
  ask(questionsPerCallMax + 1);
  await turn();
  assert.deepEqual(
    asked().map((call) => call.length),
    [questionsPerCallMax, 1],
  );
  ask(50_000);
  assert.equal(((await questions.ask(1).catch((error: unknown) => error)) as { kv: string }).kv, 'tooManyRequests');
});
