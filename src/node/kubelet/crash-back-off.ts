/**
 * When an ended container may start again. Pure.
 *
 * The first restart is immediate, the next one 10 s after the end, then 20 s, 40 s, … up to 300 s; a container that ran
 * ten minutes starts over. The delay that holds for a container's next restart is written beside the container when it is
 * made (an annotation), so a restarted agent goes on where the last one was.
 */
import { assert } from '../../env/assert.ts';

export const restartDelayAnnotation = 'keelson.io/restart-delay-ms';
export const crashDelayInitialMs = 10_000;
export const crashDelayMaxMs = 300_000;
export const healthyAfterMs = 600_000;

export interface EndedRun {
  readonly attempt: number;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Restart {
  readonly atMs: number;
  /** The delay that made `atMs`. */
  readonly delayMs: number;
  /** To be written beside the new container. */
  readonly nextDelayMs: number;
}

export function planRestart(ended: EndedRun): Restart {
  const delayMs = writtenDelayMs(ended);
  assert(delayMs >= 0 && delayMs <= crashDelayMaxMs, () => `a restart delay of ${delayMs} ms is outside its bounds`);
  // A container that never started has no start time, and has not run long.
  const ranMs = ended.startedAtMs > 0 ? ended.finishedAtMs - ended.startedAtMs : 0;
  if (ranMs > healthyAfterMs) return { atMs: ended.finishedAtMs, delayMs: 0, nextDelayMs: crashDelayInitialMs };
  const nextDelayMs = delayMs === 0 ? crashDelayInitialMs : Math.min(delayMs * 2, crashDelayMaxMs);
  return { atMs: ended.finishedAtMs + delayMs, delayMs, nextDelayMs };
}

function writtenDelayMs(ended: EndedRun): number {
  const written = Number(ended.annotations[restartDelayAnnotation]);
  if (Number.isSafeInteger(written) && written >= 0 && written <= crashDelayMaxMs) return written;
  if (ended.attempt === 0) return 0;
  return Math.min(crashDelayInitialMs * 2 ** Math.min(ended.attempt - 1, 10), crashDelayMaxMs);
}
