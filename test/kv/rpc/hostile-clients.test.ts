/** Clients that send what they should not: the server answers them and goes on serving the others. */
import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { realClock } from '../../../src/env/real.ts';
import { createKvClient, type KvClient } from '../../../src/kv/index.ts';
import { startTestMembers, type TestMember } from '../server/test-members.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
let member: TestMember;
let client: KvClient;
before(async () => {
  [member] = (await startTestMembers(1)) as [TestMember];
  client = createKvClient({ clock: realClock, endpoints: [member.endpoint] });
});
after(async () => {
  client?.close();
  await member?.stop();
});

/** Sends `body` as it is to `path`. */
function raw(path: string, body: Buffer): Promise<grpc.ServiceError> {
  const plain = new grpc.Client(new URL(member.endpoint).host, grpc.credentials.createInsecure());
  return new Promise((resolve, reject) => {
    plain.makeUnaryRequest(
      path,
      (value: Buffer) => value,
      (value: Buffer) => value,
      body,
      (error) => {
        plain.close();
        if (error) resolve(error);
        else reject(new Error('an error was expected'));
      },
    );
  });
}

const stillServes = async () =>
  assert.ok((await client.put({ key: bytes('alive'), value: bytes('yes') })).revision > 0);

test('bytes that are no message are refused', async () => {
  const error = await raw('/etcdserverpb.KV/Put', Buffer.from('ffffffffffffff', 'hex'));
  assert.ok([grpc.status.INTERNAL, grpc.status.INVALID_ARGUMENT].includes(error.code), `code ${error.code}`);
  await stillServes();
});

test('a method or service that does not exist is not implemented', async () => {
  assert.equal((await raw('/etcdserverpb.KV/Nonsense', Buffer.alloc(0))).code, grpc.status.UNIMPLEMENTED);
  assert.equal((await raw('/etcdserverpb.Nobody/Nonsense', Buffer.alloc(0))).code, grpc.status.UNIMPLEMENTED);
  await stillServes();
});

test('a message above every limit is refused without being kept', async () => {
  const error = await raw('/etcdserverpb.KV/Put', Buffer.alloc(4 * 1024 * 1024));
  assert.equal(error.code, grpc.status.RESOURCE_EXHAUSTED);
  await stillServes();
});

test('noise instead of HTTP/2 costs only its own connection', async () => {
  const { hostname, port } = new URL(member.endpoint);
  const socket = connect(Number(port), hostname);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => undefined);
  socket.resume();
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20));
  await closed;
  await stillServes();
});

test('streams that are opened and dropped leave nothing behind', async () => {
  const session = connectHttp2(member.endpoint);
  const dropped = Array.from({ length: 50 }, () => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/etcdserverpb.Watch/Watch',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', () => undefined);
    stream.write(Buffer.from([0, 0, 0, 0, 4, 0x0a, 0x02, 0x0a, 0x00]));
    return new Promise<void>((resolve) => {
      stream.once('data', () => {
        stream.close(8);
        resolve();
      });
    });
  });
  await Promise.all(dropped);
  session.destroy();
  const lateAtMs = performance.now() + 5_000;
  while (member.server.status().watchers > 0 && performance.now() < lateAtMs) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal(member.server.status().watchers, 0);
  await stillServes();
});
