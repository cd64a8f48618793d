/** A bucket of allowances: `burst` at once, and `perSecond` again. */
export class RateLimit {
  readonly #burst: number;
  readonly #perMs: number;
  #left: number;
  #countedMs: number;

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst;
    this.#perMs = perSecond / 1000;
    this.#left = burst;
    this.#countedMs = nowMs;
  }

  /** False once there were too many. */
  take(nowMs: number): boolean {
    this.#left = Math.min(this.#burst, this.#left + Math.max(0, nowMs - this.#countedMs) * this.#perMs);
    this.#countedMs = nowMs;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
