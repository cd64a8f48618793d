/** The hash over a state that goes on being written and read: everybody else has their turn between two slices. */
import { type Clock, sleep } from '../../env/clock.ts';
import type { KvState } from '../apply/contract.ts';
import { KvError } from '../errors.ts';
import type { StoreHash } from './corruption.ts';

/** A timer, not a resolved promise: sockets and ticks come before it. */
const pauseMs = 0;

export interface HashOptions {
  readonly clock: Clock;
  readonly kv: Pick<KvState, 'beginHash'>;
  /** The backend may be closed from then on; aborted with a KvError. */
  readonly stopped: AbortSignal;
}

/** At `revision`; 0 = the head as of the call. Rejects with the KvError that speaks against it. */
export async function hashInSlices({ clock, kv, stopped }: HashOptions, revision: number): Promise<StoreHash> {
  stopped.throwIfAborted();
  const task = kv.beginHash(revision);
  if (typeof task === 'string') throw new KvError(task);
  try {
    for (;;) {
      const done = task.step();
      if (typeof done === 'string') throw new KvError(done);
      if (done !== undefined) return done;
      await sleep(clock, pauseMs, stopped);
    }
  } finally {
    task.end();
  }
}
