/**
 * Protobuf's wire format: a reader, and a writer that fills its buffer from the end, so that the length of a nested
 * message is known when its prefix is written and nothing is copied twice.
 */
import { assert } from '../../../env/assert.ts';

export const wireVarint = 0;
export const wireFixed64 = 1;
export const wireBytes = 2;
export const wireFixed32 = 5;

/** The bytes are not protobuf; the decoder turns it into an answer to the client. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder();

export class WireReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    assert(start >= 0 && start <= end && end <= bytes.length, 'a reader must stay inside its bytes');
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
    this.#end = end;
  }

  hasMore(): boolean {
    return this.#at < this.#end;
  }

  /** A varint as a bigint of 64 bits, unsigned. */
  varint(): bigint {
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt(low);
    }
    let value = BigInt(low);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new WireError('integer overflow');
  }

  /** A varint that must be small: tags, lengths. */
  uint32(): number {
    const value = this.varint();
    if (value > 0xffffffffn) throw new WireError('integer overflow');
    return Number(value);
  }

  double(): number {
    this.#need(8);
    const value = this.#view.getFloat64(this.#at, true);
    this.#at += 8;
    return value;
  }

  /** The content of a length-delimited field, as a reader of its own. */
  nested(): WireReader {
    const start = this.#take();
    return new WireReader(this.#bytes, start, this.#at);
  }

  bytes(): Uint8Array {
    const start = this.#take();
    return this.#bytes.subarray(start, this.#at);
  }

  string(): string {
    const start = this.#take();
    return utf8Decoder.decode(this.#bytes.subarray(start, this.#at));
  }

  skip(wireType: number): void {
    switch (wireType) {
      case wireVarint:
        this.varint();
        return;
      case wireFixed64:
        this.#need(8);
        this.#at += 8;
        return;
      case wireBytes:
        this.#take();
        return;
      case wireFixed32:
        this.#need(4);
        this.#at += 4;
        return;
      default:
        throw new WireError(`illegal wireType ${wireType}`);
    }
  }

  #byte(): number {
    this.#need(1);
    const byte = this.#bytes[this.#at] ?? 0;
    this.#at++;
    return byte;
  }

  #need(count: number): void {
    if (this.#end - this.#at < count) throw new WireError('unexpected EOF');
  }

  /** Moves over a length-delimited field and returns where it starts. */
  #take(): number {
    const length = this.uint32();
    this.#need(length);
    const start = this.#at;
    this.#at += length;
    return start;
  }
}

export class WireWriter {
  #buffer: Uint8Array = new Uint8Array(1024);
  /** Bytes are written at [#at, end). Invariant: 0 <= #at <= buffer length. */
  #at = 1024;

  /** Bytes written so far; the difference of two lengths is the size of what was written between. */
  get length(): number {
    return this.#buffer.length - this.#at;
  }

  finish(): Uint8Array {
    return this.#buffer.slice(this.#at);
  }

  tag(number: number, wireType: number): void {
    assert(number > 0, 'a protobuf field number must be positive');
    this.uint((number << 3) | wireType);
  }

  /** A non-negative safe integer. */
  uint(value: number): void {
    assert(value >= 0 && Number.isSafeInteger(value), 'a varint must be a non-negative safe integer');
    if (value > 0x7fffffff) {
      this.int64(BigInt(value));
      return;
    }
    const size = value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
    this.#reserve(size);
    this.#at -= size;
    let rest = value;
    for (let index = 0; index < size - 1; index++) {
      this.#buffer[this.#at + index] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#buffer[this.#at + size - 1] = rest;
  }

  /** Two's complement, ten bytes when negative. */
  int64(value: bigint): void {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, value);
    while (rest >= 0x80n) {
      bytes.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    bytes.push(Number(rest));
    this.raw(Uint8Array.from(bytes));
  }

  double(value: number): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    this.raw(bytes);
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#at -= bytes.length;
    this.#buffer.set(bytes, this.#at);
  }

  /** Length-delimited field. */
  bytes(number: number, value: Uint8Array): void {
    this.raw(value);
    this.uint(value.length);
    this.tag(number, wireBytes);
  }

  string(number: number, value: string): void {
    this.bytes(number, utf8Encoder.encode(value));
  }

  /** Closes a nested message whose content was written since the writer had `lengthBefore` bytes. */
  nested(number: number, lengthBefore: number): void {
    assert(this.length >= lengthBefore, 'a nested message cannot be shorter than nothing');
    this.uint(this.length - lengthBefore);
    this.tag(number, wireBytes);
  }

  #reserve(count: number): void {
    if (this.#at >= count) return;
    const used = this.length;
    const next = new Uint8Array(Math.max(this.#buffer.length * 2, used + count));
    next.set(this.#buffer.subarray(this.#at), next.length - used);
    this.#buffer = next;
    this.#at = next.length - used;
  }
}
