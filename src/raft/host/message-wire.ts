/**
 * Batches of messages between members as protobuf (proto/raft.proto), by hand: entries are most of what members say, and
 * reflection over each of their fields was a good part of what a put cost. What protobufjs wrote is read, and the other way
 * round. The data of entries are views of the batch, whose memory lives as long as the longest-lived of them; they come
 * and go together.
 */
import type * as grpc from '@grpc/grpc-js';
import { present } from '../../env/assert.ts';
import {
  bytesType,
  int64FieldSize,
  lengthFieldSize,
  ProtoReader,
  varintType,
  writeBytesField,
  writeFlag,
  writeHead,
  writeInt64Field,
  bytesFieldSize,
} from '../../proto/wire-format.ts';
import type { ProtoEntry, ProtoMessage, ProtoMessageBatch } from './message-codec.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const number = (field: number) => (field << 3) | varintType;
const bytes = (field: number) => (field << 3) | bytesType;

/** `service` whose stream of messages goes through this file; a batch with a snapshot's description is left to protobufjs. */
export function withLeanStream(service: grpc.ServiceDefinition): grpc.ServiceDefinition {
  const stream = present(service['Stream'], 'the stream of messages');
  const isPlain = (batch: ProtoMessageBatch) => (batch.messages ?? []).every((message) => !message.snapshot);
  const encode = (batch: object) => (isPlain(batch) ? encodeMessages(batch) : stream.requestSerialize(batch));
  const decode = (message: Buffer) => decodeMessages(message) ?? stream.requestDeserialize(message);
  const parts = present(service['InstallSnapshot'], 'the stream of a snapshot');
  const decodePart = (part: Buffer) => {
    checkPart(part);
    return parts.requestDeserialize(part);
  };
  return {
    ...service,
    Stream: { ...stream, requestSerialize: encode, requestDeserialize: decode },
    InstallSnapshot: { ...parts, requestDeserialize: decodePart },
  };
}

export function encodeMessages({ messages = [] }: ProtoMessageBatch): Buffer {
  let size = 0;
  for (const message of messages) size += lengthFieldSize(messageSize(message));
  const target = Buffer.allocUnsafe(size);
  let at = 0;
  for (const message of messages) {
    at = writeHead(target, at, 1, messageSize(message));
    at = writeMessage(target, at, message);
  }
  return target;
}

/**
 * Of one batch. A few bytes on the wire are an object in memory each: without these, 32 MiB of them would be gigabytes. The
 * sender puts 256 messages into a batch; its entries count 32 bytes at least, of half a megabyte in a message as a rule.
 */
const messagesMax = 4096;
const entriesMax = 262_144;
/** The description of a snapshot names its members; this is some thousands of them. */
const describedBytesMax = 64 * 1024;

/** Throws RangeError when a part describes its snapshot at a length that no membership has. */
function checkPart(part: Uint8Array): void {
  const reader = new ProtoReader(part);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag !== bytes(1)) reader.skip(tag);
    else if (reader.view().length > describedBytesMax)
      throw new RangeError('malformed message: a snapshot described at length');
  }
}

/** Undefined when a message describes a snapshot. Throws RangeError on bytes that are no batch, or too large a one. */
export function decodeMessages(batch: Uint8Array): ProtoMessageBatch | undefined {
  const reader = new ProtoReader(batch);
  const messages: ProtoMessage[] = [];
  let isPlain = true;
  let entries = 0;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag !== bytes(1)) reader.skip(tag);
    else {
      const message = reader.nested(readMessage);
      entries += message?.entries?.length ?? 0;
      if (message === undefined) isPlain = false;
      messages.push(message ?? {});
      if (messages.length > messagesMax || entries > entriesMax) {
        throw new RangeError(
          `malformed message: more than ${messagesMax} messages or ${entriesMax} entries in a batch`,
        );
      }
    }
  }
  return isPlain ? { messages } : undefined;
}

function entrySize(entry: ProtoEntry): number {
  return (
    int64FieldSize(entry.term) + int64FieldSize(entry.index) + int64FieldSize(entry.kind) + bytesFieldSize(entry.data)
  );
}

function messageSize(message: ProtoMessage): number {
  let size =
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
    int64FieldSize(message.transferee);
  if (message.entries) for (const entry of message.entries) size += lengthFieldSize(entrySize(entry));
  return size;
}

function writeMessage(target: Buffer, from: number, message: ProtoMessage): number {
  let at = writeInt64Field(target, from, 1, message.type);
  at = writeInt64Field(target, at, 2, message.from);
  at = writeInt64Field(target, at, 3, message.to);
  at = writeInt64Field(target, at, 4, message.term);
  at = writeInt64Field(target, at, 5, message.index);
  at = writeInt64Field(target, at, 6, message.logTerm);
  if (message.entries) {
    for (const entry of message.entries) {
      at = writeHead(target, at, 7, entrySize(entry));
      at = writeInt64Field(target, at, 1, entry.term);
      at = writeInt64Field(target, at, 2, entry.index);
      at = writeInt64Field(target, at, 3, entry.kind);
      at = writeBytesField(target, at, 4, entry.data);
    }
  }
  at = writeInt64Field(target, at, 8, message.commit);
  at = writeFlag(target, at, 9, message.reject);
  at = writeInt64Field(target, at, 10, message.hintIndex);
  at = writeInt64Field(target, at, 11, message.hintTerm);
  at = writeInt64Field(target, at, 12, message.context);
  at = writeFlag(target, at, 13, message.isTransfer);
  return writeInt64Field(target, at, 15, message.transferee);
}

function readMessage(reader: ProtoReader): ProtoMessage | undefined {
  const message: Writable<ProtoMessage> = {};
  const entries: ProtoEntry[] = [];
  let isPlain = true;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === number(1)) message.type = reader.uint32();
    else if (tag === number(2)) message.from = reader.int64();
    else if (tag === number(3)) message.to = reader.int64();
    else if (tag === number(4)) message.term = reader.int64();
    else if (tag === number(5)) message.index = reader.int64();
    else if (tag === number(6)) message.logTerm = reader.int64();
    else if (tag === bytes(7)) {
      if (entries.length >= entriesMax) throw new RangeError(`malformed message: more than ${entriesMax} entries`);
      entries.push(reader.nested(readEntry));
    } else if (tag === number(8)) message.commit = reader.int64();
    else if (tag === number(9)) message.reject = reader.bool();
    else if (tag === number(10)) message.hintIndex = reader.int64();
    else if (tag === number(11)) message.hintTerm = reader.int64();
    else if (tag === number(12)) message.context = reader.int64();
    else if (tag === number(13)) message.isTransfer = reader.bool();
    else if (tag === number(15)) message.transferee = reader.int64();
    else {
      if (tag === bytes(14)) isPlain = false;
      reader.skip(tag);
    }
  }
  message.entries = entries;
  return isPlain ? message : undefined;
}

function readEntry(reader: ProtoReader): ProtoEntry {
  const entry: Writable<ProtoEntry> = {};
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === number(1)) entry.term = reader.int64();
    else if (tag === number(2)) entry.index = reader.int64();
    else if (tag === number(3)) entry.kind = reader.uint32();
    else if (tag === bytes(4)) entry.data = reader.view();
    else reader.skip(tag);
  }
  return entry;
}
