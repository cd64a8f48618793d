import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import etcdDescriptor from '../../../proto/gen/etcd.json' with { type: 'json' };
import { loadMessage } from '../../../src/proto/grpc-service.ts';
import { fromInt64 } from '../../../src/proto/int64.ts';
import { leanKv, leanWatch } from '../../../src/kv/rpc/codec-lean.ts';

/** Random messages of a type as plain objects, small numbers being as likely as great ones. */
function messages(type: ReturnType<typeof loadMessage>['type'], depth: number): fc.Arbitrary<Record<string, unknown>> {
  const fields: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of type.fieldsArray) {
    field.resolve();
    const name = field.name;
    if (field.resolvedType && 'fieldsArray' in field.resolvedType) {
      if (depth === 0) continue;
      const inner = messages(field.resolvedType as typeof type, depth - 1);
      fields[name] = field.repeated ? fc.array(inner, { maxLength: 3 }) : inner;
    } else fields[name] = scalars(field.type);
  }
  const oneofs = type.oneofsArray.filter((oneof) => oneof.fieldsArray.length > 1);
  const inOneof = new Set(oneofs.flatMap((oneof) => oneof.fieldsArray.map((field) => field.name)));
  const plain = Object.fromEntries(Object.entries(fields).filter(([name]) => !inOneof.has(name)));
  const chosen = oneofs.map((oneof) =>
    fc.oneof(
      ...oneof.fieldsArray
        .filter((field) => fields[field.name] !== undefined)
        .map((field) => (fields[field.name] as fc.Arbitrary<unknown>).map((value) => ({ [field.name]: value }))),
      fc.constant({}),
    ),
  );
  return fc
    .tuple(fc.record(plain, { requiredKeys: [] }), ...chosen)
    .map((parts) => Object.assign({}, ...parts) as Record<string, unknown>);
}

function scalars(type: string): fc.Arbitrary<unknown> {
  switch (type) {
    case 'bytes':
      return fc.uint8Array({ maxLength: 300 });
    case 'bool':
      return fc.boolean();
    case 'string':
      return fc.string();
    case 'int64':
      return fc.oneof(
        fc.constant(0),
        fc.integer({ min: 0 }),
        fc.maxSafeInteger(),
        fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
      );
    case 'uint64':
      return fc.oneof(fc.constant(0), fc.maxSafeNat(), fc.bigInt(0n, 2n ** 63n - 1n));
    default:
      // Enumerations: known and unknown values.
      return fc.integer({ min: 0, max: 200 });
  }
}

/** Without what is default, 64-bit numbers as bigints: what both codecs must agree on. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.length === 0 ? undefined : Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map((item) => plain(item) ?? {});
  if (typeof value === 'bigint' || typeof value === 'number') return BigInt(value) === 0n ? undefined : BigInt(value);
  if (typeof value === 'object' && value !== null) {
    if ('unsigned' in value) return plain(fromInt64(value as never));
    const entries = Object.entries(value)
      .map(
        ([name, item]) =>
          [
            name,
            typeof item === 'object' &&
            item !== null &&
            !Array.isArray(item) &&
            !(item instanceof Uint8Array) &&
            !('unsigned' in item)
              ? (plain(item) ?? {})
              : plain(item),
          ] as const,
      )
      .filter(([, item]) => item !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(entries);
  }
  return value === false || value === null || value === '' ? undefined : value;
}

for (const [method, { requestDeserialize }] of Object.entries(leanKv)) {
  const codec = loadMessage<Record<string, unknown>>(etcdDescriptor, `etcdserverpb.${method}Request`);
  const decode = requestDeserialize as (bytes: Buffer) => Record<string, unknown>;

  test(`a ${method} request is read as protobufjs reads it`, () => {
    fc.assert(
      fc.property(messages(codec.type, 4), (message) => {
        const bytes = codec.encode(message);
        assert.deepEqual(plain(decode(bytes)), plain(codec.decode(bytes)));
      }),
      { numRuns: 300 },
    );
  });

  test(`a damaged ${method} request is read in full or refused, never looped over`, () => {
    fc.assert(
      fc.property(messages(codec.type, 3), fc.nat(), fc.nat(255), fc.nat(), (message, place, byte, length) => {
        const bytes = Buffer.from(codec.encode(message));
        if (bytes.length > 0) bytes[place % bytes.length] = byte;
        const damaged = bytes.subarray(0, length % (bytes.length + 1));
        try {
          decode(damaged);
        } catch (error) {
          assert.ok(error instanceof RangeError, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });
}

for (const [method, { responseSerialize }] of Object.entries({ ...leanKv, ...leanWatch })) {
  const codec = loadMessage<Record<string, unknown>>(etcdDescriptor, `etcdserverpb.${method}Response`);

  test(`a ${method} answer is written so that protobufjs reads it back`, () => {
    fc.assert(
      fc.property(messages(codec.type, 4), (message) => {
        const bytes = (responseSerialize as (message: object) => Buffer)(message);
        assert.deepEqual(plain(codec.decode(bytes)), plain(message));
      }),
      { numRuns: 300 },
    );
  });
}
