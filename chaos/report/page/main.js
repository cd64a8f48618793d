/** Puts the page together: the state of what is seen, and who changes it. One drawing per frame, however much changes. */
import { readColours } from './colours.js';
import { listenToKeys, listenToMouse, listenToOverview } from './controls.js';
import { describe, showDescription } from './describe.js';
import { drawAxis, drawChart, drawOverview, fit, penFor } from './draw-chart.js';
import { drawLink, drawMember, stateLooks } from './draw-members.js';
import { drawOperations, outcomes } from './draw-operations.js';
import { choicesOf, everything, filterOperations, isFiltering } from './filter.js';
import { findAt } from './find-at.js';
import { layOut, operationsByLane } from './layout.js';
import { OperationList } from './operation-list.js';
import { decodeRun } from './record.js';
import { clampWindow, panWindow, windowAround, zoomWindow } from './time-window.js';

/** @typedef {import('./draw-chart.js').View} View */
/** @typedef {import('./filter.js').Filter} Filter */
/** @typedef {import('./find-at.js').Found} Found */
/** @typedef {import('./record.js').Operation} Operation */

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return found;
}

const chart = element('chart', HTMLCanvasElement);
const axis = element('axis', HTMLCanvasElement);
const overview = element('overview', HTMLCanvasElement);
const tip = element('tip', HTMLElement);
const details = element('details', HTMLElement);
const textField = element('filter-text', HTMLInputElement);
const selects = {
  client: element('filter-client', HTMLSelectElement),
  kind: element('filter-kind', HTMLSelectElement),
  outcome: element('filter-outcome', HTMLSelectElement),
  member: element('filter-member', HTMLSelectElement),
};

const run = decodeRun(JSON.parse(document.getElementById('record')?.textContent ?? ''));
const layout = layOut(run);
/** @type {View} */
const view = {
  run,
  layout,
  colours: readColours(),
  window: { startMs: 0, endMs: run.endMs },
  lanes: operationsByLane(layout, run.operations),
  shown: run.operations,
  member: -1,
  picked: undefined,
  selecting: undefined,
};
const list = new OperationList(element('list', HTMLElement), { members: run.data.members, pick: (one) => pick(one, true) });

let isDrawingDue = false;
function draw() {
  if (isDrawingDue) return;
  isDrawingDue = true;
  requestAnimationFrame(() => {
    isDrawingDue = false;
    drawOverview(overview, view);
    drawAxis(axis, view);
    drawChart(chart, view);
  });
}

/** @param {import('./time-window.js').TimeWindow} next */
function look(next) {
  view.window = next;
  tip.hidden = true;
  draw();
}

function pen() {
  const context = chart.getContext('2d');
  if (context === null) throw new Error('this browser has no canvas');
  return penFor(context, view, chart.clientWidth);
}

/** @param {number} x */
const timeAt = (x) => view.window.startMs + (x / Math.max(chart.clientWidth, 1)) * (view.window.endMs - view.window.startMs);

/**
 * @param {Operation | undefined} operation
 * @param {boolean} isMoving whether the window may move to show it
 */
function pick(operation, isMoving) {
  view.picked = operation;
  list.pick(operation);
  if (operation !== undefined) {
    showDescription(details, describe(run, { kind: 'operation', operation }));
    const { startMs, endMs } = view.window;
    if (isMoving && (operation.startMs < startMs || operation.startMs > endMs)) {
      look(panWindow(view.window, operation.startMs - (startMs + endMs) / 2, run.endMs));
    }
  }
  draw();
}

/** @param {Found | undefined} found */
function show(found) {
  if (found === undefined) return;
  if (found.kind === 'operation') pick(found.operation, false);
  else showDescription(details, describe(run, found));
}

function applyFilter() {
  /** @type {Filter} */
  const filter = {
    text: textField.value,
    client: selects.client.value,
    kind: selects.kind.value,
    outcome: selects.outcome.value,
    member: selects.member.value,
  };
  view.shown = isFiltering(filter) ? filterOperations(run.operations, filter) : run.operations;
  view.lanes = operationsByLane(layout, view.shown);
  view.member = filter.member === '' ? -1 : Number(filter.member);
  const all = run.operations.length.toLocaleString('en-US');
  const some = view.shown.length.toLocaleString('en-US');
  element('filter-count', HTMLOutputElement).value = isFiltering(filter) ? `${some} of ${all} operations` : `${all} operations`;
  element('list-count', HTMLElement).textContent = isFiltering(filter) ? `${some} of ${all}` : all;
  list.set(view.shown);
  list.pick(view.picked);
  draw();
}

/** @param {-1 | 1} by */
function step(by) {
  const now = view.picked === undefined ? -1 : view.shown.indexOf(view.picked);
  const middle = (view.window.startMs + view.window.endMs) / 2;
  const from = now >= 0 ? now + by : view.shown.findIndex((one) => one.startMs >= middle);
  const next = view.shown[Math.min(Math.max(from, 0), view.shown.length - 1)];
  if (next !== undefined) pick(next, true);
}

function showViolation() {
  const { violation } = run.data;
  if (violation === null) return;
  const showing = run.operations.filter((one) => one.isShowing);
  let startMs = violation.atMs ?? run.endMs;
  let endMs = violation.atMs ?? 0;
  for (const one of showing) {
    startMs = Math.min(startMs, one.startMs);
    endMs = Math.max(endMs, one.isAnswered ? one.endMs : one.startMs);
  }
  if (startMs > endMs) return;
  // Without operations to show, what came before it is the best there is.
  if (showing.length === 0) startMs = endMs - run.endMs / 20;
  look(windowAround(startMs, endMs, run.endMs));
  element('chart-frame', HTMLElement).scrollIntoView({ block: 'nearest' });
  pick(showing.at(-1), false);
}

/** @param {string} key */
function press(key) {
  const { startMs, endMs } = view.window;
  const middle = (startMs + endMs) / 2;
  /** @type {(factor: number) => void} */
  const zoom = (factor) => look(zoomWindow(view.window, { factor, aroundMs: middle, runEndMs: run.endMs }));
  /** @type {Record<string, () => void>} */
  const meanings = {
    ArrowLeft: () => look(panWindow(view.window, (startMs - endMs) / 6, run.endMs)),
    ArrowRight: () => look(panWindow(view.window, (endMs - startMs) / 6, run.endMs)),
    '+': () => zoom(0.6),
    '=': () => zoom(0.6),
    '-': () => zoom(1 / 0.6),
    0: () => look({ startMs: 0, endMs: run.endMs }),
    n: () => step(1),
    p: () => step(-1),
    v: showViolation,
    '/': () => textField.focus(),
    Escape: () => {
      textField.blur();
      pick(undefined, false);
    },
  };
  const meaning = Object.hasOwn(meanings, key) ? meanings[key] : undefined;
  meaning?.();
  return meaning !== undefined;
}

/**
 * @param {HTMLSelectElement} select
 * @param {[string, string][]} choices value and text
 */
function fill(select, choices) {
  for (const [value, text] of [['', 'all'], ...choices]) {
    const option = document.createElement('option');
    option.value = value ?? '';
    option.textContent = text ?? '';
    select.append(option);
  }
}

function label() {
  const labels = layout.lanes.map((lane) => {
    const one = document.createElement('div');
    one.className = `lane ${lane.kind}`;
    one.style.top = `${lane.top}px`;
    one.style.height = `${lane.height}px`;
    one.textContent = lane.kind === 'client' && lane.height < 9 && lane.index % 3 !== 0 ? '' : lane.label;
    one.title = lane.label;
    return one;
  });
  element('labels', HTMLElement).replaceChildren(...labels);
  element('chart-frame', HTMLElement).style.height = `${layout.height}px`;
  chart.style.height = `${layout.height}px`;
}

/** A small drawing of each state and outcome with its name, by the same hands that draw the chart. */
function drawLegend() {
  const lane = { kind: /** @type {const} */ ('member'), index: 0, top: 0, height: 40, label: '' };
  const wide = 34;
  /** @type {[string, (pen: import('./draw-members.js').Pen) => void][]} */
  const entries = [];
  for (const state of /** @type {const} */ (['leader', 'candidate', 'preCandidate', 'follower', 'learner', 'witness', 'starting', 'paused', 'down'])) {
    if (!run.stretches.some((stretches) => stretches.some((one) => one.state === state))) continue;
    const stretch = { startMs: 0, endMs: wide, state, term: 0, isNewTerm: false };
    entries.push([stateLooks[state].word.replace(/^\W+ /, ''), (one) => drawMember({ ...one, width: wide }, lane, [stretch])]);
  }
  if (run.pairs.length > 0) {
    const cut = { startMs: 2, endMs: wide - 2, forward: true, backward: true };
    entries.push(['link cut', (one) => drawLink({ ...one, width: wide }, { ...lane, kind: 'link' }, [cut])]);
    entries.push(['cut one way', (one) => drawLink({ ...one, width: wide }, { ...lane, kind: 'link' }, [{ ...cut, backward: false }])]);
  }
  const words = { ok: 'acknowledged', failed: 'failed', unknown: 'unknown' };
  for (const outcome of outcomes) {
    const ends = { startMs: 6, endMs: wide - 8, isAnswered: true, outcome, isShowing: false, showingNumber: 0 };
    const operation = { id: 0, client: 0, member: 0, kind: '', text: '', answer: null, ...ends };
    entries.push([words[outcome], (one) => drawOperations(one, { ...lane, kind: 'client', top: 10, height: 20 }, [operation])]);
  }
  const items = entries.map(([word, paint]) => {
    const item = document.createElement('span');
    const canvas = document.createElement('canvas');
    const context = fit(canvas, { width: wide, height: 40 });
    paint({ context, colours: view.colours, width: wide, x: (timeMs) => timeMs });
    const text = document.createElement('span');
    text.textContent = word;
    item.append(canvas, text);
    return item;
  });
  element('legend', HTMLElement).replaceChildren(...items);
}

/**
 * @param {number} x
 * @param {number} y
 */
function hover(x, y) {
  const found = findAt(view, pen(), { x, y });
  chart.style.cursor = found === undefined ? 'grab' : 'pointer';
  tip.hidden = found === undefined;
  if (found === undefined) return;
  showDescription(tip, describe(run, found));
  const left = chart.offsetLeft + x;
  const isRight = x > chart.clientWidth / 2;
  tip.style.left = isRight ? '' : `${left + 14}px`;
  tip.style.right = isRight ? `${chart.clientWidth - x + 14}px` : '';
  tip.style.top = `${y + 14}px`;
}

function listen() {
  listenToMouse(chart, {
    pan: (pixels) => look(panWindow(view.window, timeAt(pixels) - timeAt(0), run.endMs)),
    zoom: (factor, x) => {
      look(zoomWindow(view.window, { factor, aroundMs: timeAt(x ?? chart.clientWidth / 2), runEndMs: run.endMs }));
    },
    select: (startX, endX, isDone) => {
      const picked = { startMs: timeAt(Math.min(startX, endX)), endMs: timeAt(Math.max(startX, endX)) };
      view.selecting = isDone ? undefined : picked;
      if (isDone) look(clampWindow(picked, run.endMs));
      else draw();
    },
    hover,
    leave: () => {
      tip.hidden = true;
    },
    click: (x, y) => show(findAt(view, pen(), { x, y })),
  });
  listenToOverview(overview, (where) => {
    const { startMs, endMs } = view.window;
    look(panWindow(view.window, where * run.endMs - (startMs + endMs) / 2, run.endMs));
  });
  listenToKeys(press);
  /** @type {[string, string][]} */
  const buttons = [
    ['zoom-in', '+'],
    ['zoom-out', '-'],
    ['zoom-all', '0'],
  ];
  for (const [id, key] of buttons) element(id, HTMLButtonElement).addEventListener('click', () => press(key));
  textField.addEventListener('input', applyFilter);
  for (const select of Object.values(selects)) select.addEventListener('change', applyFilter);
  const form = element('filters', HTMLFormElement);
  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('reset', () => queueMicrotask(() => {
    textField.value = everything.text;
    for (const select of Object.values(selects)) select.value = '';
    applyFilter();
  }));
  document.getElementById('show-violation')?.addEventListener('click', showViolation);
  element('copy-command', HTMLButtonElement).addEventListener('click', () => void copyCommand());
  document.addEventListener('click', goTo);
  new ResizeObserver(() => draw()).observe(chart);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    view.colours = readColours();
    drawLegend();
    draw();
  });
}

/** A link of the head into the timeline: an operation, or a time. @param {MouseEvent} event */
function goTo(event) {
  const button = event.target instanceof Element ? event.target.closest('button.go') : null;
  if (!(button instanceof HTMLButtonElement)) return;
  const id = button.dataset['operation'];
  const operation = id === undefined ? undefined : run.operations.find((one) => one.id === Number(id));
  const timeMs = operation?.startMs ?? Number(button.dataset['time']);
  const spanMs = Math.min(view.window.endMs - view.window.startMs, run.endMs / 10);
  look(clampWindow({ startMs: timeMs - spanMs / 2, endMs: timeMs + spanMs / 2 }, run.endMs));
  if (operation !== undefined) pick(operation, false);
  element('chart-frame', HTMLElement).scrollIntoView({ block: 'nearest' });
}

async function copyCommand() {
  const command = element('command', HTMLElement);
  const button = element('copy-command', HTMLButtonElement);
  try {
    await navigator.clipboard.writeText(command.textContent ?? '');
    button.textContent = 'Copied';
  } catch {
    // A page from a file may not be let near the clipboard: marked, the text is one key away.
    getSelection()?.selectAllChildren(command);
    button.textContent = 'Press Ctrl+C';
  }
}

fill(selects.client, choicesOf(run.operations, 'client').map((one) => [one, `client ${one}`]));
fill(selects.kind, choicesOf(run.operations, 'kind').map((one) => [one, one]));
fill(selects.outcome, [['ok', 'acknowledged'], ['failed', 'failed'], ['unknown', 'unknown']]);
fill(selects.member, run.data.members.map((name, member) => [String(member), name]));
label();
listen();
applyFilter();
drawLegend();
