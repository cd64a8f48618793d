/** The events of a history file as shapes: what `readHistory` takes, field by field. */
import type { AnyOperation, AnyOutcome, HistoryEvent } from './history-events.ts';
import {
  flag,
  listOf,
  literal,
  natural,
  number,
  oneOf,
  optional,
  orNone,
  record,
  type Shape,
  text,
  variants,
  whole,
} from './shape.ts';

function kind<const K extends string>(name: K) {
  return { kind: literal(name) };
}

function keyed<const K extends string>(name: K) {
  return record({ ...kind(name), key: text });
}

const putStep = record({ ...kind('put'), key: text, value: text });
const txnStep = variants('kind', { put: putStep, delete: keyed('delete'), get: keyed('get') });
const listStep = variants('kind', {
  append: record({ ...kind('append'), key: text, value: text }),
  read: keyed('read'),
});

function ofLease<const K extends string>(name: K) {
  return record({ ...kind(name), lease: text });
}

function ofLock<const K extends string>(name: K) {
  return record({ ...kind(name), lock: text });
}

const operation: Shape<AnyOperation> = variants('kind', {
  put: record({ ...kind('put'), key: text, value: text, lease: optional(text) }),
  get: keyed('get'),
  cas: record({ ...kind('cas'), key: text, expected: orNone(text), value: text }),
  delete: keyed('delete'),
  txn: record({
    ...kind('txn'),
    compare: listOf(record({ key: text, value: orNone(text) })),
    success: listOf(txnStep),
    failure: listOf(txnStep),
  }),
  list: record({ ...kind('list'), at: natural, isLocal: flag }),
  compact: record({ ...kind('compact'), revision: natural }),
  leaseGrant: record({ ...kind('leaseGrant'), lease: text, ttlSeconds: number }),
  leaseKeepAlive: ofLease('leaseKeepAlive'),
  leaseTimeToLive: ofLease('leaseTimeToLive'),
  leaseRevoke: ofLease('leaseRevoke'),
  listTxn: record({ ...kind('listTxn'), steps: listOf(listStep) }),
  bankTransfer: record({ ...kind('bankTransfer'), from: text, to: text, amount: number }),
  bankRead: record(kind('bankRead')),
  setAdd: record({ ...kind('setAdd'), set: text, element: text }),
  setRead: record({ ...kind('setRead'), set: text }),
  ringSwap: record(kind('ringSwap')),
  ringRead: record(kind('ringRead')),
  idTake: record({ ...kind('idTake'), pool: text }),
  counterAdd: record({ ...kind('counterAdd'), counter: text, amount: number }),
  counterRead: record({ ...kind('counterRead'), counter: text }),
  lockAcquire: ofLock('lockAcquire'),
  lockRelease: ofLock('lockRelease'),
  lockedWrite: record({ ...kind('lockedWrite'), lock: text, token: orNone(natural), value: text }),
});

const told = { value: text, createRevision: natural, modRevision: natural, version: natural, lease: text };

function revisionOf<const K extends string>(name: K) {
  return record({ ...kind(name), revision: natural });
}

function leaseTold<const K extends string>(name: K) {
  return record({ ...kind(name), ttlSeconds: number });
}

const outcome: Shape<AnyOutcome> = variants('kind', {
  put: revisionOf('put'),
  get: record({ ...kind('get'), revision: natural, value: orNone(text), modRevision: natural }),
  cas: record({ ...kind('cas'), revision: natural, succeeded: flag }),
  delete: record({ ...kind('delete'), revision: natural, deleted: flag }),
  txn: record({ ...kind('txn'), revision: natural, succeeded: flag, found: listOf(orNone(text)) }),
  list: record({
    ...kind('list'),
    revision: natural,
    keys: listOf(record({ key: text, value: text, modRevision: natural })),
  }),
  compact: revisionOf('compact'),
  leaseGrant: leaseTold('leaseGrant'),
  leaseKeepAlive: leaseTold('leaseKeepAlive'),
  leaseTimeToLive: leaseTold('leaseTimeToLive'),
  leaseRevoke: leaseTold('leaseRevoke'),
  listTxn: record({ ...kind('listTxn'), lists: listOf(listOf(text)) }),
  bankTransfer: record(kind('bankTransfer')),
  bankRead: record({ ...kind('bankRead'), accounts: listOf(record({ account: text, amount: number })) }),
  setAdd: record(kind('setAdd')),
  setRead: record({ ...kind('setRead'), elements: listOf(text) }),
  ringSwap: record(kind('ringSwap')),
  ringRead: record({ ...kind('ringRead'), links: listOf(record({ from: text, to: text })) }),
  idTake: record({ ...kind('idTake'), id: text }),
  counterAdd: record(kind('counterAdd')),
  counterRead: record({ ...kind('counterRead'), value: number }),
  lockAcquire: record({ ...kind('lockAcquire'), token: orNone(natural) }),
  lockRelease: record(kind('lockRelease')),
  lockedWrite: record({ ...kind('lockedWrite'), isAccepted: flag }),
});

const range = { key: text, end: text };
const modelPut = record({ ...kind('put'), key: text, value: text, lease: text });
const modelDelete = record({ ...kind('delete'), ...range });
const modelRead = record(kind('read'));
const modelStep = variants('kind', { put: modelPut, delete: modelDelete, read: modelRead });
const modelRequest = variants('kind', {
  put: modelPut,
  delete: modelDelete,
  read: modelRead,
  txn: record({
    ...kind('txn'),
    compare: listOf(record({ key: text, value: orNone(text) })),
    success: listOf(modelStep),
    failure: listOf(modelStep),
  }),
  compact: record({ ...kind('compact'), revision: natural }),
  grant: record({ ...kind('grant'), lease: text, ttlSeconds: number }),
  revoke: record({ ...kind('revoke'), lease: text }),
  other: record(kind('other')),
});

const toldEvent = record({ key: text, revision: natural, now: orNone(record(told)), before: orNone(record(told)) });

function event<const K extends string>(type: K) {
  return { type: literal(type), atMs: optional(number) };
}

function ofWatch<const K extends string>(type: K) {
  return record({ ...event(type), watch: text, revision: natural });
}

const eventTypes = {
  invoke: record({ ...event('invoke'), id: natural, client: whole, operation }),
  ok: record({ ...event('ok'), id: natural, outcome }),
  fail: record({ ...event('fail'), id: natural, reason: text, isCompacted: optional(flag) }),
  info: record({ ...event('info'), id: natural, reason: text }),
  watch: record({
    ...event('watch'),
    watch: text,
    range: record(range),
    startRevision: natural,
    wantsPrevious: flag,
    wantsPuts: flag,
    wantsDeletes: flag,
  }),
  watchCreated: ofWatch('watchCreated'),
  watchEvents: record({
    ...event('watchEvents'),
    watch: text,
    revision: natural,
    isPart: flag,
    events: listOf(toldEvent),
  }),
  watchProgress: ofWatch('watchProgress'),
  watchCompacted: ofWatch('watchCompacted'),
  watchClosed: record({ ...event('watchClosed'), watch: text }),
  commit: record({ ...event('commit'), request: modelRequest }),
  powerLoss: record(event('powerLoss')),
  calm: record(event('calm')),
  state: record({
    ...event('state'),
    member: text,
    revision: natural,
    keys: listOf(record({ key: text, ...told })),
  }),
  expect: record({
    ...event('expect'),
    bankTotal: optional(number),
    mayOwe: optional(flag),
    ringNodes: optional(natural),
    baseRevision: optional(natural),
    clockRateMax: optional(number),
    leaseEndWithinMs: optional(number),
  }),
} as const;

export const historyEvent: Shape<HistoryEvent> = variants('type', eventTypes);

/** The first line. Its version is looked at before anything else, so that a newer file is called newer, not wrong. */
export const header = record({ format: oneOf(['keelson-history']), version: natural });
/** The last line: how many events stand between it and the first. A file without it was cut short. */
export const trailer = record({ type: literal('end'), events: natural });
