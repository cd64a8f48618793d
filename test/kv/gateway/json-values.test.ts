/** JSON on its way into messages and out of them, without a server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import etcdDescriptor from '../../../proto/gen/etcd.json' with { type: 'json' };
import { jsonFromMessage, JsonMismatch, messageFromJson, parseJson } from '../../../src/kv/gateway/json-messages.ts';
import { JsonValues } from '../../../src/kv/gateway/json-values.ts';
import { loadRoot } from '../../../src/proto/grpc-service.ts';

const typeOf = (name: string) => loadRoot(etcdDescriptor).lookupType(`etcdserverpb.${name}`);

test('objects are cut out of a stream wherever its chunks end', () => {
  const text = ' {"a":"}{\\"","b":[{},{"c":"[ü"}]}{"d":1}\n\n{"e":"\\\\"}';
  const wanted = ['{"a":"}{\\"","b":[{},{"c":"[ü"}]}', '{"d":1}', '{"e":"\\\\"}'];
  const bytes = Buffer.from(text);
  for (let size = 1; size <= bytes.length; size++) {
    const values = new JsonValues(1_000);
    const found: string[] = [];
    for (let at = 0; at < bytes.length; at += size) found.push(...values.push(bytes.subarray(at, at + size)));
    assert.deepEqual(found, wanted, `chunks of ${size}`);
    assert.equal(values.isHalfway(), false);
  }
});

test('what is no object, does not end, or is too large is found out', () => {
  assert.throws(() => new JsonValues(100).push(Buffer.from(' 12')), JsonMismatch);
  assert.throws(() => new JsonValues(100).push(Buffer.from('{} x')), JsonMismatch);
  assert.throws(() => new JsonValues(20).push(Buffer.from(`{"a":"${'x'.repeat(30)}`)), /too large/);
  const values = new JsonValues(100);
  values.push(Buffer.from('{"a":{}'));
  assert.equal(values.isHalfway(), true);
});

test('numbers of 64 bits keep every digit, as numbers and as text', () => {
  const type = typeOf('LeaseGrantRequest');
  for (const text of [
    '{"ID":9223372036854775807,"TTL":"-9223372036854775808"}',
    '{"TTL":"-9223372036854775808","ID":"9223372036854775807"}',
  ]) {
    const message = type.decode(type.encode(messageFromJson(type, parseJson(text)) as never).finish());
    assert.deepEqual(jsonFromMessage(type, message as never), {
      TTL: '-9223372036854775808',
      ID: '9223372036854775807',
    });
  }
  assert.deepEqual(messageFromJson(type, parseJson('{"ID":1.0,"TTL":1e2}')), { ID: 1n, TTL: 100n });
  for (const bad of [
    '{"ID":1.5}',
    '{"ID":"1.5"}',
    '{"ID":""}',
    '{"ID":"01"}',
    '{"ID":9223372036854775808}',
    '{"ID":true}',
  ]) {
    assert.throws(() => messageFromJson(type, parseJson(bad)), JsonMismatch, bad);
  }
});

test('bytes are taken in either alphabet, padded or not, and nothing else is', () => {
  const type = typeOf('PutRequest');
  const keyOf = (key: string) => Buffer.from(messageFromJson(type, { key })['key'] as Uint8Array).toString('hex');
  assert.equal(keyOf('+/8='), 'fbff');
  assert.equal(keyOf('-_8'), 'fbff');
  assert.equal(keyOf(''), '');
  for (const bad of ['a', 'ab$=', 'abcd===', 'ab=c', ' YQ==']) assert.throws(() => keyOf(bad), JsonMismatch, bad);
});

test('names in both spellings, enums by name and number, null for nothing', () => {
  const type = typeOf('RangeRequest');
  const wanted = { sortOrder: 2, countOnly: true };
  assert.deepEqual(messageFromJson(type, { sort_order: 'DESCEND', count_only: true, limit: null }), wanted);
  assert.deepEqual(messageFromJson(type, { sortOrder: 2, countOnly: true, unknown: { a: 1 } }), wanted);
  assert.deepEqual(messageFromJson(type, { sort_order: 'toString' }), {});
  for (const bad of [{ sort_order: [] }, { count_only: 1 }, { limit: [] }]) {
    assert.throws(() => messageFromJson(type, bad), JsonMismatch);
  }
});

test('nesting without end is refused', () => {
  let txn: object = {};
  for (let depth = 0; depth < 200; depth++) txn = { success: [{ request_txn: txn }] };
  assert.throws(() => messageFromJson(typeOf('TxnRequest'), txn), /too deeply/);
});

test('a choice is made once', () => {
  const both = { success: [{ request_put: {}, request_range: {} }] };
  assert.throws(() => messageFromJson(typeOf('TxnRequest'), both), /already set/);
});
