/**
 * The part of the run that is seen, and its arithmetic: times to pixels, moving, zooming, marks on the axis. A window is a value:
 * every function returns another one, within the run.
 *
 * @typedef {{ startMs: number, endMs: number }} TimeWindow
 */

/** Below this nothing can be told apart: the simulation's clock has microseconds at best. */
export const spanMinMs = 0.05;

/**
 * @param {TimeWindow} window
 * @param {number} runEndMs
 * @returns {TimeWindow}
 */
export function clampWindow({ startMs, endMs }, runEndMs) {
  const spanMs = Math.min(Math.max(endMs - startMs, spanMinMs), runEndMs);
  const start = Math.min(Math.max(startMs, 0), runEndMs - spanMs);
  return { startMs: start, endMs: start + spanMs };
}

/**
 * @param {TimeWindow} window
 * @param {{ factor: number, aroundMs: number, runEndMs: number }} how `aroundMs` stays where it is
 */
export function zoomWindow({ startMs, endMs }, { factor, aroundMs, runEndMs }) {
  const zoomed = { startMs: aroundMs - (aroundMs - startMs) * factor, endMs: aroundMs + (endMs - aroundMs) * factor };
  return clampWindow(zoomed, runEndMs);
}

/**
 * @param {TimeWindow} window
 * @param {number} byMs
 * @param {number} runEndMs
 */
export function panWindow({ startMs, endMs }, byMs, runEndMs) {
  return clampWindow({ startMs: startMs + byMs, endMs: endMs + byMs }, runEndMs);
}

/**
 * A window that shows all of a time, with room on both sides.
 *
 * @param {number} startMs
 * @param {number} endMs
 * @param {number} runEndMs
 */
export function windowAround(startMs, endMs, runEndMs) {
  const roomMs = Math.max((endMs - startMs) * 0.6, runEndMs / 400, 5);
  return clampWindow({ startMs: startMs - roomMs, endMs: endMs + roomMs }, runEndMs);
}

/**
 * Times of the marks on the axis, at round distances, about `count` of them.
 *
 * @param {TimeWindow} window
 * @param {number} count
 * @returns {{ times: number[], stepMs: number }}
 */
export function axisMarks({ startMs, endMs }, count) {
  const rough = (endMs - startMs) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const stepMs = power * ([1, 2, 5, 10].find((unit) => unit * power >= rough) ?? 10);
  const times = [];
  for (let mark = Math.ceil(startMs / stepMs); mark * stepMs <= endMs; mark++) times.push(mark * stepMs);
  return { times, stepMs };
}

/**
 * Seconds, with as many digits as the distance of the marks asks for.
 *
 * @param {number} timeMs
 * @param {number} stepMs
 */
export function timeText(timeMs, stepMs) {
  const digits = Math.min(6, Math.max(0, 3 - Math.floor(Math.log10(stepMs) + 1e-9)));
  return `${(timeMs / 1000).toFixed(digits)} s`;
}

/** @param {number} spanMs */
export function spanText(spanMs) {
  if (spanMs < 1) return `${(spanMs * 1000).toFixed(0)} µs`;
  if (spanMs < 1000) return `${spanMs.toFixed(spanMs < 10 ? 2 : 0)} ms`;
  return spanMs < 120_000 ? `${(spanMs / 1000).toFixed(2)} s` : `${(spanMs / 60_000).toFixed(1)} min`;
}
