/** How a clock that is tampered with runs against the true one: pure. Monotonic time never goes back; the time of day may. */
import { assert } from '../../src/env/assert.ts';

export interface ClockSettings {
  /** How much faster than true time; 0: it stands still. */
  readonly rate: number;
  /** How far the time of day is set ahead of what it would be. */
  readonly wallOffsetMs: number;
}

export const trueClock: ClockSettings = { rate: 1, wallOffsetMs: 0 };

/** Undefined for anything that is none, such as half of a file. */
export function parseClockSettings(text: string): ClockSettings | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { rate, wallOffsetMs } = (value ?? {}) as Partial<ClockSettings>;
  if (!Number.isFinite(rate) || (rate as number) < 0 || !Number.isFinite(wallOffsetMs)) return undefined;
  return { rate: rate as number, wallOffsetMs: wallOffsetMs as number };
}

export class ClockCourse {
  #settings = trueClock;
  /** What this clock showed when the true one showed that: since the settings changed last. */
  #shownMs: number;
  #trueMs: number;
  /** The time of day less the monotonic one, without what was set. */
  #wallLeadMs: number;

  constructor(trueMs: number, wallMs: number) {
    this.#shownMs = trueMs;
    this.#trueMs = trueMs;
    this.#wallLeadMs = wallMs - trueMs;
  }

  monotonicMs(trueMs: number): number {
    assert(trueMs >= this.#trueMs, 'true time does not go back');
    return this.#shownMs + (trueMs - this.#trueMs) * this.#settings.rate;
  }

  wallMs(trueMs: number): number {
    return this.#wallLeadMs + this.monotonicMs(trueMs) + this.#settings.wallOffsetMs;
  }

  /** From now on. With a true clock's settings the time of day is the true one again, whatever it has drifted. */
  set(settings: ClockSettings, trueMs: number, trueWallMs: number): void {
    this.#shownMs = this.monotonicMs(trueMs);
    this.#trueMs = trueMs;
    this.#settings = settings;
    if (settings.rate === 1 && settings.wallOffsetMs === 0) this.#wallLeadMs = trueWallMs - this.#shownMs;
  }

  /** How long to wait for this clock to go on by so much, as it runs now. */
  trueDelayMs(delayMs: number): number {
    return delayMs <= 0 ? 0 : delayMs / this.#settings.rate;
  }
}
