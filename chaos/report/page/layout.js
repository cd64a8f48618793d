/**
 * Where each row of the chart stands. From top to bottom: faults, members, links that were ever cut, clients. Rows of faults
 * are packed: one takes the first row that is free at its time.
 *
 * @typedef {import('./record.js').Run} Run
 * @typedef {import('./record.js').Operation} Operation
 */

/**
 * @typedef {object} Lane
 * @property {'faults' | 'member' | 'link' | 'client' | 'heading'} kind
 * @property {number} index of the row of faults, member, pair, or lane of clients
 * @property {number} top
 * @property {number} height
 * @property {string} label
 */

/**
 * @typedef {object} Layout
 * @property {Lane[]} lanes
 * @property {number} height
 * @property {number[][]} faultRows positions in the list of faults
 * @property {number[]} clients those of each lane of clients, by number
 * @property {number} clientsPerLane more than one when there are too many for a lane each
 */

/** More faults at once than this share the last row; the list of the details tells them apart. */
const faultRowsMax = 8;
/** A canvas has an end, and so has patience. */
const clientLanesMax = 400;
const headingHeight = 22;

/**
 * @param {Run} run
 * @returns {number[][]}
 */
function packFaults(run) {
  /** @type {{ faults: number[], freeMs: number }[]} */
  const rows = [];
  // A fault without an end still needs room for its text.
  const roomMs = run.endMs / 12;
  run.data.faults.forEach((fault, position) => {
    let row = rows.find((one) => one.freeMs <= fault.atMs);
    if (row === undefined && rows.length < faultRowsMax) {
      row = { faults: [], freeMs: 0 };
      rows.push(row);
    }
    row ??= rows.at(-1);
    if (row === undefined) return;
    row.faults.push(position);
    row.freeMs = Math.max(row.freeMs, fault.endMs ?? fault.atMs, fault.atMs + roomMs);
  });
  return rows.map((row) => row.faults);
}

/** @param {number} clients */
function clientHeight(clients) {
  if (clients <= 12) return 20;
  if (clients <= 30) return 14;
  return clients <= 80 ? 9 : 5;
}

/**
 * @param {Run} run
 * @returns {Layout}
 */
export function layOut(run) {
  /** @type {Lane[]} */
  const lanes = [];
  let top = 0;
  /** @type {(kind: Lane['kind'], index: number, height: number, label: string) => void} */
  const add = (kind, index, height, label) => {
    lanes.push({ kind, index, top, height, label });
    top += height;
  };
  const faultRows = packFaults(run);
  add('heading', 0, headingHeight, faultRows.length === 0 ? 'No faults' : 'Faults');
  faultRows.forEach((_, row) => add('faults', row, 22, ''));
  add('heading', 1, headingHeight, 'Members');
  run.data.members.forEach((name, member) => add('member', member, 42, name));
  if (run.pairs.length > 0) add('heading', 2, headingHeight, 'Links cut');
  run.pairs.forEach((pair, index) => {
    add('link', index, 13, `${run.data.members[pair.a] ?? pair.a} – ${run.data.members[pair.b] ?? pair.b}`);
  });
  const clients = [...new Set(run.operations.map((one) => one.client))].sort((a, b) => a - b);
  const clientsPerLane = Math.max(1, Math.ceil(clients.length / clientLanesMax));
  const clientLanes = Math.ceil(clients.length / clientsPerLane);
  if (clientLanes > 0) add('heading', 3, headingHeight, 'Clients');
  const height = clientHeight(clientLanes);
  for (let lane = 0; lane < clientLanes; lane++) {
    const first = clients[lane * clientsPerLane];
    const last = clients[Math.min(clients.length, (lane + 1) * clientsPerLane) - 1];
    add('client', lane, height, first === last ? `client ${first}` : `clients ${first}–${last}`);
  }
  return { lanes, height: top + 6, faultRows, clients, clientsPerLane };
}

/**
 * The operations of each lane of clients, by start.
 *
 * @param {Layout} layout
 * @param {readonly Operation[]} operations
 * @returns {Operation[][]}
 */
export function operationsByLane(layout, operations) {
  const laneOf = new Map(layout.clients.map((client, position) => [client, Math.floor(position / layout.clientsPerLane)]));
  const count = Math.ceil(layout.clients.length / layout.clientsPerLane);
  /** @type {Operation[][]} */
  const lanes = Array.from({ length: count }, () => []);
  for (const one of operations) lanes[laneOf.get(one.client) ?? 0]?.push(one);
  return lanes;
}
