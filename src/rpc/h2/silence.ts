/**
 * How long the other end of a connection has said nothing, and what to do about it: wait, ask with a ping, give it up. Anything
 * that comes is a sign of life, not only the ping's answer.
 */
import { assert } from '../../env/assert.ts';

export const keepalivePing = Buffer.from('areThere');

export interface SilenceLimits {
  /** It is asked when it has been silent for this long, and given up when it still is `keepaliveTimeoutMs` later. */
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
}

/** With the time of the next look. */
export type SilenceStep = { readonly kind: 'wait' | 'ping'; readonly dueMs: number } | { readonly kind: 'giveUp' };

export class Silence {
  readonly #limits: SilenceLimits;
  #heardMs: number;
  /** When the ping was sent that waits for an answer; -1: none does. */
  #pingedMs = -1;

  constructor(limits: SilenceLimits, nowMs: number) {
    this.#limits = limits;
    this.#heardMs = nowMs;
  }

  get heardMs(): number {
    return this.#heardMs;
  }

  heard(nowMs: number): void {
    this.#heardMs = nowMs;
  }

  /** The caller sends the ping, and looks again at `dueMs`. */
  step(nowMs: number): SilenceStep {
    const { keepaliveIntervalMs, keepaliveTimeoutMs } = this.#limits;
    assert(keepaliveIntervalMs > 0 && keepaliveTimeoutMs >= 0, 'who looks for silence says how long it may be');
    if (this.#heardMs >= this.#pingedMs) this.#pingedMs = -1;
    if (nowMs - this.#heardMs < keepaliveIntervalMs)
      return { kind: 'wait', dueMs: this.#heardMs + keepaliveIntervalMs };
    if (this.#pingedMs >= 0) return { kind: 'giveUp' };
    this.#pingedMs = nowMs;
    return { kind: 'ping', dueMs: nowMs + keepaliveTimeoutMs };
  }
}
