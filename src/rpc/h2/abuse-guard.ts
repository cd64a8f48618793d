/**
 * Counts what is legal once and abuse in masses, for one connection. Each of the counting functions throws ConnectionError
 * when it has become too much.
 */
import { ConnectionError, errorCode } from './frames.ts';
import {
  earlyPingsMax,
  idleFrameBurst,
  idleFramesPerSecond,
  idlePingIntervalMinMs,
  resetBurst,
  resetsPerSecond,
} from './limits.ts';
import { RateLimit } from './rate-limit.ts';

export class AbuseGuard {
  readonly #pingIntervalMinMs: number | undefined;
  readonly #resets: RateLimit;
  readonly #idleFrames: RateLimit;
  #pingedMs = Number.NEGATIVE_INFINITY;
  #earlyPings = 0;

  /** `pingIntervalMinMs` absent: pings are not counted. */
  constructor(nowMs: number, pingIntervalMinMs: number | undefined) {
    this.#pingIntervalMinMs = pingIntervalMinMs;
    this.#resets = new RateLimit(resetBurst, resetsPerSecond, nowMs);
    this.#idleFrames = new RateLimit(idleFrameBurst, idleFramesPerSecond, nowMs);
  }

  /** A frame without use. */
  idleFrame(nowMs: number): void {
    if (this.#idleFrames.take(nowMs)) return;
    throw new ConnectionError(errorCode.enhanceYourCalm, 'too many frames without content');
  }

  /** A stream that the client has reset, or made us reset. */
  reset(nowMs: number): void {
    if (this.#resets.take(nowMs)) return;
    throw new ConnectionError(errorCode.enhanceYourCalm, 'too many calls are reset');
  }

  /** As grpc-go counts: pings that follow an answer measure the way and are free. */
  ping(nowMs: number, about: { readonly hasAnswered: boolean; readonly hasStreams: boolean }): void {
    if (this.#pingIntervalMinMs === undefined) return;
    if (about.hasAnswered) {
      this.#earlyPings = 0;
      return;
    }
    const leastMs = about.hasStreams ? this.#pingIntervalMinMs : idlePingIntervalMinMs;
    if (nowMs - this.#pingedMs < leastMs) this.#earlyPings++;
    this.#pingedMs = nowMs;
    if (this.#earlyPings > earlyPingsMax) throw new ConnectionError(errorCode.enhanceYourCalm, 'too_many_pings');
  }
}
