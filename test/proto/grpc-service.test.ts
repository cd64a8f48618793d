import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import Long from 'long';
import raftDescriptor from '../../proto/gen/raft.json' with { type: 'json' };
import { loadMessage, loadRoot, loadService } from '../../src/proto/grpc-service.ts';
import { fromInt64, numberFromInt64, safeNumberFromInt64, toInt64, toUint64 } from '../../src/proto/int64.ts';

interface TestEntry {
  term?: unknown;
  index?: unknown;
  kind?: number;
  data?: Uint8Array;
}

const entryCodec = loadMessage<TestEntry>(raftDescriptor, 'keelson.raft.v1.Entry');

test('64-bit fields survive as bigint, Long, number and decimal string', () => {
  const high = 2n ** 63n + 7n;
  for (const value of [high, toUint64(high), String(high)]) {
    const decoded = entryCodec.decode(entryCodec.encode({ term: value }));
    assert.equal(fromInt64(decoded.term as Long), high);
  }
  const decoded = entryCodec.decode(entryCodec.encode({ term: 5n, index: Number.MAX_SAFE_INTEGER }));
  assert.equal(safeNumberFromInt64(decoded.term as Long), 5);
  assert.equal(safeNumberFromInt64(decoded.index as Long), Number.MAX_SAFE_INTEGER);
});

test('what does not fit a 64-bit field throws instead of being written as 0', () => {
  assert.throws(() => entryCodec.encode({ term: 2n ** 64n }), /outside uint64/);
  assert.throws(() => entryCodec.encode({ term: 1.5 }), /no safe integer/);
  assert.throws(() => entryCodec.encode({ term: { low: 1 } }), /64-bit field set from object/);
  assert.throws(() => toInt64(2n ** 63n), /outside int64/);
  assert.equal(numberFromInt64(Long.MAX_VALUE), undefined);
  assert.equal(fromInt64(toInt64(-1n)), -1n);
});

test('absent fields decode to their defaults, empty bytes as Uint8Array', () => {
  const decoded = entryCodec.decode(new Uint8Array(0));
  assert.ok(decoded.data instanceof Uint8Array);
  assert.equal(decoded.data.length, 0);
  assert.equal(decoded.kind, 0);
  assert.equal(safeNumberFromInt64(decoded.term as Long), 0);
});

test('the same descriptor gives the same root, and keeps the proto spelling of its fields', () => {
  assert.equal(loadRoot(raftDescriptor), loadRoot(raftDescriptor));
  const type = loadMessage(raftDescriptor, 'keelson.raft.v1.SnapshotMeta').type;
  const field = type.fields['confState'] as unknown as { protoName: string };
  assert.equal(field.protoName, 'conf_state');
});

test('a loaded service serves and is called through grpc-js', async () => {
  const definition = loadService(raftDescriptor, 'keelson.raft.v1.RaftTransport');
  assert.equal(definition['Stream']?.path, '/keelson.raft.v1.RaftTransport/Stream');
  assert.equal(definition['Stream']?.requestStream, true);
  const server = new grpc.Server();
  const received: unknown[] = [];
  server.addService(definition, {
    Stream(call: grpc.ServerReadableStream<object, object>, callback: grpc.sendUnaryData<object>) {
      call.on('data', (batch) => received.push(batch));
      call.on('end', () => callback(null, {}));
    },
    InstallSnapshot() {},
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  const Client = grpc.makeGenericClientConstructor(definition, 'RaftTransport');
  const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  await new Promise<void>((resolve, reject) => {
    const call = (
      client['stream'] as (callback: (error: Error | null) => void) => grpc.ClientWritableStream<object>
    ).call(client, (error) => (error ? reject(error) : resolve()));
    call.write({ messages: [{ type: 5, from: 1n, to: 2n, term: 3n }] });
    call.end();
  });
  client.close();
  await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  const batch = received[0] as { messages: { from: Long; type: number }[] };
  assert.equal(batch.messages[0]?.type, 5);
  assert.equal(fromInt64(batch.messages[0]?.from), 1n);
});
