/**
 * The promises of a lease, against what its holders were told and when each lease really ended.
 *
 *   never early   whoever was told "this many seconds" has them, counted from when he asked, whoever leads meanwhile
 *   told true     nobody is told that a lease is gone while he has time left, unless somebody revoked it
 *   full time     a renewal is for the whole time to live, a remaining time is never longer
 *   an end        a lease that nobody renews ends, by and by
 *
 * That a lease takes its keys with it, all at one revision, is in model.ts. Time is the observer's, in ms; the clocks
 * of the members may run faster than it by `clockRateMax`.
 */
import { Violation } from './violation.ts';

export type LeaseCallKind = 'grant' | 'keepAlive' | 'timeToLive' | 'revoke';

export interface LeaseCall {
  readonly kind: LeaseCallKind;
  readonly lease: string;
  readonly invokedMs: number;
  /** Undefined: no answer, it may have happened or still happen. */
  returnedMs: number | undefined;
  /** Seconds told: of a grant or renewal its time to live, else what remains; 0 or less = there is no such lease. */
  ttlSeconds: number;
}

/** What really became of a lease, from what was committed. */
export interface LeaseLife {
  readonly lease: string;
  readonly ttlSeconds: number;
  readonly grantedMs: number;
  /** Undefined: it lives. */
  endedMs: number | undefined;
}

export interface LeaseLimits {
  /** How much faster than the observer's a member's clock may run. */
  readonly clockRateMax: number;
  readonly nowMs: number;
  /** After the last renewal, and when faults have ended, a lease is gone this much after its time. */
  readonly endWithinMs: number;
  /** When faults ended. */
  readonly calmSinceMs: number;
}

/** Throws Violation. A lease id is granted once in a history. */
export function checkLeases(calls: readonly LeaseCall[], lives: readonly LeaseLife[], limits: LeaseLimits): void {
  const byLease = Map.groupBy(calls, (call) => call.lease);
  for (const life of lives) checkLife(life, byLease.get(life.lease) ?? [], limits);
  const real = new Set(lives.map((life) => life.lease));
  for (const call of calls) {
    if (call.returnedMs !== undefined && call.ttlSeconds > 0 && !real.has(call.lease))
      throw new Violation('a lease that is acknowledged exists', `${text(call)}, but it was never granted`);
  }
}

function checkLife(life: LeaseLife, calls: readonly LeaseCall[], limits: LeaseLimits): void {
  const promises = calls.filter(
    (call) =>
      call.returnedMs !== undefined && call.ttlSeconds > 0 && (call.kind === 'grant' || call.kind === 'keepAlive'),
  );
  const untilMs = (call: LeaseCall) => call.invokedMs + (call.ttlSeconds * 1_000) / limits.clockRateMax;
  const isRevokedBefore = (atMs: number) => calls.some((call) => call.kind === 'revoke' && call.invokedMs <= atMs);
  for (const call of calls) checkTold(life, call);
  const { endedMs } = life;
  for (const promise of promises) {
    const heardMs = promise.returnedMs ?? 0;
    if (endedMs !== undefined && heardMs <= endedMs && endedMs < untilMs(promise) && !isRevokedBefore(endedMs))
      throw new Violation(
        'a lease does not end early',
        `${text(promise)} at ${promise.invokedMs} ms, but it ended at ${endedMs} ms`,
      );
    if (endedMs !== undefined && promise.invokedMs > endedMs && !isRevokedBefore(heardMs))
      throw new Violation('a lease that has ended stays so', `${text(promise)} after it had ended at ${endedMs} ms`);
    for (const call of calls) {
      const isToldGone = call.returnedMs !== undefined && call.ttlSeconds <= 0 && call.kind !== 'revoke';
      if (!isToldGone || call.invokedMs < heardMs || isRevokedBefore(call.returnedMs ?? 0)) continue;
      if ((call.returnedMs ?? 0) < untilMs(promise))
        throw new Violation(
          'nobody is told early that a lease is gone',
          `${text(call)} at ${call.returnedMs} ms, after ${text(promise)} at ${promise.invokedMs} ms`,
        );
    }
  }
  checkEnd(life, calls, limits);
}

function checkTold(life: LeaseLife, call: LeaseCall): void {
  if (call.returnedMs === undefined || call.ttlSeconds <= 0) return;
  const isWhole = call.kind === 'grant' || call.kind === 'keepAlive';
  if (isWhole ? call.ttlSeconds !== life.ttlSeconds : call.ttlSeconds > life.ttlSeconds)
    throw new Violation('a lease has the time it was granted', `${text(call)}, granted for ${life.ttlSeconds} s`);
}

function checkEnd(life: LeaseLife, calls: readonly LeaseCall[], limits: LeaseLimits): void {
  if (life.endedMs !== undefined) return;
  // What was asked and never answered may have renewed it all the same.
  const renewedMs = calls.filter((call) => call.kind === 'keepAlive').map((call) => call.returnedMs ?? call.invokedMs);
  const lastMs = Math.max(limits.calmSinceMs, life.grantedMs, ...renewedMs);
  if (limits.nowMs > lastMs + life.ttlSeconds * 1_000 + limits.endWithinMs)
    throw new Violation(
      'a lease that nobody renews ends',
      `lease ${life.lease} of ${life.ttlSeconds} s, renewed last before ${lastMs} ms, lives at ${limits.nowMs} ms`,
    );
}

function text(call: LeaseCall): string {
  return `${call.kind} of lease ${call.lease} was answered with ${call.ttlSeconds} s`;
}
