/** A process of a sweep: runs its share of the worlds one after another and tells its parent what came of them. */
import { realClock } from '../../src/env/real.ts';
import { commitOfSources } from './commit.ts';
import { describeFailure, shortest } from './failure.ts';
import type { FromWorker, ToWorker, WorkerOrder } from './sweep.ts';
import { merge, newTotals, totalsOf } from './totals.ts';
import { World } from './world.ts';

/** Between two words to the parent. */
const progressEveryMs = 500;
/** A shorter story is not looked for any longer. */
const shrinkMs = 60_000;

let isStopped = false;

function tell(message: FromWorker): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(message, undefined, {}, () => resolve());
  });
}

async function work({ first, step, count, minutes, profile, isShrinking }: WorkerOrder): Promise<void> {
  const startMs = realClock.monotonicMs();
  const endMs = minutes === undefined ? Number.POSITIVE_INFINITY : startMs + minutes * 60_000;
  let totals = newTotals();
  let toldAtMs = startMs;
  for (let number = 0; number < count && !isStopped; number++) {
    const nowMs = realClock.monotonicMs();
    if (nowMs >= endMs) break;
    if (nowMs - toldAtMs >= progressEveryMs) {
      await tell({ kind: 'progress', totals });
      totals = newTotals();
      toldAtMs = nowMs;
    }
    const result = await new World(String(first + number * step), profile).run();
    merge(totals, totalsOf(result));
    if (result.violation === undefined) continue;
    const lateAtMs = realClock.monotonicMs() + shrinkMs;
    const mayGoOn = () => isShrinking && !isStopped && realClock.monotonicMs() < lateAtMs;
    const text = describeFailure(await shortest(result, mayGoOn), commitOfSources());
    await tell({ kind: 'failed', property: result.violation.property, text });
    break;
  }
  await tell({ kind: 'progress', totals });
  if (process.connected) process.disconnect();
}

// The terminal tells the whole group; the parent decides what that means.
process.on('SIGINT', () => undefined);
process.on('message', (message: ToWorker) => {
  if (message.kind === 'stop') isStopped = true;
  else void work(message.order);
});
process.on('disconnect', () => {
  isStopped = true;
});
