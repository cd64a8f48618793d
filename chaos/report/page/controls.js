/** What the hand does: mouse, wheel, keys. Calls back with what is meant; knows nothing of what is drawn. */

/**
 * @typedef {object} Meant
 * @property {(pixels: number) => void} pan to the right in time
 * @property {(factor: number, atX: number | undefined) => void} zoom
 * @property {(startX: number, endX: number, isDone: boolean) => void} select a time
 * @property {(x: number, y: number) => void} hover
 * @property {() => void} leave
 * @property {(x: number, y: number) => void} click
 */

/** Less than this is a click, not a drag. */
const dragMin = 4;

/**
 * @param {HTMLElement} canvas
 * @param {Meant} meant
 */
export function listenToMouse(canvas, meant) {
  /** @type {{ x: number, lastX: number, isSelecting: boolean, isDrag: boolean } | undefined} */
  let drag;
  canvas.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    drag = { x: event.offsetX, lastX: event.offsetX, isSelecting: event.shiftKey, isDrag: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener('pointermove', (event) => {
    if (drag === undefined) {
      meant.hover(event.offsetX, event.offsetY);
      return;
    }
    drag.isDrag ||= Math.abs(event.offsetX - drag.x) >= dragMin;
    if (!drag.isDrag) return;
    meant.leave();
    if (drag.isSelecting) meant.select(drag.x, event.offsetX, false);
    else meant.pan(drag.lastX - event.offsetX);
    drag.lastX = event.offsetX;
  });
  canvas.addEventListener('pointerup', (event) => {
    const ended = drag;
    drag = undefined;
    if (ended === undefined) return;
    if (!ended.isDrag) meant.click(event.offsetX, event.offsetY);
    else if (ended.isSelecting) meant.select(ended.x, event.offsetX, true);
  });
  canvas.addEventListener('pointercancel', () => {
    drag = undefined;
  });
  canvas.addEventListener('pointerleave', () => meant.leave());
  canvas.addEventListener('dblclick', (event) => meant.zoom(0.4, event.offsetX));
  canvas.addEventListener(
    'wheel',
    (event) => {
      // A plain wheel scrolls the page, as everywhere.
      if (event.ctrlKey || event.altKey || event.metaKey) {
        event.preventDefault();
        meant.zoom(Math.exp(Math.min(Math.max(event.deltaY, -200), 200) / 300), event.offsetX);
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        meant.pan(event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX);
      }
    },
    { passive: false },
  );
}

/**
 * Dragging or clicking in the overview: `to` gets where from 0 to 1.
 *
 * @param {HTMLElement} canvas
 * @param {(where: number) => void} to
 */
export function listenToOverview(canvas, to) {
  /** @type {(event: PointerEvent) => void} */
  const move = (event) => to(event.offsetX / Math.max(canvas.clientWidth, 1));
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    move(event);
  });
  canvas.addEventListener('pointermove', (event) => {
    if (event.buttons === 1) move(event);
  });
}

/**
 * Keys, wherever the focus is but where text is typed. True from `press` says that the key meant something.
 *
 * @param {(key: string) => boolean} press
 */
export function listenToKeys(press) {
  document.addEventListener('keydown', (event) => {
    const target = event.target instanceof HTMLElement ? event.target : undefined;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isTyping = target?.matches('input, select, textarea') ?? false;
    if (isTyping && event.key !== 'Escape') return;
    if (press(event.key)) event.preventDefault();
  });
}
