/**
 * The few etcd messages that the load generator sends, written byte by byte so that a call costs it next to nothing, and
 * the few things it wants to know of an answer, read without decoding the rest.
 *
 * Keys have a fixed length, so a message is built once and only the digits of its key change from call to call.
 */
import { assert } from '../../src/env/assert.ts';

/** Fields as [number, value]; strings and bytes are length-delimited, numbers are varints. */
export type Field = readonly [number: number, value: Uint8Array | string | number | bigint | boolean];

export function encodeMessage(fields: readonly Field[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const [number, value] of fields) {
    if (typeof value === 'string' || value instanceof Uint8Array) {
      const bytes = typeof value === 'string' ? Buffer.from(value) : value;
      parts.push(varint(BigInt(number * 8 + 2)), varint(BigInt(bytes.length)), bytes);
    } else parts.push(varint(BigInt(number * 8)), varint(BigInt(value)));
  }
  return Buffer.concat(parts);
}

function varint(value: bigint): Uint8Array {
  assert(value >= 0n, 'a varint is not negative');
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

/** A message with a key in it whose last digits change. */
export interface Template {
  readonly bytes: Buffer;
  /** Where the digits begin; there may be several places. */
  readonly digitsAt: readonly number[];
}

export const digitCount = 10;
const marker = 'N'.repeat(digitCount);

/** `bench/NNNNNNNNNN`, the N being the digits. */
export function keyMarker(prefix: string): string {
  return prefix + marker;
}

export function template(bytes: Buffer): Template {
  const digitsAt: number[] = [];
  for (let at = bytes.indexOf(marker); at >= 0; at = bytes.indexOf(marker, at + digitCount)) digitsAt.push(at);
  return { bytes, digitsAt };
}

/** Writes the message into `target` at `at` with `number` as its key's digits. */
export function fill(target: Buffer, at: number, message: Template, number: number): void {
  message.bytes.copy(target, at);
  for (const place of message.digitsAt) {
    let rest = number;
    for (let digit = at + place + digitCount - 1; digit >= at + place; digit--) {
      target[digit] = 48 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
  }
}

/** Calls `visit` for every field of a message. Varints come as numbers, which is exact below 2^53. */
export function walk(
  bytes: Uint8Array,
  visit: (field: number, value: number, from: number, to: number) => void,
  start = 0,
  end = bytes.length,
): void {
  let at = start;
  const readVarint = (): number => {
    let result = 0;
    let factor = 1;
    for (;;) {
      const byte = bytes[at++] as number;
      result += (byte & 127) * factor;
      if (byte < 128) return result;
      factor *= 128;
    }
  };
  while (at < end) {
    const tag = readVarint();
    const wireType = tag & 7;
    if (wireType === 0) visit(tag >>> 3, readVarint(), at, at);
    else if (wireType === 2) {
      const length = readVarint();
      visit(tag >>> 3, length, at, at + length);
      at += length;
    } else at += wireType === 1 ? 8 : 4;
  }
}

/** Events in a WatchResponse. */
export function countEvents(message: Uint8Array): number {
  let events = 0;
  walk(message, (field) => {
    if (field === 11) events += 1;
  });
  return events;
}

/** Revision in an answer's header, which is field 1 of every answer. */
export function revisionOf(message: Uint8Array): number {
  let revision = 0;
  walk(message, (field, _value, from, to) => {
    if (field !== 1) return;
    walk(
      message,
      (inner, value) => {
        if (inner === 3) revision = value;
      },
      from,
      to,
    );
  });
  return revision;
}

/** The value of a top-level varint field, 0 when it is absent. */
export function numberField(message: Uint8Array, wanted: number): number {
  let result = 0;
  walk(message, (field, value) => {
    if (field === wanted) result = value;
  });
  return result;
}
