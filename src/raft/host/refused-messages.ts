/** Messages that were refused: counted, and told once in a while for each peer and reason, so that a flood of them does not fill the log. */
import { assert } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import type { Log } from '../../env/log.ts';
import type { Message } from '../core/types.ts';

const tellEveryMs = 60_000;
/** Peers times reasons of a large cluster. Above, who makes up new names is told of more than once a minute. */
const rememberedMax = 1024;

export class RefusedMessages {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #log: Log;
  readonly #told = new Map<string, { atMs: number; since: number }>();
  #count = 0;

  constructor(clock: Pick<Clock, 'monotonicMs'>, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Since the start. */
  get count(): number {
    return this.#count;
  }

  add({ from, type, term }: Message, reason: string): void {
    assert(reason !== '', 'a refusal has a reason');
    this.#count += 1;
    const key = `${from}/${reason}`;
    const nowMs = this.#clock.monotonicMs();
    const told = this.#told.get(key);
    if (told && nowMs - told.atMs < tellEveryMs) {
      told.since += 1;
      return;
    }
    if (!told && this.#told.size >= rememberedMax) this.#told.clear();
    this.#told.set(key, { atMs: nowMs, since: 0 });
    assert(this.#told.size <= rememberedMax, 'what is remembered has its limit');
    this.#log.warn('refused a message that cannot be true: check versions and data directory of this peer', {
      peer: from,
      type,
      term,
      reason,
      ...(told && told.since > 0 && { repeated: told.since }),
    });
  }
}
