/**
 * Draws a lane of operations, however many: acknowledged ones lie in the middle, failed ones low, those that nobody can tell of
 * stand the whole height of the lane. Where many fall on one pixel, one of each outcome is drawn.
 *
 * @typedef {import('./draw-members.js').Pen} Pen
 * @typedef {import('./layout.js').Lane} Lane
 * @typedef {import('./record.js').Operation} Operation
 * @typedef {import('./record.js').Outcome} Outcome
 */

/** @type {Outcome[]} */
export const outcomes = ['ok', 'failed', 'unknown'];

/** What was never answered is open at its end: drawn this far, as it has no end of its own. */
export const openLength = 26;

/**
 * Top and height of an operation in its lane.
 *
 * @param {Outcome} outcome
 * @param {Lane} lane
 */
export function outcomeBox(outcome, lane) {
  const inner = Math.max(lane.height - 4, 3);
  const top = lane.top + (lane.height - inner) / 2;
  if (outcome === 'unknown') return { top, height: inner };
  if (outcome === 'failed') return { top: top + inner * 0.62, height: inner * 0.38 };
  return { top: top + inner * 0.18, height: inner * 0.55 };
}

/**
 * Left and right end of an operation as it is drawn.
 *
 * @param {Operation} one
 * @param {(timeMs: number) => number} x
 * @returns {[number, number]}
 */
export function operationEnds(one, x) {
  const left = x(one.startMs);
  const right = one.isAnswered ? x(one.endMs) : Math.min(left + openLength, x(one.endMs));
  return [left, Math.max(right, left + 1.2)];
}

/**
 * @param {Pen} pen
 * @param {Lane} lane
 * @param {readonly Operation[]} operations
 */
export function drawOperations({ context, colours, width, x }, lane, operations) {
  const paths = outcomes.map(() => new Path2D());
  const boxes = outcomes.map((outcome) => outcomeBox(outcome, lane));
  const drawnUntil = outcomes.map(() => -2);
  // One that nobody can tell of may last long: its begin is solid, the rest of it faint.
  const faint = new Path2D();
  for (const one of operations) {
    const [start, end] = operationEnds(one, x);
    if (start > width) break;
    if (end < 0) continue;
    const kind = outcomes.indexOf(one.outcome);
    const left = Math.max(start, -4);
    const right = Math.min(end, width + 4);
    const path = paths[kind];
    const box = boxes[kind];
    const until = drawnUntil[kind];
    if (path === undefined || box === undefined || until === undefined || right <= until) continue;
    drawnUntil[kind] = Math.max(until, Math.floor(left) + 1);
    const long = right - left;
    if (one.outcome === 'unknown' && long > 5) {
      path.rect(left, box.top, 2, box.height);
      if (one.isAnswered) path.rect(right - 1, box.top, 1, box.height);
      else for (let at = left + 5; at < right; at += 5) path.rect(at, box.top + box.height / 2 - 1, 3, 2);
      faint.rect(left, box.top, long, box.height);
    } else {
      // A gap of half a pixel keeps neighbours apart where there is room for it.
      path.rect(left, box.top, Math.max(long - (long > 3 ? 0.6 : 0), 1.2), box.height);
    }
  }
  context.globalAlpha = 0.3;
  context.fillStyle = colours.unknown;
  context.fill(faint);
  context.globalAlpha = 1;
  outcomes.forEach((outcome, kind) => {
    context.fillStyle = colours[outcome];
    const path = paths[kind];
    if (path !== undefined) context.fill(path);
  });
}

/**
 * A ring around an operation that shows the violation, or that was picked.
 *
 * @param {Pen} pen
 * @param {Lane} lane
 * @param {{ operation: Operation, colour: string, mark: string }} what
 */
export function drawRing({ context, colours, width, x }, lane, { operation, colour, mark }) {
  const [left, right] = operationEnds(operation, x);
  if (left > width || right < 0) return;
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.strokeRect(left - 3, lane.top + 0.5, Math.max(right - left, 2) + 6, lane.height - 1);
  if (mark === '') return;
  context.fillStyle = colour;
  const wide = context.measureText(mark).width + 6;
  context.fillRect(left - 3 - wide, lane.top + 0.5, wide, Math.min(lane.height - 1, 15));
  context.fillStyle = colours['on-violation'];
  context.fillText(mark, left - wide, lane.top + Math.min(lane.height - 4, 12));
}
