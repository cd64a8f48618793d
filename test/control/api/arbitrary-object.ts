/**
 * Objects of any kind for property tests, generated from the message tables: every field may be there, nested messages
 * to a small depth, values in canonical form or not. Lists and maps are not empty: protobuf cannot tell empty from absent.
 */
import fc from 'fast-check';
import type { FieldType, JsonObject, MessageSchema } from '../../../src/control/api/contract.ts';
import { allMessages, jsonFields, messageNamed, shortName } from '../../../src/control/api/schema/messages.ts';

const text = fc.string({ maxLength: 8, unit: fc.constantFrom('a', 'B', '0', '-', '.', 'é', '/', '"', ' ') });
const fewFields = 4;

const quantities = fc.constantFrom(
  '0',
  '1',
  '100m',
  '1500m',
  '0.5',
  '1Gi',
  '1024Ki',
  '1e3',
  '250M',
  '3n',
  '1.5Gi',
  '-2',
);
const times = fc.constantFrom('2026-01-02T03:04:05Z', '1999-12-31T23:59:59+01:00', '2024-02-29T00:00:00.123Z');
const microTimes = fc.constantFrom('2026-01-02T03:04:05.000000Z', '2024-02-29T00:00:00.123456Z');
const durations = fc.constantFrom('1s', '1h0m0s', '1m30s', '5ms', '0s');

function arbitraryOf(type: FieldType, depth: number): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case 'string':
      return text;
    case 'bool':
      return fc.boolean();
    case 'int32':
      return fc.integer({ min: -2147483648, max: 2147483647 });
    case 'int64':
      return fc.oneof(fc.integer(), fc.constantFrom(0, 9007199254740991, -9007199254740991, 4294967296));
    case 'double':
      return fc.constantFrom(0, 1.5, -2.25, 1e10);
    case 'bytes':
      return fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes).toString('base64'));
    case 'time':
      return times;
    case 'microTime':
      return microTimes;
    case 'quantity':
      return quantities;
    case 'duration':
      return durations;
    case 'intOrString':
      return fc.oneof(fc.integer({ min: -5, max: 70000 }), fc.constantFrom('http', '25%'));
    case 'json':
      return fc.constantFrom({ a: 1 }, { kind: 'x', nested: { list: [1, 'b', null] } }, {});
    case 'stringList':
      return fc.array(text, { minLength: 1, maxLength: 2 });
    case 'list':
      return fc.array(arbitraryOf(type.item, depth), { minLength: 1, maxLength: 2 });
    case 'map':
      return fc.dictionary(
        text.filter((key) => key !== ''),
        arbitraryOf(type.value, depth),
        { minKeys: 1, maxKeys: 3 },
      );
    case 'message':
      return arbitraryMessage(messageNamed(type.message), depth - 1);
  }
}

function arbitraryMessage(message: MessageSchema, depth: number): fc.Arbitrary<JsonObject> {
  const fields = jsonFields(message).ordered.filter((field) => depth > 0 || field.type.kind !== 'message');
  if (fields.length === 0 || depth < 0) return fc.constant({});
  return fc
    .subarray(fields, { maxLength: Math.min(fewFields, fields.length) })
    .chain((chosen) =>
      fc.record(Object.fromEntries(chosen.map((field) => [field.name, arbitraryOf(field.type, depth)]))),
    );
}

/** Kinds with a protobuf form. */
export const kinds: readonly MessageSchema[] = [...allMessages()].filter(
  (message) =>
    message.isKind && message.fields.every((field) => field.number > 0) && !message.name.includes('meta.v1.'),
);

export const arbitraryObject: fc.Arbitrary<{ object: JsonObject; message: MessageSchema }> = fc
  .constantFrom(...kinds)
  .chain((message) =>
    arbitraryMessage(message, 5).map((fields) => ({
      message,
      object: {
        kind: shortName(message.name),
        apiVersion: message.group === '' ? message.version : `${message.group}/${message.version}`,
        ...fields,
      },
    })),
  );
