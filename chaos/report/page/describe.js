/**
 * What was found, in words, as rows of a name and a value. Texts of a record reach the page through textContent alone.
 */
import { stateLooks } from './draw-members.js';
import { spanText } from './time-window.js';

/**
 * @typedef {import('./find-at.js').Found} Found
 * @typedef {import('./record.js').Run} Run
 */

/** @type {Record<import('./record.js').Outcome, string>} */
export const outcomeWords = {
  ok: 'acknowledged',
  failed: 'failed: it did not happen',
  unknown: 'unknown: it may have happened, or not',
};

/** @param {number} timeMs */
export const atText = (timeMs) => `${(timeMs / 1000).toFixed(3)} s`;

/**
 * @param {Run} run
 * @param {Found} found
 * @returns {{ title: string, rows: [string, string][] }}
 */
export function describe(run, found) {
  /** @type {(member: number) => string} */
  const name = (member) => run.data.members[member] ?? `member ${member}`;
  switch (found.kind) {
    case 'operation': {
      const one = found.operation;
      /** @type {[string, string][]} */
      const rows = [
        ['Outcome', outcomeWords[one.outcome]],
        ['Client', String(one.client)],
        ['Asked', one.member < 0 ? 'not known' : name(one.member)],
        ['From', atText(one.startMs)],
        ['Until', one.isAnswered ? `${atText(one.endMs)} (${spanText(one.endMs - one.startMs)})` : 'never answered'],
      ];
      if (one.answer !== null) rows.push(['Answer', one.answer]);
      if (one.isShowing) rows.push(['Violation', 'shows it']);
      return { title: `#${one.id} ${one.text}`, rows };
    }
    case 'fault': {
      const { fault } = found;
      const end = fault.endMs === undefined ? 'no end of its own' : `${atText(fault.endMs)} (${spanText(fault.endMs - fault.atMs)})`;
      return {
        title: fault.text,
        rows: [
          ['Kind', fault.kind],
          ['Struck', fault.members.length === 0 ? 'everybody, or nobody in particular' : fault.members.map(name).join(', ')],
          ['From', atText(fault.atMs)],
          ['Until', end],
        ],
      };
    }
    case 'stretch': {
      const { stretch, member } = found;
      const span = `${atText(stretch.endMs)} (${spanText(stretch.endMs - stretch.startMs)})`;
      return {
        title: `${name(member)}: ${stateLooks[stretch.state].word}`,
        rows: [
          ['Term', stretch.term === 0 ? 'not known' : String(stretch.term)],
          ['From', atText(stretch.startMs)],
          ['Until', span],
        ],
      };
    }
    case 'cut': {
      const { a, b, cut } = found;
      const both = cut.forward && cut.backward;
      const way = both ? `both ways` : cut.forward ? `${name(a)} → ${name(b)}` : `${name(b)} → ${name(a)}`;
      return {
        title: `Link ${name(a)} – ${name(b)} cut`,
        rows: [
          ['Direction', way],
          ['From', atText(cut.startMs)],
          ['Until', `${atText(cut.endMs)} (${spanText(cut.endMs - cut.startMs)})`],
        ],
      };
    }
  }
}

/**
 * @param {HTMLElement} into
 * @param {{ title: string, rows: [string, string][] }} what
 */
export function showDescription(into, { title, rows }) {
  const heading = document.createElement('h3');
  heading.textContent = title;
  const list = document.createElement('dl');
  for (const [term, value] of rows) {
    const dt = document.createElement('dt');
    dt.textContent = term;
    const dd = document.createElement('dd');
    dd.textContent = value;
    list.append(dt, dd);
  }
  into.replaceChildren(heading, list);
}
