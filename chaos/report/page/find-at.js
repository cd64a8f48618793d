/** What is under a point of the chart. */
import { operationEnds } from './draw-operations.js';

/**
 * @typedef {import('./draw-chart.js').View} View
 * @typedef {import('./draw-members.js').Pen} Pen
 * @typedef {import('./layout.js').Lane} Lane
 * @typedef {import('./record.js').Operation} Operation
 * @typedef {import('./record.js').Fault} Fault
 * @typedef {import('./record.js').Stretch} Stretch
 * @typedef {import('./record.js').Cut} Cut
 */

/**
 * @typedef {{ kind: 'operation', operation: Operation }
 *   | { kind: 'fault', fault: Fault }
 *   | { kind: 'stretch', member: number, stretch: Stretch }
 *   | { kind: 'cut', a: number, b: number, cut: Cut }} Found
 */

/** As far as this beside it, something thin is still meant. */
const reach = 4;

/**
 * @param {View} view
 * @param {Pen} pen
 * @param {{ x: number, y: number }} point
 * @returns {Found | undefined}
 */
export function findAt(view, pen, { x, y }) {
  const lane = view.layout.lanes.find((one) => y >= one.top && y < one.top + one.height);
  switch (lane?.kind) {
    case 'client': {
      const operation = nearestOperation(view.lanes[lane.index] ?? [], pen, x);
      return operation === undefined ? undefined : { kind: 'operation', operation };
    }
    case 'faults': {
      const row = view.layout.faultRows[lane.index] ?? [];
      // The last that has begun: its text reaches up to the next one.
      const position = row.findLast((one) => pen.x(view.run.data.faults[one]?.atMs ?? 0) <= x + reach);
      const fault = view.run.data.faults[position ?? -1];
      return fault === undefined ? undefined : { kind: 'fault', fault };
    }
    case 'member': {
      const stretch = (view.run.stretches[lane.index] ?? []).findLast((one) => pen.x(one.startMs) <= x);
      return stretch === undefined ? undefined : { kind: 'stretch', member: lane.index, stretch };
    }
    case 'link': {
      const pair = view.run.pairs[lane.index];
      const cut = pair?.cuts.find((one) => pen.x(one.startMs) <= x + reach && pen.x(one.endMs) >= x - reach);
      return pair === undefined || cut === undefined ? undefined : { kind: 'cut', a: pair.a, b: pair.b, cut };
    }
    default:
      return undefined;
  }
}

/**
 * The one whose middle is nearest among those that the point is on; one that shows the violation goes before others.
 *
 * @param {readonly Operation[]} operations
 * @param {Pen} pen
 * @param {number} x
 */
function nearestOperation(operations, pen, x) {
  /** @type {Operation | undefined} */
  let best;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const one of operations) {
    const [left, right] = operationEnds(one, pen.x);
    if (left > x + reach) break;
    if (right < x - reach) continue;
    const distance = Math.abs((left + right) / 2 - x) - (one.isShowing ? 1e6 : 0);
    if (distance <= bestDistance) {
      best = one;
      bestDistance = distance;
    }
  }
  return best;
}
