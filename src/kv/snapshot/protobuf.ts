/**
 * Protocol buffers by hand, for the few small messages in etcd's buckets: millions of them pass through, and a message
 * object for each would take most of the time. Reading checks every length; unknown fields are passed over.
 */
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';

const wordValues = 2 ** 32;
const lowBits = 0x7f;
const moreBit = 0x80;

export type WireType = 'varint' | 'bytes' | 'other';

/** Walks over the fields of one message. After `next`, read the field's value once, or leave it. */
export class FieldReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;
  /** Of the field that `next` found. */
  field = 0;
  type: WireType = 'other';
  /** A varint as two halves: a 64-bit number is more than a JavaScript number holds. */
  #low = 0;
  #high = 0;
  #from = 0;
  #to = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  /** False at the end of the message. */
  next(): boolean {
    if (this.#at === this.#bytes.length) return false;
    this.#varint();
    if (this.#high !== 0) throw this.#bad('a field number above all limits');
    this.field = this.#low >>> 3;
    if (this.field === 0) throw this.#bad('field 0');
    const wire = this.#low & 7;
    if (wire === 0) {
      this.type = 'varint';
      this.#varint();
      return true;
    }
    this.type = wire === 2 ? 'bytes' : 'other';
    if (wire === 2) {
      this.#varint();
      if (this.#high !== 0) throw this.#bad('a length above all limits');
      this.#skip(this.#low);
    } else if (wire === 1) this.#skip(8);
    else if (wire === 5) this.#skip(4);
    else throw this.#bad(`wire type ${wire}`);
    return true;
  }

  /** The field's bytes, a view. */
  bytes(): Uint8Array {
    this.#expect('bytes');
    return this.#bytes.subarray(this.#from, this.#to);
  }

  text(): string {
    return Buffer.from(this.bytes()).toString('utf8');
  }

  /** An int64 or uint64 that must be below 2^53 and not negative. */
  natural(): number {
    this.#expect('varint');
    const value = this.#high * wordValues + this.#low;
    if (!Number.isSafeInteger(value)) throw this.#bad(`field ${this.field} is negative or above 2^53`);
    return value;
  }

  int64(): bigint {
    this.#expect('varint');
    return BigInt.asIntN(64, (BigInt(this.#high) << 32n) | BigInt(this.#low));
  }

  #expect(type: WireType): void {
    if (this.type !== type) throw this.#bad(`field ${this.field} is not ${type === 'bytes' ? 'bytes' : 'a number'}`);
  }

  #skip(length: number): void {
    this.#from = this.#at;
    this.#to = this.#at + length;
    if (this.#to > this.#bytes.length) throw this.#bad(`field ${this.field} reaches beyond the end`);
    this.#at = this.#to;
  }

  #varint(): void {
    let low = 0;
    let high = 0;
    for (let count = 0; count < 10; count++) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) throw this.#bad('it ends inside a number');
      this.#at += 1;
      const bits = byte & lowBits;
      if (count < 4) low += bits * 2 ** (7 * count);
      else if (count === 4) {
        low += (bits & 0x0f) * 2 ** 28;
        high += bits >>> 4;
      } else if (count < 9) high += bits * 2 ** (7 * count - 32);
      else high += (bits & 1) * 2 ** 31;
      if (byte < moreBit) {
        this.#low = low;
        this.#high = high;
        return;
      }
    }
    throw this.#bad('a number has more than ten bytes');
  }

  #bad(found: string): KeelsonError {
    return new KeelsonError(
      'SNAPSHOT_CORRUPT',
      `read ${this.#what} of an etcd snapshot: ${found}: the snapshot is damaged: take it again`,
    );
  }
}

/** Gathers the fields of one message; fields with the default value are left out, as protocol buffers do. */
export class FieldWriter {
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;

  bytes(field: number, value: Uint8Array): this {
    if (value.length === 0) return this;
    const head: number[] = [];
    pushVarint(head, field * 8 + 2);
    pushVarint(head, value.length);
    return this.#push(Uint8Array.from(head)).#push(value);
  }

  text(field: number, value: string): this {
    return this.bytes(field, Buffer.from(value, 'utf8'));
  }

  natural(field: number, value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, () => `${value} is a natural number`);
    if (value === 0) return this;
    const head: number[] = [];
    pushVarint(head, field * 8);
    pushVarint(head, value);
    return this.#push(Uint8Array.from(head));
  }

  int64(field: number, value: bigint): this {
    if (value === 0n) return this;
    const head: number[] = [];
    pushVarint(head, field * 8);
    let rest = BigInt.asUintN(64, value);
    for (; rest >= 128n; rest >>= 7n) head.push(Number(rest & 127n) | moreBit);
    head.push(Number(rest));
    return this.#push(Uint8Array.from(head));
  }

  done(): Uint8Array {
    return Buffer.concat(this.#parts, this.#bytes);
  }

  #push(part: Uint8Array): this {
    this.#parts.push(part);
    this.#bytes += part.length;
    return this;
  }
}

function pushVarint(into: number[], value: number): void {
  let rest = value;
  for (; rest >= moreBit; rest = Math.floor(rest / moreBit)) into.push((rest % moreBit) | moreBit);
  into.push(rest);
}
