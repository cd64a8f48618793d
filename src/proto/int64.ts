/**
 * 64-bit integers between our values and protobufjs 8.
 *
 * protobufjs decodes them as Long and encodes number, Long and decimal string. A bigint given straight to its encoder
 * is silently written as 0, because the encoder reads `.low` and `.high` of whatever it gets. protobuf-library.ts
 * closes that trap for the whole process: the one function all 64-bit fields pass through learns bigint, and anything
 * else that it cannot represent throws. `toInt64` and friends say at the call site what is meant.
 */
import Long from 'long';
import { assert } from '../env/assert.ts';

/** What a 64-bit field holds after decode. */
export type Int64 = Long;

/** Anything that a 64-bit field may be set from. */
export type Int64Like = Long | number | bigint | string;

const int64Min = -(2n ** 63n);
const int64Max = 2n ** 63n - 1n;
const uint64Max = 2n ** 64n - 1n;

/** A signed 64-bit field's value. Numbers must be safe integers. */
export function toInt64(value: bigint | number): Long {
  if (typeof value === 'number') {
    assert(Number.isSafeInteger(value), () => `int64 from a number needs a safe integer, not ${value}`);
    return Long.fromNumber(value);
  }
  assert(value >= int64Min && value <= int64Max, () => `${value} is outside int64`);
  return Long.fromBigInt(value);
}

/** An unsigned 64-bit field's value. Numbers must be safe integers of at least 0. */
export function toUint64(value: bigint | number): Long {
  if (typeof value === 'number') {
    assert(Number.isSafeInteger(value) && value >= 0, () => `uint64 from a number needs a safe integer, not ${value}`);
    return Long.fromNumber(value, true);
  }
  assert(value >= 0n && value <= uint64Max, () => `${value} is outside uint64`);
  return Long.fromBigInt(value, true);
}

/** The exact value of a decoded 64-bit field; signedness is the field's. Absent (null) is 0. */
export function fromInt64(value: Int64Like | null | undefined): bigint {
  if (value === null || value === undefined) return 0n;
  if (typeof value === 'object') return value.toBigInt();
  return BigInt(value);
}

/**
 * The value of a decoded 64-bit field as a number, or undefined when a number cannot hold it exactly. For input from
 * outside: the caller refuses what does not fit with its own protocol's error.
 */
export function numberFromInt64(value: Int64Like | null | undefined): number | undefined {
  if (value === null || value === undefined) return 0;
  const result = typeof value === 'object' ? value.toNumber() : Number(value);
  return Number.isSafeInteger(result) ? result : undefined;
}

/** Like numberFromInt64, for values that our own processes wrote: one that does not fit is a bug. */
export function safeNumberFromInt64(value: Int64Like | null | undefined): number {
  const result = numberFromInt64(value);
  assert(result !== undefined, () => `int64 ${String(value)} does not fit a number`);
  return result;
}
