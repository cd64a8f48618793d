/** When a member is given up, by a clock that moves only when told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerWithinMs, askAfterMs, Pulse } from '../../../src/kv/client/pulse.ts';
import { FakeClock } from '../../control/client/fakes.ts';

function makePulse(answers: boolean) {
  const clock = new FakeClock();
  const seen = { questions: 0, openQuestions: 0, silent: 0 };
  const world = { answers };
  const pulse = new Pulse({
    clock,
    ask: (onAnswer) => {
      seen.questions += 1;
      seen.openQuestions += 1;
      if (world.answers) onAnswer();
      return () => {
        seen.openQuestions -= 1;
      };
    },
    onSilent: () => {
      seen.silent += 1;
    },
  });
  return { clock, seen, world, pulse };
}

test('a member that falls silent is given up within four seconds, once, by everybody who waits for it', async () => {
  const { clock, seen, pulse } = makePulse(false);
  const given: string[] = [];
  pulse.join(() => given.push('watch'));
  pulse.join(() => given.push('read'));
  await clock.advance(askAfterMs + answerWithinMs - 1);
  assert.deepEqual(given, []);
  await clock.advance(10);
  assert.deepEqual(given, ['watch', 'read']);
  assert.deepEqual(seen, { questions: 1, openQuestions: 0, silent: 1 });
  assert.ok(askAfterMs + answerWithinMs <= 4_000);
});

test('a member that answers the question is asked again and kept', async () => {
  const { clock, seen, world, pulse } = makePulse(true);
  pulse.join(() => undefined);
  await clock.advance(60_000);
  assert.equal(seen.silent, 0);
  assert.ok(seen.questions > 10);
  world.answers = false;
  await clock.advance(2 * (askAfterMs + answerWithinMs));
  assert.equal(seen.silent, 1);
});

test('a member that is heard by itself is not asked', async () => {
  const { clock, seen, pulse } = makePulse(false);
  pulse.join(() => undefined);
  for (let second = 0; second < 30; second++) {
    await clock.advance(1_000);
    pulse.heard();
  }
  assert.deepEqual(seen, { questions: 0, openQuestions: 0, silent: 0 });
});

test('nobody is asked while nobody waits', async () => {
  const { clock, seen, pulse } = makePulse(false);
  const leave = pulse.join(() => assert.fail('it has left'));
  await clock.advance(askAfterMs);
  leave();
  await clock.advance(60_000);
  assert.deepEqual(seen, { questions: 1, openQuestions: 0, silent: 0 });
});

test('a stall of the process itself is no silence of the member', async () => {
  const { clock, seen, pulse } = makePulse(false);
  pulse.join(() => undefined);
  await clock.advance(askAfterMs);
  // The process stands still for ten seconds; the answer lies in the socket when it goes on.
  clock.nowMs += 10_000;
  await clock.advance(0);
  assert.equal(seen.silent, 0);
  pulse.heard();
  await clock.advance(answerWithinMs);
  assert.equal(seen.silent, 0);
});
