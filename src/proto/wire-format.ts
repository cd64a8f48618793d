/**
 * Protobuf's wire format for the messages that make up the load, between members and with clients, by hand: decoding without reflection, encoding in two
 * passes (size, then write) into memory of exactly that size. protobufjs does the same for every other message and is what
 * this is tested against.
 *
 * 64-bit fields are decoded as numbers where a number holds them and as bigints where not, which is what Int64Like allows.
 */
import { assert } from '../env/assert.ts';
import { fromInt64, type Int64Like } from './int64.ts';

const noBytes = new Uint8Array(0);

export const varintType = 0;
export const bytesType = 2;
const high = 2 ** 32;
/** Nested transactions are the only messages within messages without end. */
const depthMax = 100;

/** Reads fields from `bytes`; throws on bytes that are no message. Byte fields are views. */
export class ProtoReader {
  readonly bytes: Uint8Array;
  at: number;
  end: number;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.at = 0;
    this.end = bytes.length;
  }

  /** The next field's tag; 0 at the end. */
  tag(): number {
    if (this.at >= this.end) return 0;
    const tag = this.uint32();
    if (tag >>> 3 === 0) throw malformed('a field has number 0');
    return tag;
  }

  /** A varint of which 32 bits count. */
  uint32(): number {
    const { bytes } = this;
    let byte = this.#byte(bytes);
    let value = byte & 127;
    for (let shift = 7; byte > 127; shift += 7) {
      byte = this.#byte(bytes);
      if (shift < 32) value |= (byte & 127) << shift;
      else if (shift > 63) throw malformed('a number has more than 10 bytes');
    }
    return value >>> 0;
  }

  bool(): boolean {
    const value = this.int64();
    return value !== 0;
  }

  int64(): number | bigint {
    const { bytes } = this;
    let byte = this.#byte(bytes);
    if (byte < 128) return byte;
    let low = byte & 127;
    let top = 0;
    for (let shift = 7; byte > 127; shift += 7) {
      if (shift > 63) throw malformed('a number has more than 10 bytes');
      byte = this.#byte(bytes);
      const part = byte & 127;
      if (shift < 28) low |= part << shift;
      else if (shift === 28) {
        low |= part << 28;
        top = part >>> 4;
      } else top |= part << (shift - 32);
    }
    top >>>= 0;
    if (top < 2 ** 21) return top * high + (low >>> 0);
    return BigInt.asIntN(64, (BigInt(top) << 32n) | BigInt(low >>> 0));
  }

  view(): Uint8Array {
    const length = this.uint32();
    const from = this.at;
    if (length > this.end - from) throw malformed(`${length} bytes are said to follow, ${this.end - from} are there`);
    this.at = from + length;
    return length === 0 ? noBytes : this.bytes.subarray(from, from + length);
  }

  /** Runs `read` on the nested message that comes next. */
  nested<T>(read: (reader: ProtoReader) => T): T {
    const length = this.uint32();
    if (length > this.end - this.at) throw malformed(`a message of ${length} bytes does not fit the one around it`);
    if (this.#depth >= depthMax) throw malformed(`messages are nested more than ${depthMax} deep`);
    const { end } = this;
    this.end = this.at + length;
    this.#depth += 1;
    const value = read(this);
    this.#depth -= 1;
    if (this.at !== this.end) throw malformed('a field reaches beyond its message');
    this.end = end;
    return value;
  }

  skip(tag: number): void {
    const type = tag & 7;
    if (type === varintType) this.int64();
    else if (type === 1) this.#advance(8);
    else if (type === bytesType) this.#advance(this.uint32());
    else if (type === 5) this.#advance(4);
    else if (type === 3) this.#skipGroup(tag >>> 3);
    else throw malformed(`wire type ${type}`);
  }

  #skipGroup(field: number): void {
    if (this.#depth >= depthMax) throw malformed(`messages are nested more than ${depthMax} deep`);
    this.#depth += 1;
    for (;;) {
      const tag = this.tag();
      if (tag === 0) throw malformed('a group does not end');
      if ((tag & 7) === 4) {
        if (tag >>> 3 !== field) throw malformed('a group ends that did not begin');
        this.#depth -= 1;
        return;
      }
      this.skip(tag);
    }
  }

  #advance(length: number): void {
    if (length > this.end - this.at)
      throw malformed(`${length} bytes are said to follow, ${this.end - this.at} are there`);
    this.at += length;
  }

  #byte(bytes: Uint8Array): number {
    if (this.at >= this.end) throw malformed('a number is cut off');
    return bytes[this.at++] as number;
  }
}

function malformed(what: string): Error {
  return new RangeError(`malformed message: ${what}`);
}

/** Bytes of a varint. */
export function varintSize(value: number): number {
  assert(value >= 0, () => `${value} is written as a negative number`);
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  if (value < 0x10000000) return 4;
  if (value < 2 ** 35) return 5;
  if (value < 2 ** 42) return 6;
  return value < 2 ** 49 ? 7 : 8;
}

export function writeVarint(target: Uint8Array, at: number, value: number): number {
  let rest = value;
  let place = at;
  while (rest >= 2 ** 31) {
    target[place++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  while (rest > 127) {
    target[place++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  target[place++] = rest;
  return place;
}

/** Bytes of a 64-bit field with a one-byte tag; none for 0, as proto3 leaves it out. */
export function int64FieldSize(value: Int64Like | null | undefined): number {
  if (value === undefined || value === null || value === 0 || value === 0n) return 0;
  if (typeof value === 'number' && value > 0) return 1 + varintSize(value);
  return exactSize(fromInt64(value));
}

function exactSize(value: bigint): number {
  if (value === 0n) return 0;
  let size = 2;
  for (let rest = BigInt.asUintN(64, value); rest > 127n; rest >>= 7n) size += 1;
  return size;
}

export function writeInt64Field(
  target: Uint8Array,
  at: number,
  field: number,
  value: Int64Like | null | undefined,
): number {
  if (value === undefined || value === null || value === 0 || value === 0n) return at;
  if (typeof value === 'number' && value > 0) {
    target[at] = field << 3;
    return writeVarint(target, at + 1, value);
  }
  const exact = fromInt64(value);
  if (exact === 0n) return at;
  let place = at;
  target[place++] = field << 3;
  let rest = BigInt.asUintN(64, exact);
  for (; rest > 127n; rest >>= 7n) target[place++] = Number(rest & 127n) | 128;
  target[place++] = Number(rest);
  return place;
}

/** Bytes of a length-delimited field with a one-byte tag, its content given by length. */
export function lengthFieldSize(length: number): number {
  return 1 + varintSize(length) + length;
}

export function bytesFieldSize(bytes: Uint8Array | undefined): number {
  return bytes === undefined || bytes.length === 0 ? 0 : lengthFieldSize(bytes.length);
}

export function writeBytesField(target: Uint8Array, at: number, field: number, bytes: Uint8Array | undefined): number {
  if (bytes === undefined || bytes.length === 0) return at;
  target[at] = (field << 3) | bytesType;
  const from = writeVarint(target, at + 1, bytes.length);
  target.set(bytes, from);
  return from + bytes.length;
}

/** Tag and length of a nested message. */
export function writeHead(target: Uint8Array, at: number, field: number, length: number): number {
  target[at] = (field << 3) | bytesType;
  return writeVarint(target, at + 1, length);
}

export function writeFlag(target: Uint8Array, at: number, field: number, value: boolean | undefined): number {
  if (value !== true) return at;
  target[at] = field << 3;
  target[at + 1] = 1;
  return at + 2;
}
