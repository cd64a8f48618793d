/** Random requests out of a seed: few keys and few revisions, so that requests meet each other's traces all the time. */
import type { Message, ServiceName } from './equality-sides.ts';

export interface Request {
  readonly service: ServiceName;
  readonly method: string;
  readonly request: Message;
}

const bytes = (text: string) => Buffer.from(text, 'latin1');
const keys = ['a', 'aa', 'ab', 'b', 'ba', 'c', 'd', '\0', 'z', '\xff', '\xff\xff'];
const ends = ['', '', '', '\0', 'a', 'b', 'c', 'b\0', '\xff', 'A'];
const values = ['', '1', '2', 'x', 'y', 'xx', '\0', '\xff'];
const nestedKeys = ['n', 'n1', 'n2'];
const txnDepth = 2;
/** Ids that clients chose; a request now and then names one that nobody has granted. */
const leases = ['11', '12', '13', '9223372036854775807'];

export class Dice {
  #state: number;
  readonly seed: number;

  constructor(seed: number) {
    this.seed = seed;
    this.#state = seed >>> 0;
  }

  /** mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  integer(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  one<T>(list: readonly T[]): T {
    return list[this.integer(0, list.length - 1)] as T;
  }

  chance(share: number): boolean {
    return this.next() < share;
  }
}

/** What requests may refer to: the head as the judge knows it. */
export interface Known {
  revision: number;
}

export function anyRequest(dice: Dice, known: Known): Request {
  const roll = dice.next();
  if (roll < 0.28) return { service: 'KV', method: 'Range', request: range(dice, known) };
  if (roll < 0.52) return { service: 'KV', method: 'Put', request: plainPut(dice) };
  if (roll < 0.6) return { service: 'KV', method: 'DeleteRange', request: deleteRange(dice) };
  if (roll < 0.85) return { service: 'KV', method: 'Txn', request: txn(dice, known, txnDepth) };
  if (roll < 0.87) return { service: 'KV', method: 'Compact', request: compact(dice, known) };
  return leaseRequest(dice);
}

export function key(dice: Dice): Buffer {
  return dice.chance(0.02) ? bytes('') : bytes(dice.one(keys));
}

export function rangeEnd(dice: Dice): Buffer {
  return bytes(dice.one(ends));
}

/** Near the head, at it, before it, or far off; 0 most of the time. */
export function revision(dice: Dice, known: Known): number {
  const roll = dice.next();
  if (roll < 0.55) return 0;
  if (roll < 0.9) return Math.max(0, known.revision - dice.integer(0, 12));
  if (roll < 0.94) return dice.integer(1, 5);
  if (roll < 0.96) return -1;
  return known.revision + dice.integer(1, 3);
}

function bound(dice: Dice, known: Known): number {
  return dice.chance(0.8) ? 0 : Math.max(0, known.revision - dice.integer(0, 15));
}

export function range(dice: Dice, known: Known): Message {
  return {
    key: key(dice),
    rangeEnd: rangeEnd(dice),
    limit: dice.one([0, 0, 1, 2, 3, 100, -1]),
    revision: revision(dice, known),
    sortOrder: dice.one([0, 0, 1, 2]),
    sortTarget: dice.one([0, 1, 2, 3, 4]),
    serializable: dice.chance(0.3),
    keysOnly: dice.chance(0.15),
    countOnly: dice.chance(0.15),
    minModRevision: bound(dice, known),
    maxModRevision: bound(dice, known),
    minCreateRevision: bound(dice, known),
    maxCreateRevision: bound(dice, known),
  };
}

/** Something that makes events. */
export function writeRequest(dice: Dice, known: Known): Request {
  const roll = dice.next();
  if (roll < 0.5) return { service: 'KV', method: 'Put', request: plainPut(dice) };
  if (roll < 0.7) return { service: 'KV', method: 'DeleteRange', request: deleteRange(dice) };
  return { service: 'KV', method: 'Txn', request: txn(dice, known, txnDepth) };
}

function plainPut(dice: Dice): Message {
  return dice.chance(0.1) ? { ...put(dice), key: bytes(dice.one(nestedKeys)) } : put(dice);
}

export function put(dice: Dice): Message {
  const ignoreValue = dice.chance(0.1);
  const ignoreLease = dice.chance(0.1);
  return {
    key: key(dice),
    value: ignoreValue && dice.chance(0.8) ? bytes('') : bytes(dice.one(values)),
    lease: (ignoreLease && dice.chance(0.8)) || dice.chance(0.7) ? '0' : dice.one([...leases, '77', '-5']),
    prevKv: dice.chance(0.4),
    ignoreValue,
    ignoreLease,
  };
}

export function deleteRange(dice: Dice): Message {
  return { key: key(dice), rangeEnd: rangeEnd(dice), prevKv: dice.chance(0.5) };
}

function compare(dice: Dice, known: Known): Message {
  const common = {
    result: dice.integer(0, 3),
    key: key(dice),
    ...(dice.chance(0.3) ? { rangeEnd: rangeEnd(dice) } : {}),
  };
  const number = dice.chance(0.5) ? dice.integer(0, 3) : Math.max(0, known.revision - dice.integer(0, 10));
  switch (dice.integer(0, 5)) {
    case 0:
      return { ...common, target: 0, version: number };
    case 1:
      return { ...common, target: 1, createRevision: number };
    case 2:
      return { ...common, target: 2, modRevision: number };
    case 3:
      return { ...common, target: 3, value: bytes(dice.one(values)) };
    case 4:
      return { ...common, target: 4, lease: dice.one(['0', ...leases]) };
    default:
      // The target says one thing and the value belongs to another, or there is none.
      return { ...common, target: dice.integer(0, 4), ...(dice.chance(0.5) ? { modRevision: number } : {}) };
  }
}

export function txn(dice: Dice, known: Known, depth: number): Message {
  const some = <T>(max: number, make: () => T): readonly T[] => Array.from({ length: dice.integer(0, max) }, make);
  return {
    compare: some(2, () => compare(dice, known)),
    success: some(3, () => operation(dice, known, depth)),
    failure: some(3, () => operation(dice, known, depth)),
  };
}

/**
 * etcd means to refuse a transaction that puts and deletes one key, but does not see it when the deletion has no upper
 * end, or when it stands in a nested transaction beside the one that puts; it then writes the key twice in one revision.
 * Keelson refuses as etcd's documentation says, and the two would part: nested deletions keep to keys that only plain
 * puts write.
 */
function txnDelete(dice: Dice, depth: number): Message {
  const request = deleteRange(dice);
  if (depth < txnDepth) return { ...request, key: bytes(dice.one(nestedKeys)), rangeEnd: bytes(dice.one(['', 'o'])) };
  return (request['rangeEnd'] as Buffer).equals(bytes('\0'))
    ? { ...request, rangeEnd: bytes('\xff\xff\xff') }
    : request;
}

function operation(dice: Dice, known: Known, depth: number): Message {
  const roll = dice.next();
  if (roll < 0.35) return { requestRange: range(dice, known) };
  if (roll < 0.72) return { requestPut: put(dice) };
  if (roll < 0.86) return { requestDeleteRange: txnDelete(dice, depth) };
  if (roll < 0.98 && depth > 0) return { requestTxn: txn(dice, known, depth - 1) };
  if (roll < 0.985) return {};
  return { requestPut: put(dice) };
}

export function compact(dice: Dice, known: Known): Message {
  return {
    revision: dice.chance(0.8)
      ? known.revision - dice.integer(0, 20)
      : dice.one([-1, 1, 2, known.revision, known.revision + 1]),
  };
}

function leaseRequest(dice: Dice): Request {
  const id = dice.one([...leases, '77']);
  const roll = dice.next();
  if (roll < 0.45) {
    const ttl = dice.one(['100000', '9000000000', '9000000001', '50000']);
    return { service: 'Lease', method: 'LeaseGrant', request: { ID: id === '77' ? '14' : id, TTL: ttl } };
  }
  if (roll < 0.65)
    return { service: 'Lease', method: 'LeaseRevoke', request: { ID: dice.one([...leases, '14', '77']) } };
  if (roll < 0.9) return { service: 'Lease', method: 'LeaseTimeToLive', request: { ID: id, keys: dice.chance(0.7) } };
  return { service: 'Lease', method: 'LeaseLeases', request: {} };
}
