/**
 * Raft messages between our values and the ones of proto/raft.proto. Decoding trusts nothing: an unknown type or a
 * number that does not fit throws a KeelsonError `BAD_PEER_MESSAGE`, and the stream it came on is ended.
 */
import { unreachable } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import { type Int64Like, numberFromInt64 } from '../../proto/int64.ts';
import type {
  ConfState,
  Entry,
  Index,
  Message,
  MessageType,
  ProposedEntry,
  ReplicaId,
  SnapshotMeta,
  Term,
} from '../core/types.ts';

/** Numbers of proto enum MessageType. */
const typeNumbers: Readonly<Record<MessageType, number>> = {
  app: 1,
  appResp: 2,
  heartbeat: 3,
  heartbeatResp: 4,
  vote: 5,
  preVote: 6,
  voteResp: 7,
  preVoteResp: 8,
  snap: 9,
  timeoutNow: 10,
  prop: 11,
  readIndex: 12,
  readIndexResp: 13,
  transferLeader: 14,
};
const typeNames = new Map(Object.entries(typeNumbers).map(([name, number]) => [number, name as MessageType]));

export interface ProtoEntry {
  readonly term?: Int64Like;
  readonly index?: Int64Like;
  readonly kind?: number;
  readonly data?: Uint8Array;
}

interface ProtoConfState {
  readonly voters?: readonly Int64Like[];
  readonly votersOutgoing?: readonly Int64Like[];
  readonly learners?: readonly Int64Like[];
  readonly learnersNext?: readonly Int64Like[];
  readonly autoLeave?: boolean;
  readonly witnesses?: readonly Int64Like[];
}

interface ProtoSnapshotMeta {
  readonly index?: Int64Like;
  readonly term?: Int64Like;
  readonly confState?: ProtoConfState | null;
}

export interface ProtoMessage {
  readonly type?: number;
  readonly from?: Int64Like;
  readonly to?: Int64Like;
  readonly term?: Int64Like;
  readonly index?: Int64Like;
  readonly logTerm?: Int64Like;
  readonly entries?: readonly ProtoEntry[];
  readonly commit?: Int64Like;
  readonly reject?: boolean;
  readonly hintIndex?: Int64Like;
  readonly hintTerm?: Int64Like;
  readonly context?: Int64Like;
  readonly isTransfer?: boolean;
  readonly snapshot?: ProtoSnapshotMeta | null;
  readonly transferee?: Int64Like;
}

export interface ProtoMessageBatch {
  readonly messages?: readonly ProtoMessage[];
}

export interface ProtoSnapshotPart {
  readonly message?: ProtoMessage | null;
  readonly chunk?: Uint8Array;
  readonly isLast?: boolean;
  readonly totalBytes?: Int64Like;
}

/** Roughly what a message takes on the wire; what the queues count. */
export function messageBytes(message: Message): number {
  const overhead = 64;
  if (message.type !== 'app' && message.type !== 'prop') return overhead;
  let bytes = overhead;
  for (const entry of message.entries) bytes += entry.data.length + 24;
  return bytes;
}

function toProtoEntry(entry: Entry | ProposedEntry): ProtoEntry {
  const place = 'index' in entry ? { term: entry.term, index: entry.index } : {};
  return { ...place, kind: entry.kind === 'confChange' ? 1 : 0, data: entry.data };
}

export function toProto(message: Message): ProtoMessage {
  const head = headOf(message);
  return 'entries' in message ? { ...head, entries: message.entries.map(toProtoEntry) } : head;
}

/** All of a message but its entries. */
export function headOf(message: Message): ProtoMessage {
  const common = { type: typeNumbers[message.type], from: message.from, to: message.to, term: message.term };
  switch (message.type) {
    case 'app': {
      const { prevIndex: index, prevTerm: logTerm, commit, held } = message;
      return { ...common, index, logTerm, commit, ...(held !== undefined && { hintIndex: held }) };
    }
    case 'appResp': {
      const { index, reject, hintIndex, hintTerm } = message;
      return { ...common, index, reject, hintIndex, hintTerm };
    }
    case 'heartbeat':
      return {
        ...common,
        commit: message.commit,
        context: message.readContext,
        ...(message.held !== undefined && { hintIndex: message.held }),
      };
    case 'heartbeatResp':
      return { ...common, context: message.readContext };
    case 'vote':
    case 'preVote':
      return { ...common, index: message.lastIndex, logTerm: message.lastTerm, isTransfer: message.isTransfer };
    case 'voteResp':
    case 'preVoteResp':
      return {
        ...common,
        reject: message.reject,
        ...(message.committed && { index: message.committed.index, logTerm: message.committed.term }),
      };
    case 'snap':
      return { ...common, snapshot: message.snapshot };
    case 'timeoutNow':
      return common;
    case 'prop':
      return common;
    case 'readIndex':
      return { ...common, context: message.context };
    case 'readIndexResp':
      return { ...common, context: message.context, index: message.index };
    case 'transferLeader':
      return { ...common, transferee: message.transferee };
    default:
      return unreachable(message);
  }
}

export function bad(what: string): KeelsonError {
  return new KeelsonError('BAD_PEER_MESSAGE', `decode raft message: ${what}`);
}

function natural(value: Int64Like | null | undefined, what: string): number {
  const number = numberFromInt64(value);
  if (number === undefined || number < 0) throw bad(`${what} is ${String(value)}, which is out of range`);
  return number;
}

const index = (value: Int64Like | null | undefined): Index => natural(value, 'an index') as Index;
const term = (value: Int64Like | null | undefined): Term => natural(value, 'a term') as Term;
const replica = (value: Int64Like | null | undefined): ReplicaId => natural(value, 'a replica id') as ReplicaId;

const noData = new Uint8Array(0);

function toEntry(entry: ProtoEntry): Entry {
  const kind = entry.kind === 1 ? 'confChange' : 'normal';
  return { term: term(entry.term), index: index(entry.index), kind, data: entry.data ?? noData };
}

function toSnapshotMeta(meta: ProtoSnapshotMeta | null | undefined): SnapshotMeta {
  if (!meta?.confState) throw bad('a snapshot without its membership');
  return { index: index(meta.index), term: term(meta.term), confState: toConfState(meta.confState) };
}

function toConfState(state: ProtoConfState): ConfState {
  const ids = (values: readonly Int64Like[] | undefined) => (values ?? []).map(replica);
  const witnesses = ids(state.witnesses);
  return {
    voters: ids(state.voters),
    votersOutgoing: ids(state.votersOutgoing),
    learners: ids(state.learners),
    learnersNext: ids(state.learnersNext),
    autoLeave: state.autoLeave === true,
    ...(witnesses.length > 0 && { witnesses }),
  };
}

function heldOf(message: ProtoMessage): { readonly held?: Index } {
  const held = index(message.hintIndex);
  return held > 0 ? { held } : {};
}

export function fromProto(message: ProtoMessage): Message {
  return messageOf(message, (message.entries ?? []).map(toEntry));
}

/** A message of its head and its entries. */
export function messageOf(message: ProtoMessage, entries: readonly Entry[]): Message {
  const type = typeNames.get(message.type ?? 0);
  if (!type) throw bad(`unknown type ${message.type}`);
  const common = { from: replica(message.from), to: replica(message.to), term: term(message.term) };
  const reject = message.reject === true;
  const context = natural(message.context, 'a context');
  switch (type) {
    case 'app': {
      const commit = index(message.commit);
      const previous = { prevIndex: index(message.index), prevTerm: term(message.logTerm) };
      return { ...common, type, ...previous, entries, commit, ...heldOf(message) };
    }
    case 'appResp': {
      const hint = { hintIndex: index(message.hintIndex), hintTerm: term(message.hintTerm) };
      return { ...common, type, index: index(message.index), reject, ...hint };
    }
    case 'heartbeat':
      return { ...common, type, commit: index(message.commit), readContext: context, ...heldOf(message) };
    case 'heartbeatResp':
      return { ...common, type, readContext: context };
    case 'vote':
    case 'preVote': {
      const last = { lastIndex: index(message.index), lastTerm: term(message.logTerm) };
      return { ...common, type, ...last, isTransfer: message.isTransfer === true };
    }
    case 'voteResp':
    case 'preVoteResp': {
      const committed = { index: index(message.index), term: term(message.logTerm) };
      return { ...common, type, reject, ...(committed.index > 0 && { committed }) };
    }
    case 'snap':
      return { ...common, type, snapshot: toSnapshotMeta(message.snapshot) };
    case 'timeoutNow':
      return { ...common, type };
    case 'prop':
      return { ...common, type, entries: entries.map(({ kind, data }) => ({ kind, data })) };
    case 'readIndex':
      return { ...common, type, context };
    case 'readIndexResp':
      return { ...common, type, context, index: index(message.index) };
    case 'transferLeader':
      return { ...common, type, transferee: replica(message.transferee) };
    default:
      return unreachable(type);
  }
}
