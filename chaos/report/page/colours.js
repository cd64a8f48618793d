/**
 * Colours and patterns of the chart, from the custom properties of the page's style, which change with the light. No colour tells
 * anything alone: states differ in height and pattern too, outcomes in height and place.
 *
 * @typedef {Record<ColourName, string>} Colours
 * @typedef {'text' | 'quiet' | 'line' | 'panel' | 'stripe' | 'leader' | 'on-leader' | 'candidate' | 'follower' | 'down' | 'paused' | 'fault' | 'fault-soft' | 'on-fault' | 'cut' | 'ok' | 'failed' | 'unknown' | 'violation' | 'on-violation' | 'pick'} ColourName
 */

/** @type {ColourName[]} */
const names = [
  'text',
  'quiet',
  'line',
  'panel',
  'stripe',
  'leader',
  'on-leader',
  'candidate',
  'follower',
  'down',
  'paused',
  'fault',
  'fault-soft',
  'on-fault',
  'cut',
  'ok',
  'failed',
  'unknown',
  'violation',
  'on-violation',
  'pick',
];

/** @returns {Colours} */
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  return /** @type {Colours} */ (Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()])));
}

/**
 * A tile of stripes to fill with.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {string} colour
 * @param {'slash' | 'back' | 'cross' | 'bars' | 'dots'} shape
 */
export function pattern(context, colour, shape) {
  const size = 8;
  const tile = document.createElement('canvas');
  tile.width = size;
  tile.height = size;
  const pen = tile.getContext('2d');
  if (pen === null) return colour;
  pen.strokeStyle = colour;
  pen.fillStyle = colour;
  pen.lineWidth = 1.6;
  /** @type {(x0: number, y0: number, x1: number, y1: number) => void} */
  const stroke = (x0, y0, x1, y1) => {
    pen.beginPath();
    pen.moveTo(x0, y0);
    pen.lineTo(x1, y1);
    pen.stroke();
  };
  for (const shift of [-size, 0, size]) {
    if (shape === 'slash' || shape === 'cross') stroke(shift, size, shift + size, 0);
    if (shape === 'back' || shape === 'cross') stroke(shift, 0, shift + size, size);
  }
  if (shape === 'bars') pen.fillRect(2, 0, 3, size);
  if (shape === 'dots') pen.fillRect(2, 2, 3, 3);
  return context.createPattern(tile, 'repeat') ?? colour;
}
