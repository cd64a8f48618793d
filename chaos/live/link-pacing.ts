/**
 * How a way between two members treats what is sent on it, and when bytes arrive: pure, so that it can be tried without a
 * clock or a socket.
 */
import { assert } from '../../src/env/assert.ts';
import type { Link } from './contract.ts';

export interface LinkConditions {
  readonly delayMinMs: number;
  /** Delays are the least one and something exponential on top, so that this is their mean. */
  readonly delayMeanMs: number;
  /** Of each connection; Infinity: no limit. */
  readonly bytesPerSecond: number;
  /** Nothing arrives; all of it does later. */
  readonly isClogged: boolean;
  /** How likely a byte arrives as another one. */
  readonly flipsPerByte: number;
}

export const clearLink: LinkConditions = {
  delayMinMs: 0,
  delayMeanMs: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  isClogged: false,
  flipsPerByte: 0,
};

export interface ConditionsOfLink extends Link {
  readonly conditions: LinkConditions;
}

/** All at once on the same link: delays and flips add up, the narrowest place counts. Links that are clear are not named. */
export function mergeConditions(
  changes: readonly ({ readonly links: readonly Link[]; readonly change: Partial<LinkConditions> } | undefined)[],
): readonly ConditionsOfLink[] {
  const merged = new Map<string, ConditionsOfLink>();
  for (const { links, change } of changes.filter((one) => one !== undefined)) {
    for (const { from, to } of links) {
      const known = merged.get(`${from}>${to}`)?.conditions ?? clearLink;
      const conditions = {
        delayMinMs: known.delayMinMs + (change.delayMinMs ?? 0),
        delayMeanMs: known.delayMeanMs + (change.delayMeanMs ?? 0),
        bytesPerSecond: Math.min(known.bytesPerSecond, change.bytesPerSecond ?? known.bytesPerSecond),
        isClogged: known.isClogged || change.isClogged === true,
        flipsPerByte: Math.min(known.flipsPerByte + (change.flipsPerByte ?? 0), 0.5),
      };
      merged.set(`${from}>${to}`, { from, to, conditions });
    }
  }
  return [...merged.values()];
}

/** One way of one connection. A stream keeps its order: nothing ever arrives before what was sent before it. */
export class LinkPacing {
  /** Invariant: never goes back. */
  #lastArrivalMs = 0;
  /** When the line has taken everything so far. */
  #lineFreeMs = 0;

  /** When `bytes` that are sent now arrive. `share`: drawn from [0, 1). */
  arrivalMs(nowMs: number, bytes: number, conditions: LinkConditions, share: number): number {
    assert(share >= 0 && share < 1, 'a share drawn from [0, 1)');
    const { delayMinMs, delayMeanMs, bytesPerSecond } = conditions;
    assert(bytesPerSecond > 0, 'a line takes something');
    this.#lineFreeMs = Math.max(this.#lineFreeMs, nowMs) + (bytes / bytesPerSecond) * 1_000;
    const delayMs = delayMinMs - Math.log(1 - share) * Math.max(delayMeanMs - delayMinMs, 0);
    const arrivalMs = Math.max(this.#lastArrivalMs, this.#lineFreeMs + delayMs);
    assert(arrivalMs >= nowMs, 'nothing arrives before it was sent');
    this.#lastArrivalMs = arrivalMs;
    return arrivalMs;
  }
}

/** Flips bits of `chunk` in place and tells how many. Gaps between flips are drawn, not each byte: most have none. */
export function flipBits(chunk: Uint8Array, flipsPerByte: number, draw: () => number): number {
  assert(flipsPerByte >= 0 && flipsPerByte < 1, 'the likelihood of a flip is a share');
  if (flipsPerByte === 0) return 0;
  const gap = () => Math.floor(Math.log(1 - draw()) / Math.log(1 - flipsPerByte));
  let flips = 0;
  for (let place = gap(); place < chunk.length; place += 1 + gap()) {
    chunk[place] = (chunk[place] as number) ^ (1 << Math.floor(draw() * 8));
    flips += 1;
  }
  return flips;
}
