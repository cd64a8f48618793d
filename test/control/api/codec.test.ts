import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  canonicalObject,
  decodeJson,
  decodeProtobuf,
  encodeJson,
  encodeProtobuf,
  encodeProtobufWatchFrame,
  scheme,
  StatusError,
} from '../../../src/control/api/index.ts';
import { arbitraryObject } from './arbitrary-object.ts';

function messageOf(error: () => unknown): string {
  try {
    error();
  } catch (thrown) {
    assert(thrown instanceof StatusError, String(thrown));
    assert.equal(thrown.status.code, 400);
    return thrown.message;
  }
  return assert.fail('nothing was thrown');
}

test('any object keeps its canonical form through JSON', () => {
  fc.assert(
    fc.property(arbitraryObject, ({ object, message }) => {
      const canonical = canonicalObject(object, message);
      const decoded = decodeJson(encodeJson(object, message));
      assert.deepEqual(decoded.strictErrors, []);
      assert.equal(JSON.stringify(decoded.object), JSON.stringify(canonical));
    }),
    { numRuns: 300 },
  );
});

test('any object keeps its canonical form through protobuf', () => {
  fc.assert(
    fc.property(arbitraryObject, ({ object, message }) => {
      const canonical = canonicalObject(object, message);
      const decoded = decodeProtobuf(encodeProtobuf(object));
      assert.equal(JSON.stringify(decoded.object), JSON.stringify(canonical));
    }),
    { numRuns: 300 },
  );
});

test('no bytes make the protobuf decoder fail other than with 400', () => {
  fc.assert(
    fc.property(arbitraryObject, fc.nat(), fc.nat(255), ({ object }, at, byte) => {
      const bytes = encodeProtobuf(object);
      bytes[4 + (at % (bytes.length - 4))] = byte;
      try {
        decodeProtobuf(bytes);
      } catch (error) {
        assert(error instanceof StatusError, String(error));
      }
    }),
    { numRuns: 300 },
  );
});

test('a body is decoded into upstream field order, with empty values left out or kept as upstream does', () => {
  const { object, strictErrors } = decodeJson(
    JSON.stringify({
      status: {},
      spec: {
        replicas: 0,
        paused: false,
        template: { spec: { containers: [{ image: 'i', name: 'c' }] } },
        selector: {},
      },
      metadata: { labels: { b: '1', a: '2' }, name: 'd', creationTimestamp: null },
      apiVersion: 'apps/v1',
      kind: 'Deployment',
    }),
  );
  assert.deepEqual(strictErrors, []);
  assert.equal(
    JSON.stringify(object),
    '{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"d","labels":{"a":"2","b":"1"}},' +
      '"spec":{"replicas":0,"selector":{},"template":{"metadata":{},"spec":{"containers":[{"name":"c","image":"i","resources":{}}]}},"strategy":{}},' +
      '"status":{}}',
  );
});

test('unknown and duplicate fields are reported with their path', () => {
  const { strictErrors } = decodeJson(
    '{"kind":"Pod","apiVersion":"v1","spec":{"containers":[{"name":"a","name":"b","foo":1}],"bar":{}},"spec2":0}',
  );
  assert.deepEqual(strictErrors, [
    'duplicate field "spec.containers[0].name"',
    'unknown field "spec.containers[0].foo"',
    'unknown field "spec.bar"',
    'unknown field "spec2"',
  ]);
});

test('wrong types are refused in the words of the Go decoder', () => {
  const deployment = (spec: unknown) => JSON.stringify({ kind: 'Deployment', apiVersion: 'apps/v1', spec });
  const prefix = 'Deployment in version "v1" cannot be handled as a Deployment: ';
  const cases: readonly (readonly [unknown, string])[] = [
    [
      { replicas: '3' },
      'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      { template: { spec: { containers: [{ env: [{ value: 1 }] }] } } },
      'json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string',
    ],
    [
      { replicas: 1.5 },
      'json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [[], 'json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec'],
    [
      { template: { spec: { containers: {} } } },
      'json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container',
    ],
    [
      { template: { spec: { containers: [{ resources: { limits: { cpu: 'abc' } } }] } } },
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
  ];
  for (const [spec, text] of cases)
    assert.equal(
      messageOf(() => decodeJson(deployment(spec))),
      prefix + text,
    );
});

test('what is not an object of a known kind is refused', () => {
  const expected = { apiVersion: 'v1', kind: 'Pod' };
  assert.match(
    messageOf(() => decodeJson('{"a":', expected)),
    /^the object provided is unrecognized \(must be of type Pod\): .*unexpected end of JSON input/,
  );
  assert.match(
    messageOf(() => decodeJson('{"apiVersion":"v1","kind":"Nope"}')),
    /no kind "Nope" is registered/,
  );
  assert.match(
    messageOf(() => decodeJson('{}')),
    /Object 'Kind' is missing/,
  );
  assert.match(
    messageOf(() => decodeJson('['.repeat(5000))),
    /exceeded max depth/,
  );
  assert.match(
    messageOf(() => decodeProtobuf(new Uint8Array([1, 2, 3, 4]))),
    /protobuf/,
  );
});

test('int64 beyond 2^53 keeps every digit in JSON and protobuf', () => {
  const text = '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","generation":9223372036854775807}}';
  const { object } = decodeJson(text);
  assert.equal(object.metadata.generation, '9223372036854775807');
  const message = scheme.messageOfKind('v1', 'ConfigMap');
  assert(message !== undefined);
  assert.equal(encodeJson(object, message), text);
  assert.equal(encodeJson(decodeProtobuf(encodeProtobuf(object)).object, message), text);
});

test('__proto__ is a key like any other', () => {
  const text = '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"__proto__":"x"}}';
  const { object } = decodeJson(text);
  assert.equal(
    JSON.stringify(object),
    '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"__proto__":"x"}}',
  );
});

test('a protobuf watch frame is its length and a WatchEvent around an enveloped object', () => {
  const frame = encodeProtobufWatchFrame('ADDED', { kind: 'Namespace', apiVersion: 'v1', metadata: { name: 'a' } });
  assert.equal(new DataView(frame.buffer).getUint32(0), frame.length - 4);
  assert.equal(Buffer.from(frame.subarray(4, 11)).toString('latin1'), '\n\u0005ADDED');
  // object (2) { raw (1) { k8s\0 …
  const envelopeAt = Buffer.from(frame).indexOf('k8s\0');
  assert.equal(decodeProtobuf(frame.subarray(envelopeAt)).object.metadata.name, 'a');
});
