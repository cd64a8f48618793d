/**
 * The report of a run as one HTML page that needs nothing else: no network, no server, no other file. What a person must know
 * stands in it as HTML, also without scripts; the timeline, the filters and the list of operations are drawn by the script.
 *
 * Everything in a record may hold anything, so every text of it goes through escapeHtml or jsonForScript, and the page's own
 * policy lets run only the script and the style whose hashes it names, and nothing be fetched or sent.
 */
import { createHash } from 'node:crypto';
import { escapeHtml, jsonForScript } from './escape.ts';
import { pageData } from './page-data.ts';
import { pageScript, pageStyle } from './page-parts.ts';
import type { RecordedViolation, RunRecord } from './run-record.ts';
import { type Moment, storyOf } from './story.ts';

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(3)} s`;

function duration(milliseconds: number): string {
  if (milliseconds < 120_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  if (milliseconds < 7_200_000) return `${(milliseconds / 60_000).toFixed(1)} min`;
  return `${(milliseconds / 3_600_000).toFixed(1)} h`;
}

const verdictMarks = { passed: '✓', failed: '✕', unknown: '?' } as const;
const verdictWords = { passed: 'Passed', failed: 'Failed', unknown: 'No verdict' } as const;

/** How many of the operations that show a violation are listed in the head; the chart marks all of them. */
const shownOperationsMax = 20;

function violationHtml(record: RunRecord, violation: RecordedViolation): string {
  const byId = new Map(record.operations.map((operation) => [operation.id, operation]));
  const rows = violation.operations.slice(0, shownOperationsMax).map((id) => {
    const one = byId.get(id);
    const text = one === undefined ? '' : `${one.text}${one.answer === undefined ? '' : ` → ${one.answer}`}`;
    const when = one === undefined ? '' : `client ${one.client}, ${seconds(one.startMs)}`;
    return `<li><button type="button" class="go" data-operation="${id}">#${id}</button> <span class="when">${escapeHtml(when)}</span> <code>${escapeHtml(text)}</code></li>`;
  });
  const more = violation.operations.length - rows.length;
  const list =
    rows.length === 0
      ? ''
      : `<p class="label">The operations that show it</p><ul class="shows">${rows.join('')}${more > 0 ? `<li>and ${more} more</li>` : ''}</ul>`;
  const at = violation.atMs === undefined ? '' : ` at ${seconds(violation.atMs)}`;
  const isPlaced = violation.atMs !== undefined || violation.operations.length > 0;
  const show = isPlaced
    ? '<p><button type="button" id="show-violation" class="primary">Show it in the timeline</button></p>'
    : '';
  return `<section class="violation" aria-label="Broken promise">
<p class="label">Broken promise${at}${violation.check === undefined ? '' : ` · found by ${escapeHtml(violation.check)}`}</p>
<p class="property">${escapeHtml(violation.property)}</p>
<p class="detail">${escapeHtml(violation.detail)}</p>
${list}${show}
</section>`;
}

const momentMarks: Readonly<Record<Moment['kind'], string>> = {
  leader: '★',
  noLeader: '☆',
  fault: '▼',
  healed: '△',
  broken: '✕',
};

function storyHtml(record: RunRecord): string {
  const { moments, leftOut } = storyOf(record);
  if (moments.length === 0) return '';
  const isFailure = record.violation !== undefined;
  const items = moments.map(
    ({ atMs, kind, text }) =>
      `<li class="${kind}"><button type="button" class="go" data-time="${atMs}">${kind === 'broken' && record.violation?.atMs === undefined ? 'in the end' : seconds(atMs)}</button> <span class="mark" aria-hidden="true">${momentMarks[kind]}</span> <span>${escapeHtml(text)}</span></li>`,
  );
  const omitted =
    leftOut === 0
      ? ''
      : `<p class="quiet">${leftOut} ${isFailure ? 'earlier' : 'later'} moments are in the timeline.</p>`;
  return `<section class="story"><h2>${isFailure ? 'What led to it' : 'What happened'}</h2>${isFailure ? omitted : ''}<ol>${items.join('')}</ol>${isFailure ? '' : omitted}</section>`;
}

function checksHtml(record: RunRecord): string {
  const items = record.checks.map(
    ({ name, verdict, detail }) =>
      `<li class="${verdict}"><span class="mark" aria-hidden="true">${verdictMarks[verdict]}</span> ${escapeHtml(name)}<span class="quiet"> ${verdictWords[verdict].toLowerCase()}${detail === undefined ? '' : `: ${escapeHtml(detail)}`}</span></li>`,
  );
  const passed = record.checks.filter((check) => check.verdict === 'passed').length;
  return `<section class="checks"><h2>Checks <span class="quiet">${passed} of ${record.checks.length} passed</span></h2><ul>${items.join('')}</ul></section>`;
}

/** Hashes and the like are for copying, not for reading. */
const longFigure = 24;

function figuresHtml(record: RunRecord): string {
  const figures: (readonly [string, string | number])[] = [
    ['members', record.members.length],
    [record.world === 'simulation' ? 'simulated time' : 'time', duration(record.durationMs)],
    ['faults', record.faults.length],
    ...Object.entries(record.figures),
  ];
  const seen = new Set<string>();
  const items = figures
    .filter(([name]) => !seen.has(name) && seen.add(name))
    .map(([name, value]) => {
      const text = typeof value === 'number' ? value.toLocaleString('en-US') : value;
      const look = text.length > longFigure ? ' class="long"' : '';
      return `<div><dt>${escapeHtml(name)}</dt><dd${look}>${escapeHtml(text)}</dd></div>`;
    });
  return `<dl class="figures">${items.join('')}</dl>`;
}

function headHtml(record: RunRecord): string {
  const commit = record.commit === undefined ? 'sources in no repository' : `commit ${record.commit}`;
  const world = record.world === 'simulation' ? 'simulated world' : 'real processes';
  return `<header class="${record.verdict}">
<p class="verdict"><span aria-hidden="true">${verdictMarks[record.verdict]}</span> ${verdictWords[record.verdict]}</p>
<div><h1>${escapeHtml(record.title)}</h1>
<p class="about">${escapeHtml(record.description)}</p>
<p class="quiet">${world} · ${escapeHtml(commit)}</p></div>
</header>
<p class="again"><span class="label">Run it again</span> <code id="command">${escapeHtml(record.command)}</code> <button type="button" id="copy-command">Copy</button></p>`;
}

const timelineHtml = `<section class="timeline" aria-label="Timeline">
<div class="bar">
<h2>Timeline</h2>
<span class="buttons">
<button type="button" id="zoom-in" title="Zoom in (+)" aria-label="Zoom in">+</button>
<button type="button" id="zoom-out" title="Zoom out (-)" aria-label="Zoom out">−</button>
<button type="button" id="zoom-all" title="The whole run (0)">Whole run</button>
</span>
<form id="filters">
<label>Search <input id="filter-text" type="search" placeholder="key, value, answer  ( / )" autocomplete="off" spellcheck="false"></label>
<label>Client <select id="filter-client"></select></label>
<label>Kind <select id="filter-kind"></select></label>
<label>Outcome <select id="filter-outcome"></select></label>
<label>Member <select id="filter-member"></select></label>
<button type="reset" id="filter-reset">Reset</button>
</form>
<output id="filter-count" aria-live="polite"></output>
</div>
<div id="sticky"><canvas id="overview" aria-hidden="true"></canvas><canvas id="axis" aria-hidden="true"></canvas></div>
<div id="chart-frame" tabindex="0" role="group" aria-label="Chart of the run. Arrow keys move in time, plus and minus zoom, 0 shows the whole run, n and p go through the operations, v goes to the violation, slash searches.">
<div id="labels"></div><canvas id="chart"></canvas><div id="tip" role="tooltip" hidden></div>
</div>
<div id="legend"></div>
<p class="keys"><kbd>←</kbd> <kbd>→</kbd> move · <kbd>+</kbd> <kbd>−</kbd> zoom · <kbd>0</kbd> whole run · <kbd>n</kbd> <kbd>p</kbd> next and previous operation · <kbd>v</kbd> violation · <kbd>/</kbd> search · drag moves, Ctrl and wheel zooms, Shift and drag picks a time</p>
</section>
<div class="below">
<section class="details" aria-label="Details"><h2>Details</h2><div id="details" aria-live="polite"><p class="quiet">Pick an operation, a fault or a lane.</p></div></section>
<section class="operations" aria-label="Operations"><h2>Operations <span id="list-count" class="quiet"></span></h2><div id="list" tabindex="0" role="listbox" aria-label="Operations that pass the filters"></div></section>
</div>`;

/** The page of one run. */
export function renderReport(record: RunRecord): string {
  const script = pageScript();
  const style = pageStyle();
  const policy = `default-src 'none'; script-src ${hashOf(script)}; style-src ${hashOf(style)}; img-src data:; base-uri 'none'; form-action 'none'`;
  const sides = `${storyHtml(record)}${checksHtml(record)}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${verdictMarks[record.verdict]} ${escapeHtml(record.title)}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<main>
${headHtml(record)}
${figuresHtml(record)}
<div class="columns">${record.violation === undefined ? '' : violationHtml(record, record.violation)}${sides}</div>
${timelineHtml}
<noscript><p>The timeline is drawn by a script; the rest of this page needs none.</p></noscript>
</main>
<script type="application/json" id="record">${jsonForScript(pageData(record))}</script>
<script type="module">${script}</script>
</body>
</html>
`;
}
