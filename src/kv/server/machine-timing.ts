/** How long the state machine takes, for the metrics and, of single entries, for the log. */
import { assert } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import type { Log } from '../../env/log.ts';
import type { StoreTimings } from './timings.ts';

export interface Timed {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly timings: StoreTimings;
}

export interface SlowApply {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly thresholdMs: number;
  readonly log: Log;
}

/** Hands `chunks` on; a copy that is given up half-way is not counted. */
export function timedSnapshot(timed: Timed | undefined, chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  if (!timed) return chunks;
  const { clock, timings } = timed;
  const startedMs = clock.monotonicMs();
  return (async function* () {
    yield* chunks;
    timings.snapshotSaveSeconds.observe((clock.monotonicMs() - startedMs) / 1000);
  })();
}

export async function timedRestore(timed: Timed | undefined, restore: () => Promise<void>): Promise<void> {
  if (!timed) return restore();
  const { clock, timings } = timed;
  const startedMs = clock.monotonicMs();
  timings.restoresUnderWay += 1;
  try {
    await restore();
  } finally {
    timings.restoresUnderWay -= 1;
    assert(timings.restoresUnderWay >= 0, 'as many restores end as begin');
  }
  timings.restoreSeconds.observe((clock.monotonicMs() - startedMs) / 1000);
}

/** One line for an entry that took longer than it should; `startedMs` is of the same clock. */
export function tellSlow({ clock, thresholdMs, log }: SlowApply, startedMs: number, request: string): void {
  const tookMs = clock.monotonicMs() - startedMs;
  assert(tookMs >= 0, 'monotonic time does not go back');
  if (tookMs <= thresholdMs) return;
  const fields = { took: `${tookMs.toFixed(3)}ms`, 'expected-duration': `${thresholdMs}ms`, request };
  log.warn('apply request took too long', fields);
}
