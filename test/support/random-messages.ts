/**
 * Messages of any protobuf type, drawn over every field: usual values, edges of every range, and now and then something
 * huge. Deterministic for a given source of randomness.
 */
import Long from 'long';
import protobuf from 'protobufjs';
import type { Random } from '../../src/env/random.ts';

/** Deep enough for transactions in transactions, bounded for types that hold themselves. */
const depthMax = 4;

const edges = ['0', '1', '-1', '2', '7', '2147483648', '9007199254740991', '9007199254740993', '9223372036854775807'];
const names = ['', 'a', 'b', 'root', 'default', 'etcd', '/registry/pods/default/x', '\u0000', 'ÿ€😀', 'x'.repeat(300)];

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.integer(0, list.length - 1)] as T;
}

function bytes(random: Random): Uint8Array {
  switch (random.integer(0, 9)) {
    case 0:
      return new Uint8Array(0);
    case 1:
      return Uint8Array.of(0);
    case 2:
      return random.bytes(random.integer(1, 40));
    case 3:
      return random.next() < 0.02 ? new Uint8Array(2_000_000) : Uint8Array.of(255);
    default:
      return new TextEncoder().encode(pick(random, names));
  }
}

function scalar(random: Random, type: string): unknown {
  switch (type) {
    case 'bytes':
      return bytes(random);
    case 'string':
      return pick(random, names);
    case 'bool':
      return random.next() < 0.5;
    case 'int64':
    case 'sint64':
      return Long.fromString(random.next() < 0.5 ? String(random.integer(0, 50)) : pick(random, edges));
    case 'uint64':
      return Long.fromString(random.next() < 0.5 ? String(random.integer(0, 50)) : pick(random, edges), true);
    case 'double':
    case 'float':
      return random.next() * 1000;
    default:
      return random.next() < 0.5 ? random.integer(0, 5) : pick(random, [-1, 2 ** 31 - 1, 99]);
  }
}

function fieldValue(random: Random, field: protobuf.Field, depth: number): unknown {
  const type = field.resolvedType;
  if (type instanceof protobuf.Type) return randomMessage(random, type, depth + 1);
  if (type instanceof protobuf.Enum) return random.integer(-1, 7);
  return scalar(random, field.type);
}

/** A plain object that `type.encode` takes. */
export function randomMessage(random: Random, type: protobuf.Type, depth = 0): Record<string, unknown> {
  const message: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    field.resolve();
    const isNested = field.resolvedType instanceof protobuf.Type;
    if (random.next() < 0.35 || (isNested && depth >= depthMax)) continue;
    if (field.map) continue;
    if (!field.repeated) {
      message[field.name] = fieldValue(random, field, depth);
      continue;
    }
    const count = random.next() < 0.02 && depth === 0 ? 300 : random.integer(0, 3);
    message[field.name] = Array.from({ length: count }, () => fieldValue(random, field, depth));
  }
  return message;
}

/** `source` with some bytes changed, cut off, doubled or put in. */
export function mutated(random: Random, source: Uint8Array): Uint8Array {
  let result = Uint8Array.from(source);
  const times = random.integer(1, 4);
  for (let time = 0; time < times; time++) {
    const at = random.integer(0, result.length);
    switch (random.integer(0, 3)) {
      case 0:
        if (at < result.length) result[at] = random.integer(0, 255);
        break;
      case 1:
        result = result.slice(0, at);
        break;
      case 2:
        result = Uint8Array.from([
          ...result.subarray(0, at),
          ...random.bytes(random.integer(1, 8)),
          ...result.subarray(at),
        ]);
        break;
      default:
        result = Uint8Array.from([...result.subarray(0, at), ...result.subarray(Math.floor(at / 2))]);
    }
  }
  return result;
}
