/** Draws the whole chart, its axis and its overview. Reads the view, changes nothing. */
import { drawLink, drawMember } from './draw-members.js';
import { drawOperations, drawRing } from './draw-operations.js';
import { axisMarks, timeText } from './time-window.js';

/**
 * @typedef {import('./draw-members.js').Pen} Pen
 * @typedef {import('./colours.js').Colours} Colours
 * @typedef {import('./layout.js').Layout} Layout
 * @typedef {import('./layout.js').Lane} Lane
 * @typedef {import('./record.js').Run} Run
 * @typedef {import('./record.js').Fault} Fault
 * @typedef {import('./record.js').Operation} Operation
 * @typedef {import('./time-window.js').TimeWindow} TimeWindow
 */

/**
 * Everything that decides what is drawn.
 *
 * @typedef {object} View
 * @property {Run} run
 * @property {Layout} layout
 * @property {Colours} colours
 * @property {TimeWindow} window
 * @property {Operation[][]} lanes operations that pass the filter, per lane of clients
 * @property {Operation[]} shown the same, all of them
 * @property {number} member that is looked at, or -1
 * @property {Operation | undefined} picked
 * @property {TimeWindow | undefined} selecting
 */

/** More numbers than these cover what they number. */
const numberedMax = 99;

const font = '11.5px system-ui, sans-serif';

/**
 * Makes a canvas fit its place and the screen's pixels.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {{ width: number, height: number }} size
 */
export function fit(canvas, { width, height }) {
  const scale = Math.min(window.devicePixelRatio || 1, 16_000 / Math.max(height, 1));
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('this browser has no canvas');
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.font = font;
  return context;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {View} view
 * @param {number} width
 * @returns {Pen}
 */
export function penFor(context, view, width) {
  const { startMs, endMs } = view.window;
  const scale = width / (endMs - startMs);
  return { context, colours: view.colours, width, x: (timeMs) => (timeMs - startMs) * scale };
}

/** @param {string} kind */
export function faultMark(kind) {
  if (/crash|ambush|kill|power/i.test(kind)) return '✕';
  if (/pause|stall|freeze/i.test(kind)) return '‖';
  if (/partition|isolate|deaf|mute|cut|split|bridge|ring/i.test(kind)) return '≠';
  if (/disk|rot|wipe|sync|torn|full/i.test(kind)) return '▤';
  if (/clock|time|skew|jump/i.test(kind)) return '◷';
  if (/weather|loss|delay|clog|duplicat|reorder|corrupt/i.test(kind)) return '≈';
  if (/learner|promote|remove|transfer|member|upgrade/i.test(kind)) return '±';
  return '▼';
}

/**
 * @param {Pen} pen
 * @param {Lane} lane
 * @param {{ fault: Fault, nextMs: number, isDim: boolean }} what `nextMs`: where the next one of its row begins
 */
function drawFault({ context, colours, width, x }, lane, { fault, nextMs, isDim }) {
  const left = x(fault.atMs);
  const right = fault.endMs === undefined ? left + 3 : Math.max(x(fault.endMs), left + 3);
  const textEnd = Math.min(Math.max(right, x(nextMs) - 4), width);
  if (left > width || textEnd < 0) return;
  context.globalAlpha = isDim ? 0.25 : 1;
  context.fillStyle = colours['fault-soft'];
  context.fillRect(left, lane.top + 2, right - left, lane.height - 4);
  context.fillStyle = colours.fault;
  context.fillRect(left, lane.top + 2, 3, lane.height - 4);
  const from = Math.max(left, 0) + 6;
  const text = `${faultMark(fault.kind)} ${fault.text}`;
  const room = textEnd - from;
  if (room > 14) {
    context.save();
    context.beginPath();
    context.rect(from, lane.top, room, lane.height);
    context.clip();
    context.fillStyle = colours['on-fault'];
    context.fillText(text.slice(0, 300), from, lane.top + lane.height / 2 + 4);
    context.restore();
  }
  context.globalAlpha = 1;
}

/**
 * Where a fault struck, behind what the member was meanwhile.
 *
 * @param {Pen} pen
 * @param {View} view
 */
function drawBands({ context, colours, width, x }, { run, layout }) {
  for (const fault of run.data.faults) {
    const left = x(fault.atMs);
    const right = fault.endMs === undefined ? left + 1.5 : Math.max(x(fault.endMs), left + 1.5);
    if (left > width || right < 0) continue;
    for (const lane of layout.lanes) {
      if (lane.kind !== 'member' || !fault.members.includes(lane.index)) continue;
      context.fillStyle = colours['fault-soft'];
      context.fillRect(left, lane.top, right - left, lane.height - 1);
      context.fillStyle = colours.fault;
      context.fillRect(left, lane.top, 1.5, lane.height - 1);
      context.beginPath();
      context.moveTo(left - 4, lane.top);
      context.lineTo(left + 5, lane.top);
      context.lineTo(left + 0.5, lane.top + 7);
      context.fill();
    }
  }
}

/**
 * @param {Pen} pen
 * @param {View} view
 */
function drawViolation({ context, colours, width, x }, { run, layout }) {
  const atMs = run.data.violation?.atMs;
  if (atMs === undefined) return;
  const at = x(atMs);
  if (at < -1 || at > width + 1) return;
  context.fillStyle = colours.violation;
  context.fillRect(at - 1, 0, 2, layout.height);
  const text = '✕ promise broken';
  const wide = context.measureText(text).width + 12;
  const left = at + wide > width ? at - wide : at;
  context.fillRect(left, 0, wide, 18);
  context.fillStyle = colours['on-violation'];
  context.fillText(text, left + 6, 13);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {View} view
 */
export function drawChart(canvas, view) {
  const { run, layout, colours, member } = view;
  const width = canvas.clientWidth;
  const context = fit(canvas, { width, height: layout.height });
  const pen = penFor(context, view, width);
  for (const lane of layout.lanes) {
    if (lane.kind !== 'heading' && lane.index % 2 === 0) {
      context.fillStyle = colours.stripe;
      context.fillRect(0, lane.top, width, lane.height);
    }
  }
  context.fillStyle = colours.line;
  for (const time of axisMarks(view.window, width / 110).times) context.fillRect(pen.x(time), 0, 1, layout.height);
  drawBands(pen, view);
  for (const lane of layout.lanes) {
    if (lane.kind === 'faults') {
      const row = layout.faultRows[lane.index] ?? [];
      row.forEach((position, place) => {
        const fault = run.data.faults[position];
        const next = run.data.faults[row[place + 1] ?? -1];
        if (fault === undefined) return;
        const isDim = member >= 0 && fault.members.length > 0 && !fault.members.includes(member);
        drawFault(pen, lane, { fault, nextMs: next?.atMs ?? run.endMs, isDim });
      });
    } else if (lane.kind === 'member') {
      context.globalAlpha = member >= 0 && member !== lane.index ? 0.3 : 1;
      drawMember(pen, lane, run.stretches[lane.index] ?? []);
    } else if (lane.kind === 'link') {
      const pair = run.pairs[lane.index];
      if (pair === undefined) continue;
      context.globalAlpha = member >= 0 && member !== pair.a && member !== pair.b ? 0.3 : 1;
      drawLink(pen, lane, pair.cuts);
    } else if (lane.kind === 'client') drawOperations(pen, lane, view.lanes[lane.index] ?? []);
    context.globalAlpha = 1;
  }
  drawViolation(pen, view);
  drawRings(pen, view);
  drawSelection(pen, view);
}

/**
 * @param {Pen} pen
 * @param {View} view
 */
function drawRings(pen, view) {
  const { run, layout, lanes, picked } = view;
  for (const lane of layout.lanes) {
    if (lane.kind !== 'client') continue;
    let ringedUntil = -10;
    for (const operation of lanes[lane.index] ?? []) {
      if (operation !== picked && !operation.isShowing) continue;
      // Where a whole history shows a violation, rings on one another tell nothing.
      const left = pen.x(operation.startMs);
      if (operation !== picked && left < ringedUntil) continue;
      ringedUntil = Math.max(ringedUntil, left + 3);
      const mark = operation.isShowing && (run.data.violation?.operations.length ?? 0) <= numberedMax ? String(operation.showingNumber) : '';
      const colour = operation === picked ? view.colours.pick : view.colours.violation;
      drawRing(pen, lane, { operation, colour, mark });
    }
  }
}

/**
 * @param {Pen} pen
 * @param {View} view
 */
function drawSelection({ context, colours, x }, { selecting, layout }) {
  if (selecting === undefined) return;
  const left = x(selecting.startMs);
  context.globalAlpha = 0.2;
  context.fillStyle = colours.pick;
  context.fillRect(left, 0, x(selecting.endMs) - left, layout.height);
  context.globalAlpha = 1;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {View} view
 */
export function drawAxis(canvas, view) {
  const width = canvas.clientWidth;
  const context = fit(canvas, { width, height: 20 });
  const pen = penFor(context, view, width);
  const { times, stepMs } = axisMarks(view.window, width / 110);
  for (const time of times) {
    const at = pen.x(time);
    context.fillStyle = view.colours.quiet;
    context.fillRect(at, 13, 1, 7);
    const text = timeText(time, stepMs);
    const half = context.measureText(text).width / 2;
    context.fillText(text, Math.min(Math.max(at - half, 0), width - 2 * half), 11);
  }
}

/**
 * The whole run, small: how much was asked and what came of it, faults above, who sees what part.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {View} view
 */
export function drawOverview(canvas, view) {
  const { run, colours } = view;
  const width = canvas.clientWidth;
  const height = 46;
  const context = fit(canvas, { width, height });
  const whole = { ...view, window: { startMs: 0, endMs: run.endMs } };
  const pen = penFor(context, whole, width);
  context.fillStyle = colours.stripe;
  context.fillRect(0, 0, width, height);
  for (const fault of run.data.faults) {
    const left = pen.x(fault.atMs);
    context.fillStyle = colours['fault-soft'];
    context.fillRect(left, 0, Math.max(pen.x(fault.endMs ?? fault.atMs) - left, 1.5), height);
    context.fillStyle = colours.fault;
    context.fillRect(left, 0, 1.5, 6);
  }
  drawDensity(pen, view, height);
  const atMs = run.data.violation?.atMs;
  if (atMs !== undefined) {
    context.fillStyle = colours.violation;
    context.fillRect(pen.x(atMs) - 1, 0, 2.5, height);
  }
  const left = pen.x(view.window.startMs);
  const right = pen.x(view.window.endMs);
  context.fillStyle = colours.panel;
  context.globalAlpha = 0.7;
  context.fillRect(0, 0, left, height);
  context.fillRect(right, 0, width - right, height);
  context.globalAlpha = 1;
  context.strokeStyle = colours.pick;
  context.lineWidth = 1.5;
  context.strokeRect(Math.max(left, 1), 1, Math.max(Math.min(right, width - 1) - Math.max(left, 1), 2), height - 2);
}

/**
 * @param {Pen} pen
 * @param {View} view
 * @param {number} height
 */
function drawDensity({ context, colours, width, x }, { shown }, height) {
  const slot = 3;
  const sums = Array.from({ length: Math.ceil(width / slot) + 1 }, () => ({ ok: 0, failed: 0, unknown: 0 }));
  for (const one of shown) {
    const sum = sums[Math.floor(x(one.startMs) / slot)];
    if (sum !== undefined) sum[one.outcome] += 1;
  }
  const most = Math.max(1, ...sums.map((sum) => sum.ok + sum.failed + sum.unknown));
  sums.forEach((sum, position) => {
    let bottom = height;
    for (const outcome of /** @type {const} */ (['ok', 'failed', 'unknown'])) {
      const tall = (sum[outcome] / most) * (height - 10);
      context.fillStyle = colours[outcome];
      context.fillRect(position * slot, bottom - tall, slot - 0.5, tall);
      bottom -= tall;
    }
  });
}
