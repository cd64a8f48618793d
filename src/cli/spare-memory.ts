/**
 * Gives back what a start took and nothing needs any more. V8 does it by itself, in small steps, from some seconds after
 * a full collection until nothing is gained; but a process that starts small and then idles comes to none for hours, and
 * keeps the young generation that it grew to while it loaded its program: 10 MB of 95.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Cancel, Clock } from '../env/clock.ts';

/** The program is loaded and the first leader chosen by then; what is left over is garbage. */
const afterStartMs = 3_000;
/**
 * A collection of this much takes 30 ms of a core, no longer than the loop may be held. Whatever has more on its heap has had
 * collections of its own while it was read.
 */
const heapBytesMax = 32 * 1024 * 1024;

/** Once, in a while. Whoever stops before owes the cancelling, or the process waits for it. */
export function spareMemoryAfterStart(clock: Pick<Clock, 'after'>): Cancel {
  return clock.after(afterStartMs, () => {
    if (getHeapStatistics().used_heap_size > heapBytesMax) return;
    // The one way to ask for a collection without a flag on the command line, which is the user's.
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    setFlagsFromString('--no-expose-gc');
    collect();
  });
}
