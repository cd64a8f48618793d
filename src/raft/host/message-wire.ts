/**
 * Batches of messages between members as protobuf (proto/raft.proto), by hand: entries are most of what members say, and
 * reflection over each of their fields was a good part of what a put cost. What protobufjs wrote is read, and the other way
 * round. The data of entries are views of the batch, whose memory lives as long as the longest-lived of them; they come
 * and go together.
 */
import { assert } from '../../env/assert.ts';
import {
  bytesFieldSize,
  bytesType,
  int64FieldSize,
  lengthFieldSize,
  ProtoReader,
  varintType,
  writeBytesField,
  writeFlag,
  writeHead,
  writeInt64Field,
} from '../../proto/wire-format.ts';
import type { Entry, Index, Message, ProposedEntry, Term } from '../core/types.ts';
import { bad, headOf, messageOf, type ProtoMessage } from './message-codec.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type AnyEntry = Entry | (ProposedEntry & { readonly term?: undefined; readonly index?: undefined });

const number = (field: number) => (field << 3) | varintType;
const bytes = (field: number) => (field << 3) | bytesType;
const noData = new Uint8Array(0);

/**
 * Of one batch. A few bytes on the wire are an object in memory each: without these, 32 MiB of them would be gigabytes. The
 * sender puts 256 messages into a batch; its entries count 32 bytes at least, of half a megabyte in a message as a rule.
 */
const messagesMax = 4096;
const entriesMax = 262_144;
/** Proposals that are put into one message. They are refused together where the leader takes no more, so not too many. */
const proposalsMax = 64;

/** A message as it is about to be written. */
interface Prepared {
  readonly head: ProtoMessage;
  readonly entries: Uint8Array;
  readonly bytes: number;
}

/** For all that one member sends: entries mostly go to several others, so the last ones are kept encoded. */
export class BatchEncoder {
  #first: Entry | undefined;
  #last: Entry | undefined;
  #count = 0;
  #encoded: Uint8Array = noData;

  encode(messages: readonly Message[]): Buffer {
    const prepared: Prepared[] = [];
    let size = 0;
    for (let from = 0; from < messages.length; ) {
      const end = endOfProposals(messages, from);
      const head = headOf(messages[from] as Message);
      const entries = this.#entriesOf(messages, from, end);
      const own = headSize(head) + entries.length;
      prepared.push({ head, entries, bytes: own });
      size += lengthFieldSize(own);
      from = end;
    }
    const target = Buffer.allocUnsafe(size);
    let at = 0;
    for (const { head, entries, bytes: own } of prepared) {
      at = writeHeadFields(target, writeHead(target, at, 1, own), head);
      target.set(entries, at);
      at += entries.length;
    }
    assert(at === size, 'a batch is as long as was worked out');
    return target;
  }

  #entriesOf(messages: readonly Message[], from: number, end: number): Uint8Array {
    const message = messages[from] as Message;
    if (message.type === 'app') return this.#shared(message.entries);
    if (message.type !== 'prop') return noData;
    if (end === from + 1) return encodeEntries(message.entries as readonly AnyEntry[]);
    const together = messages.slice(from, end) as (Message & { readonly type: 'prop' })[];
    return encodeEntries(together.flatMap(({ entries }) => entries) as readonly AnyEntry[]);
  }

  /** Entries are in order, so that the first, the last and their number say which ones they are. */
  #shared(entries: readonly Entry[]): Uint8Array {
    const [first] = entries;
    if (first === undefined) return noData;
    const last = entries.at(-1);
    if (first === this.#first && last === this.#last && entries.length === this.#count) return this.#encoded;
    this.#encoded = encodeEntries(entries);
    this.#first = first;
    this.#last = last;
    this.#count = entries.length;
    return this.#encoded;
  }
}

/** Behind the proposals from `from` on that may travel in one message; changes of the membership have one of their own. */
function endOfProposals(messages: readonly Message[], from: number): number {
  const { term } = messages[from] as Message;
  let end = from;
  for (; end < messages.length && end - from < proposalsMax; end++) {
    const message = messages[end] as Message;
    if (message.type !== 'prop' || message.term !== term) break;
    if (message.entries.some(({ kind }) => kind === 'confChange')) break;
  }
  return Math.max(end, from + 1);
}

function encodeEntries(entries: readonly AnyEntry[]): Uint8Array {
  let size = 0;
  for (const entry of entries) size += lengthFieldSize(entrySize(entry));
  const target = Buffer.allocUnsafe(size);
  let at = 0;
  for (const entry of entries) {
    at = writeHead(target, at, 7, entrySize(entry));
    at = writeInt64Field(target, at, 1, entry.term);
    at = writeInt64Field(target, at, 2, entry.index);
    at = writeInt64Field(target, at, 3, kindOf(entry));
    at = writeBytesField(target, at, 4, entry.data);
  }
  return target;
}

const kindOf = ({ kind }: AnyEntry) => (kind === 'confChange' ? 1 : 0);

function entrySize(entry: AnyEntry): number {
  return (
    int64FieldSize(entry.term) +
    int64FieldSize(entry.index) +
    int64FieldSize(kindOf(entry)) +
    bytesFieldSize(entry.data)
  );
}

/**
 * Throws RangeError on bytes that are no batch, or too large a one, and BAD_PEER_MESSAGE on a message that no member sends;
 * one that describes a snapshot belongs into a call of its own.
 */
export function decodeBatch(batch: Uint8Array): readonly Message[] {
  const reader = new ProtoReader(batch);
  const messages: Message[] = [];
  let entries = 0;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag !== bytes(1)) {
      reader.skip(tag);
      continue;
    }
    if (messages.length >= messagesMax) throw tooMany();
    const message = reader.nested(readMessage);
    if ('entries' in message) entries += message.entries.length;
    if (entries > entriesMax) throw tooMany();
    messages.push(message);
  }
  return messages;
}

function tooMany(): RangeError {
  return new RangeError(`malformed message: more than ${messagesMax} messages or ${entriesMax} entries in a batch`);
}

function headSize(message: ProtoMessage): number {
  return (
    int64FieldSize(message.type) +
    int64FieldSize(message.from) +
    int64FieldSize(message.to) +
    int64FieldSize(message.term) +
    int64FieldSize(message.index) +
    int64FieldSize(message.logTerm) +
    int64FieldSize(message.commit) +
    (message.reject === true ? 2 : 0) +
    int64FieldSize(message.hintIndex) +
    int64FieldSize(message.hintTerm) +
    int64FieldSize(message.context) +
    (message.isTransfer === true ? 2 : 0) +
    int64FieldSize(message.transferee)
  );
}

function writeHeadFields(target: Buffer, from: number, message: ProtoMessage): number {
  let at = writeInt64Field(target, from, 1, message.type);
  at = writeInt64Field(target, at, 2, message.from);
  at = writeInt64Field(target, at, 3, message.to);
  at = writeInt64Field(target, at, 4, message.term);
  at = writeInt64Field(target, at, 5, message.index);
  at = writeInt64Field(target, at, 6, message.logTerm);
  at = writeInt64Field(target, at, 8, message.commit);
  at = writeFlag(target, at, 9, message.reject);
  at = writeInt64Field(target, at, 10, message.hintIndex);
  at = writeInt64Field(target, at, 11, message.hintTerm);
  at = writeInt64Field(target, at, 12, message.context);
  at = writeFlag(target, at, 13, message.isTransfer);
  return writeInt64Field(target, at, 15, message.transferee);
}

function readMessage(reader: ProtoReader): Message {
  const message: Writable<ProtoMessage> = {};
  const entries: Entry[] = [];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === number(1)) message.type = reader.uint32();
    else if (tag === number(2)) message.from = reader.int64();
    else if (tag === number(3)) message.to = reader.int64();
    else if (tag === number(4)) message.term = reader.int64();
    else if (tag === number(5)) message.index = reader.int64();
    else if (tag === number(6)) message.logTerm = reader.int64();
    else if (tag === bytes(7)) {
      if (entries.length >= entriesMax) throw tooMany();
      entries.push(reader.nested(readEntry));
    } else if (tag === number(8)) message.commit = reader.int64();
    else if (tag === number(9)) message.reject = reader.bool();
    else if (tag === number(10)) message.hintIndex = reader.int64();
    else if (tag === number(11)) message.hintTerm = reader.int64();
    else if (tag === number(12)) message.context = reader.int64();
    else if (tag === number(13)) message.isTransfer = reader.bool();
    else if (tag === number(15)) message.transferee = reader.int64();
    else if (tag === bytes(14)) throw bad('a snapshot without its content');
    else reader.skip(tag);
  }
  return messageOf(message, entries);
}

function readEntry(reader: ProtoReader): Entry {
  let term: number | bigint = 0;
  let index: number | bigint = 0;
  let isConfChange = false;
  let data: Uint8Array = noData;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === number(1)) term = reader.int64();
    else if (tag === number(2)) index = reader.int64();
    else if (tag === number(3)) isConfChange = reader.uint32() === 1;
    else if (tag === bytes(4)) data = reader.view();
    else reader.skip(tag);
  }
  if (typeof term !== 'number') throw bad(`the term of an entry is ${term}, which is out of range`);
  if (typeof index !== 'number') throw bad(`the index of an entry is ${index}, which is out of range`);
  return { term: term as Term, index: index as Index, kind: isConfChange ? 'confChange' : 'normal', data };
}
