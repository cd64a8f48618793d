/**
 * The operations as a list that scrolls: of a hundred thousand rows only those in sight are elements.
 */
import { atText } from './describe.js';
import { spanText } from './time-window.js';

/** @typedef {import('./record.js').Operation} Operation */

const rowHeight = 26;
/** Browsers lay nothing out beyond some millions of pixels: more rows than this are left to the filter. */
const rowsMax = 300_000;

/** @type {Record<import('./record.js').Outcome, string>} */
const marks = { ok: '✓', failed: '−', unknown: '?' };

export class OperationList {
  /** @type {readonly Operation[]} */
  #operations = [];
  /** @type {Operation | undefined} */
  #picked;
  /** @type {HTMLElement} */
  #frame;
  #content = document.createElement('div');
  /** @type {readonly string[]} */
  #members;

  /**
   * @param {HTMLElement} frame
   * @param {{ members: readonly string[], pick: (operation: Operation) => void }} options
   */
  constructor(frame, { members, pick }) {
    this.#frame = frame;
    this.#members = members;
    this.#content.className = 'rows';
    this.#content.setAttribute('role', 'presentation');
    frame.replaceChildren(this.#content);
    frame.addEventListener('scroll', () => this.#draw());
    frame.addEventListener('click', (event) => {
      const row = event.target instanceof Element ? event.target.closest('[data-position]') : null;
      const operation = this.#operations[Number(row?.getAttribute('data-position') ?? -1)];
      if (operation !== undefined) pick(operation);
    });
    frame.addEventListener('keydown', (event) => {
      const by = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
      if (by === 0) return;
      event.preventDefault();
      event.stopPropagation();
      const now = this.#picked === undefined ? -1 : this.#operations.indexOf(this.#picked);
      const next = this.#operations[Math.min(Math.max(now + by, 0), this.#operations.length - 1)];
      if (next !== undefined) pick(next);
    });
  }

  /** @param {readonly Operation[]} operations */
  set(operations) {
    this.#operations = operations.slice(0, rowsMax);
    this.#content.style.height = `${this.#operations.length * rowHeight}px`;
    this.#frame.scrollTop = 0;
    this.#draw();
  }

  /** @param {Operation | undefined} operation */
  pick(operation) {
    this.#picked = operation;
    const position = operation === undefined ? -1 : this.#operations.indexOf(operation);
    const top = position * rowHeight;
    const { scrollTop, clientHeight } = this.#frame;
    if (position >= 0 && (top < scrollTop || top + rowHeight > scrollTop + clientHeight)) {
      this.#frame.scrollTop = Math.max(0, top - clientHeight / 2);
    }
    this.#draw();
  }

  #draw() {
    const first = Math.max(0, Math.floor(this.#frame.scrollTop / rowHeight) - 5);
    const count = Math.ceil(this.#frame.clientHeight / rowHeight) + 10;
    const rows = this.#operations.slice(first, first + count).map((one, offset) => this.#row(one, first + offset));
    this.#content.replaceChildren(...rows);
  }

  /**
   * @param {Operation} one
   * @param {number} position
   */
  #row(one, position) {
    const row = document.createElement('div');
    const isPicked = one === this.#picked;
    row.className = `row ${one.outcome}${isPicked ? ' picked' : ''}${one.isShowing ? ' showing' : ''}`;
    row.setAttribute('role', 'option');
    row.setAttribute('aria-selected', String(isPicked));
    row.setAttribute('data-position', String(position));
    row.style.top = `${position * rowHeight}px`;
    const took = one.isAnswered ? spanText(one.endMs - one.startMs) : 'never';
    const cells = {
      mark: one.isShowing ? '✕' : marks[one.outcome],
      time: atText(one.startMs),
      client: `client ${one.client}`,
      member: one.member < 0 ? '' : `→ ${this.#members[one.member] ?? one.member}`,
      text: one.text.slice(0, 300),
      answer: (one.answer ?? (one.isAnswered ? '' : 'no answer')).slice(0, 300),
      took,
    };
    for (const [name, value] of Object.entries(cells)) {
      const cell = document.createElement('span');
      cell.className = name;
      cell.textContent = value;
      row.append(cell);
    }
    return row;
  }
}
