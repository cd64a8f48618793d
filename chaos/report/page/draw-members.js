/**
 * Draws what members were: tall and solid leads, striped stands for election, low follows, crossed is down, barred stands still.
 * And the links between them: the upper half of a row is one direction, the lower half the other.
 */
import { pattern } from './colours.js';

/**
 * @typedef {import('./colours.js').Colours} Colours
 * @typedef {import('./layout.js').Lane} Lane
 * @typedef {import('./record.js').Stretch} Stretch
 * @typedef {import('./record.js').Cut} Cut
 * @typedef {import('./record.js').MemberState} MemberState
 */

/**
 * What every part of the chart is drawn with.
 *
 * @typedef {object} Pen
 * @property {CanvasRenderingContext2D} context
 * @property {Colours} colours
 * @property {number} width
 * @property {(timeMs: number) => number} x
 */

/** @type {Record<MemberState, { height: number, word: string }>} */
export const stateLooks = {
  leader: { height: 30, word: '★ leader' },
  candidate: { height: 22, word: 'candidate' },
  preCandidate: { height: 16, word: 'pre-candidate' },
  follower: { height: 9, word: 'follower' },
  learner: { height: 9, word: 'learner' },
  witness: { height: 9, word: 'witness' },
  starting: { height: 9, word: 'starting' },
  paused: { height: 30, word: '‖ paused' },
  down: { height: 30, word: '✕ down' },
};

/**
 * @param {Pen} pen
 * @param {MemberState} state
 */
function fillOf({ context, colours }, state) {
  switch (state) {
    case 'leader':
      return colours.leader;
    case 'candidate':
      return pattern(context, colours.candidate, 'slash');
    case 'preCandidate':
      return pattern(context, colours.candidate, 'dots');
    case 'follower':
      return colours.follower;
    case 'learner':
      return pattern(context, colours.follower, 'bars');
    case 'witness':
    case 'starting':
      return pattern(context, colours.follower, 'dots');
    case 'paused':
      return pattern(context, colours.paused, 'bars');
    case 'down':
      return pattern(context, colours.down, 'cross');
  }
}

/** @type {Set<MemberState>} */
const outlined = new Set(['candidate', 'preCandidate', 'paused', 'down', 'learner', 'witness', 'starting']);

/**
 * @param {Pen} pen
 * @param {Lane} lane
 * @param {readonly Stretch[]} stretches
 */
export function drawMember(pen, lane, stretches) {
  const { context, colours, width } = pen;
  const bottom = lane.top + lane.height - 5;
  /** @type {Map<MemberState, string | CanvasPattern>} */
  const fills = new Map();
  let labelledUntil = -1;
  for (const { startMs, endMs, state, term, isNewTerm } of stretches) {
    const left = Math.max(pen.x(startMs), -2);
    const right = Math.min(pen.x(endMs), width + 2);
    if (right < 0 || left > width) continue;
    const shown = Math.max(right - left, 1.5);
    const { height, word } = stateLooks[state];
    const fill = fills.get(state) ?? fillOf(pen, state);
    fills.set(state, fill);
    context.fillStyle = fill;
    context.fillRect(left, bottom - height, shown, height);
    if (outlined.has(state) && shown > 4) {
      context.strokeStyle = state === 'down' ? colours.down : state === 'paused' ? colours.paused : colours.follower;
      if (state === 'candidate' || state === 'preCandidate') context.strokeStyle = colours.candidate;
      context.lineWidth = 1;
      context.strokeRect(left + 0.5, bottom - height + 0.5, shown - 1, height - 1);
    }
    if (isNewTerm && left >= 0) {
      context.fillStyle = colours.text;
      context.fillRect(left, bottom - height, 1, height);
    }
    const room = right - Math.max(left, 0);
    if (room < 12) continue;
    if (state === 'leader') {
      const text = [`${word} · term ${term}`, `★ t${term}`, '★'].find((one) => context.measureText(one).width + 10 < room);
      if (text === undefined) continue;
      context.fillStyle = colours['on-leader'];
      context.fillText(text, Math.max(left, 0) + 6, bottom - height / 2 + 4);
    } else if (height === 30 && context.measureText(word).width + 14 < room) {
      boxedText(pen, word, Math.max(left, 0) + 5, bottom - height / 2 + 4);
    } else if (isNewTerm && left > labelledUntil && room > 26) {
      context.fillStyle = colours.quiet;
      context.fillText(`t${term}`, left + 3, bottom - height - 4);
      labelledUntil = left + 26;
    }
  }
}

/**
 * Text that can be read over a pattern.
 *
 * @param {Pen} pen
 * @param {string} text
 * @param {number} left
 * @param {number} baseline
 */
export function boxedText({ context, colours }, text, left, baseline) {
  const width = context.measureText(text).width;
  context.fillStyle = colours.panel;
  context.fillRect(left, baseline - 12, width + 6, 16);
  context.fillStyle = colours.text;
  context.fillText(text, left + 3, baseline);
}

/**
 * @param {Pen} pen
 * @param {Lane} lane
 * @param {readonly Cut[]} cuts
 */
export function drawLink({ context, colours, width, x }, lane, cuts) {
  const middle = lane.top + lane.height / 2;
  context.fillStyle = colours.line;
  context.fillRect(0, middle - 0.5, width, 1);
  context.fillStyle = colours.cut;
  for (const { startMs, endMs, forward, backward } of cuts) {
    const left = Math.max(x(startMs), -2);
    const shown = Math.max(Math.min(x(endMs), width + 2) - left, 1.5);
    if (left > width || left + shown < 0) continue;
    if (forward) context.fillRect(left, middle - 4, shown, 3);
    if (backward) context.fillRect(left, middle + 1, shown, 3);
    // Ends that stand out make a cut a shape, not a line of another colour.
    context.fillRect(left, middle - 5, 1.5, 10);
    if (shown > 4) context.fillRect(left + shown - 1.5, middle - 5, 1.5, 10);
  }
}
