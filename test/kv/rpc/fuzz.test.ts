/**
 * Every method of the store is fed random and mutated messages: it answers, or refuses with one of gRPC's codes that say
 * whose fault it is; nothing is written by what is refused, and the member goes on serving.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type protobuf from 'protobufjs';
import healthDescriptor from '../../../proto/gen/health.json' with { type: 'json' };
import reflectionDescriptor from '../../../proto/gen/reflection.json' with { type: 'json' };
import quorumDescriptor from '../../../proto/gen/store-quorum.json' with { type: 'json' };
import { seededRandom } from '../../../chaos/sim/random.ts';
import type { Random } from '../../../src/env/random.ts';
import { silentLog } from '../../../src/env/log.ts';
import { noBytes, putRequest, rangeRequest } from '../../../src/kv/api.ts';
import { storeDescriptors } from '../../../src/kv/gateway/descriptors.ts';
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
/** Elections of etcd have no code of their own for these. */
const codeless = /^("leader" field must be provided|election: .*)$/;
/** It would end what the other messages are tried on, and wants a root user anyway. */
const left: readonly string[] = ['/etcdserverpb.Auth/AuthEnable'];
/** These wait for others: their callers hang up. They write before they wait, and take that back. */
const waiting: readonly string[] = ['/v3electionpb.Election/Campaign', '/v3lockpb.Lock/Lock'];

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
  // Both versions of reflection have the same messages.
  const [, service = '', method = ''] = path.replace('v1alpha', 'v1').split('/');
  for (const descriptor of [...storeDescriptors, healthDescriptor, reflectionDescriptor, quorumDescriptor]) {
    const found = loadRoot(descriptor).lookup(service) as protobuf.Service | null;
    const known = found?.methods?.[method];
    known?.resolve();
    if (known?.resolvedRequestType) return known.resolvedRequestType;
  }
  return undefined;
}

async function clearAlarms(): Promise<void> {
  for (const { memberId, alarm } of member.server.alarms()) {
    await member.server.setAlarm('deactivate', memberId, alarm);
  }
}

function bytesFor(random: Random, type: protobuf.Type): Uint8Array {
  const valid = type.encode(randomMessage(random, type)).finish();
  return random.next() < 0.5 ? valid : mutated(random, valid);
}

function call(signal = AbortSignal.timeout(10_000)): Call {
  return { metadata: () => [], clientCommonName: undefined, peer: 'test', signal };
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
  assert.ok(
    !ownFaults.includes(status.code) || codeless.test(status.details),
    `${path}: ${status.code} ${status.details}`,
  );
}

async function feedUnary(method: UnaryMethod, bytes: Uint8Array): Promise<void> {
  const request = decoded(method, bytes);
  if (!request) return;
  const before = member.server.position().revision;
  const isWaiting = waiting.includes(method.path);
  const hangUp = new AbortController();
  try {
    const answer = method.handle(request, isWaiting ? call(hangUp.signal) : call());
    if (isWaiting) setImmediate(() => hangUp.abort({ code: grpcStatus.cancelled, details: 'gone' }));
    assert.ok(method.codec.encode(await answer) instanceof Uint8Array);
  } catch (error) {
    checkStatus(method.path, error as StatusError);
    if (isWaiting) return;
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
    // Whoever carries the call lets one request through where there is one.
    if (request && !method.isRequestStream) break;
  }
  if (!isOver) sink.ended();
  if (!isOver) sink.gone();
}

test('every method survives random and mutated messages', { timeout: 120_000 }, async (t) => {
  for (const [number, method] of methods.entries()) {
    const type = requestTypeOf(method.path);
    assert.ok(type, `the request of ${method.path} is known`);
    if (left.includes(method.path)) continue;
    await t.test(method.path, async () => {
      const random = seededRandom(1_000 + number);
      for (let round = 0; round < messagesPerMethod; round++) {
        if (method.kind === 'unary') await feedUnary(method, bytesFor(random, type));
        else feedStream(method, [bytesFor(random, type), bytesFor(random, type), bytesFor(random, type)]);
      }
      await clearAlarms();
    });
  }
});

test('after all of it the member reads and writes', async () => {
  await member.server.put(putRequest({ key: text('alive'), value: text('yes') }));
  const { kvs } = await member.server.range(rangeRequest({ key: text('alive'), rangeEnd: noBytes }));
  assert.equal(Buffer.from(kvs[0]?.value ?? noBytes).toString(), 'yes');
});
