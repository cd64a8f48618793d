/**
 * The record as it stands in the page, and its operations as objects. The other side of ../page-data.ts.
 *
 * @typedef {import('../run-record.ts').MemberState} MemberState
 * @typedef {import('../run-record.ts').RecordedFault} Fault
 * @typedef {import('../run-record.ts').RecordedOperation['outcome']} Outcome
 * @typedef {import('../page-data.ts').PageData} PageData
 */

/**
 * @typedef {object} Operation
 * @property {number} id
 * @property {number} client
 * @property {number} member -1 where it is not known
 * @property {string} kind
 * @property {string} text
 * @property {number} startMs
 * @property {number} endMs that of the run where nothing was answered
 * @property {boolean} isAnswered
 * @property {Outcome} outcome
 * @property {string | null} answer
 * @property {boolean} isShowing one that shows the violation
 * @property {number} showingNumber which one of those, from 1; 0 for the others
 */

/**
 * What a member was, or which links were cut, from one time to another.
 *
 * @typedef {{ startMs: number, endMs: number, state: MemberState, term: number, isNewTerm: boolean }} Stretch
 * @typedef {{ startMs: number, endMs: number, forward: boolean, backward: boolean }} Cut
 */

/**
 * @typedef {object} Run
 * @property {PageData} data
 * @property {number} endMs of everything that is drawn
 * @property {Operation[]} operations by start
 * @property {Stretch[][]} stretches per member
 * @property {{ a: number, b: number, cuts: Cut[] }[]} pairs of members whose link was cut at some time
 */

/**
 * @param {PageData} data
 * @returns {Run}
 */
export function decodeRun(data) {
  let endMs = Math.max(data.durationMs, 1);
  for (const row of data.operations) endMs = Math.max(endMs, row[5], row[6]);
  for (const change of data.states) endMs = Math.max(endMs, change.atMs);
  for (const change of data.links) endMs = Math.max(endMs, change.atMs);
  for (const fault of data.faults) endMs = Math.max(endMs, fault.atMs);
  const showing = new Map((data.violation?.operations ?? []).map((id, position) => [id, position + 1]));
  const operations = data.operations.map((row) => {
    const [id, client, member, kind, text, startMs, rowEndMs, outcome, answer] = row;
    const isAnswered = rowEndMs >= 0;
    const showingNumber = showing.get(id) ?? 0;
    return {
      id,
      client,
      member,
      kind,
      text,
      startMs,
      endMs: isAnswered ? rowEndMs : endMs,
      isAnswered,
      outcome,
      answer,
      isShowing: showingNumber > 0,
      showingNumber,
    };
  });
  return { data, endMs, operations, stretches: stretchesOf(data, endMs), pairs: pairsOf(data, endMs) };
}

/**
 * @param {PageData} data
 * @param {number} endMs
 * @returns {Stretch[][]}
 */
function stretchesOf(data, endMs) {
  /** @type {Stretch[][]} */
  const lanes = data.members.map(() => []);
  for (const { atMs, member, state, term } of data.states) {
    const lane = lanes[member];
    if (lane === undefined) continue;
    const last = lane.at(-1);
    if (last !== undefined) last.endMs = atMs;
    lane.push({ startMs: atMs, endMs, state, term, isNewTerm: term !== 0 && term !== last?.term });
  }
  return lanes;
}

/**
 * @param {PageData} data
 * @param {number} endMs
 */
function pairsOf(data, endMs) {
  /** @type {Map<string, { a: number, b: number, cuts: Cut[] }>} */
  const pairs = new Map();
  for (const { atMs, from, to, isCut } of data.links) {
    const a = Math.min(from, to);
    const b = Math.max(from, to);
    const key = `${a} ${b}`;
    const pair = pairs.get(key) ?? { a, b, cuts: [] };
    pairs.set(key, pair);
    const open = pair.cuts.at(-1);
    const isOpen = open !== undefined && open.endMs === endMs;
    let forward = isOpen && open.forward;
    let backward = isOpen && open.backward;
    if (from === a) forward = isCut;
    else backward = isCut;
    if (isOpen && open.startMs === atMs) pair.cuts.pop();
    else if (isOpen) open.endMs = atMs;
    if (forward || backward) pair.cuts.push({ startMs: atMs, endMs, forward, backward });
  }
  return [...pairs.values()].filter((pair) => pair.cuts.length > 0).sort((x, y) => x.a - y.a || x.b - y.b);
}
