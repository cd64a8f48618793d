/**
 * What a row of probe results means: pure. A verdict changes only after as many equal results in a row as the probe
 * asks for. Worked example, readiness with successThreshold 1 and failureThreshold 3, `+` ok, `-` not:
 *
 *   results   +  -  -  -  -  +
 *   verdict   T  T  T  F  F  T
 */
import { assert } from '../../env/assert.ts';

export interface ProbeCount {
  readonly last: boolean;
  /** Results equal to `last` in a row. Invariant: >= 0, 0 only before the first result. */
  readonly inRow: number;
  readonly verdict: boolean | undefined;
}

export interface Thresholds {
  readonly success: number;
  readonly failure: number;
}

export const noProbeYet: ProbeCount = { last: false, inRow: 0, verdict: undefined };

export function countProbe(before: ProbeCount, isSuccess: boolean, thresholds: Thresholds): ProbeCount {
  assert(thresholds.success >= 1 && thresholds.failure >= 1, 'probe thresholds are at least 1');
  const inRow = before.inRow > 0 && before.last === isSuccess ? before.inRow + 1 : 1;
  const isEnough = inRow >= (isSuccess ? thresholds.success : thresholds.failure);
  return { last: isSuccess, inRow, verdict: isEnough ? isSuccess : before.verdict };
}
