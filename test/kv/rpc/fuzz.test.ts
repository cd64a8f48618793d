/**
 * Every method of the store is fed random and mutated messages: it answers, or refuses with one of gRPC's codes that say
 * whose fault it is; nothing is written by what is refused, and the member goes on serving.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type protobuf from 'protobufjs';
import etcdDescriptor from '../../../proto/gen/etcd.json' with { type: 'json' };
import { seededRandom } from '../../../chaos/sim/random.ts';
import type { Random } from '../../../src/env/random.ts';
import { silentLog } from '../../../src/env/log.ts';
import { noBytes, putRequest, rangeRequest } from '../../../src/kv/api.ts';
import { grpcStatus } from '../../../src/rpc/grpc-status.ts';
import { storeMethods } from '../../../src/kv/rpc/methods.ts';
import type {
  AnswerStream,
  Call,
  RpcMethod,
  StatusError,
  StreamMethod,
  UnaryMethod,
} from '../../../src/rpc/service.ts';
import { loadRoot } from '../../../src/proto/grpc-service.ts';
import { mutated, randomMessage } from '../../support/random-messages.ts';
import { startTestMembers, type TestMember } from '../server/test-members.ts';

const messagesPerMethod = 150;
const text = (value: string) => new TextEncoder().encode(value);
/** Codes that blame the store rather than the request. */
const ownFaults: readonly number[] = [grpcStatus.unknown, grpcStatus.internal, grpcStatus.dataLoss];
/** A lone member cannot be moved, and these would end what the other messages are tried on. */
const left: readonly string[] = ['/etcdserverpb.Maintenance/Alarm', '/etcdserverpb.Auth/AuthEnable'];

let member: TestMember;
let methods: readonly RpcMethod[];
const stopping = new AbortController();

before(async () => {
  [member] = (await startTestMembers(1)) as [TestMember];
  const counters = { started: () => undefined, handled: () => undefined, took: () => undefined };
  const onFatal = (error: Error) => {
    throw error;
  };
  methods = storeMethods(
    { server: member.server, log: silentLog, counters, onFatal, stopping: stopping.signal },
    { watch: { progressEveryMs: 600_000 } },
  );
});
after(async () => {
  stopping.abort();
  await member?.stop();
});

function requestTypeOf(path: string): protobuf.Type | undefined {
  const [, service = '', method = ''] = path.split('/');
  if (!service.startsWith('etcdserverpb.')) return undefined;
  const type = loadRoot(etcdDescriptor).lookupService(service).methods[method]?.resolvedRequestType;
  return type ?? undefined;
}

function bytesFor(random: Random, type: protobuf.Type): Uint8Array {
  const valid = type.encode(randomMessage(random, type)).finish();
  return random.next() < 0.5 ? valid : mutated(random, valid);
}

function call(): Call {
  return { metadata: () => [], clientCommonName: undefined, peer: 'test', signal: AbortSignal.timeout(10_000) };
}

function decoded(method: RpcMethod, bytes: Uint8Array): object | undefined {
  try {
    return method.codec.decode(bytes);
  } catch {
    // Bytes that are no message never reach a handler.
    return undefined;
  }
}

function checkStatus(path: string, status: StatusError): void {
  assert.equal(typeof status.code, 'number', `${path} fails with a status, not with ${String(status)}`);
  assert.ok(!ownFaults.includes(status.code), `${path}: ${status.code} ${status.details}`);
}

async function feedUnary(method: UnaryMethod, bytes: Uint8Array): Promise<void> {
  const request = decoded(method, bytes);
  if (!request) return;
  const before = member.server.position().revision;
  try {
    assert.ok(method.codec.encode(await method.handle(request, call())) instanceof Uint8Array);
  } catch (error) {
    checkStatus(method.path, error as StatusError);
    assert.equal(member.server.position().revision, before, `${method.path} was refused and wrote`);
  }
}

function feedStream(method: StreamMethod, messages: readonly Uint8Array[]): void {
  let isOver = false;
  const answers: AnswerStream<object> = {
    call: call(),
    write: (answer) => {
      assert.ok(!isOver, 'nothing is written to a stream that is over');
      method.codec.encode(answer);
      return true;
    },
    pause: () => undefined,
    resume: () => undefined,
    end: () => {
      isOver = true;
    },
    fail: (status) => {
      isOver = true;
      checkStatus(method.path, status);
    },
  };
  const sink = method.open(answers);
  for (const bytes of messages) {
    const request = decoded(method, bytes);
    if (request && !isOver) sink.request(request);
  }
  if (!isOver) sink.ended();
  if (!isOver) sink.gone();
}

test('every method survives random and mutated messages', { timeout: 120_000 }, async (t) => {
  for (const [number, method] of methods.entries()) {
    const type = requestTypeOf(method.path);
    if (!type || left.includes(method.path)) continue;
    await t.test(method.path, async () => {
      const random = seededRandom(1_000 + number);
      for (let round = 0; round < messagesPerMethod; round++) {
        if (method.kind === 'unary') await feedUnary(method, bytesFor(random, type));
        else feedStream(method, [bytesFor(random, type), bytesFor(random, type), bytesFor(random, type)]);
      }
    });
  }
});

test('after all of it the member reads and writes', async () => {
  await member.server.put(putRequest({ key: text('alive'), value: text('yes') }));
  const { kvs } = await member.server.range(rangeRequest({ key: text('alive'), rangeEnd: noBytes }));
  assert.equal(Buffer.from(kvs[0]?.value ?? noBytes).toString(), 'yes');
});
