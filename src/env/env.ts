/** The world in one value. Composition roots build the real one (real.ts); the simulator builds its own. */
import type { Clock } from './clock.ts';
import type { Disk } from './disk.ts';
import type { Log } from './log.ts';
import type { Processes } from './process.ts';
import type { Random } from './random.ts';

export interface Env {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly processes: Processes;
  readonly log: Log;
}
