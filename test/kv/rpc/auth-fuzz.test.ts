/**
 * With auth on, every method is fed random and mutated messages by somebody who may only touch keys that begin with `a`, by
 * somebody with a made-up token, and by nobody: whatever they send, the keys of others, users, members, alarms and history
 * stay as they are, and no answer holds what they may not read.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type protobuf from 'protobufjs';
import etcdDescriptor from '../../../proto/gen/etcd.json' with { type: 'json' };
import { seededRandom } from '../../../chaos/sim/random.ts';
import { silentLog } from '../../../src/env/log.ts';
import type { Random } from '../../../src/env/random.ts';
import { putRequest, rangeRequest } from '../../../src/kv/api.ts';
import { storeMethods } from '../../../src/kv/rpc/methods.ts';
import type { Call, RpcMethod, StatusError } from '../../../src/rpc/service.ts';
import { loadRoot } from '../../../src/proto/grpc-service.ts';
import { mutated, randomMessage } from '../../support/random-messages.ts';
import { startTestMembers, type TestMember } from '../server/test-members.ts';

const messagesPerMethod = 120;
const text = (value: string) => new TextEncoder().encode(value);
const secret = 'SECRET';
/** Keys that random messages like to ask for. */
const othersKeys = ['b', 'root', 'default', 'etcd', '/registry/pods/default/x', '\u0000', 'ÿ€😀'];

let member: TestMember;
let methods: readonly RpcMethod[];
const tokens: (string | undefined)[] = [undefined, 'made up', `prefix.${2 ** 40}`];
const stopping = new AbortController();
/** What answers held that they must not; a stream that is written to would take an exception for its own. */
const told: string[] = [];

before(async () => {
  [member] = (await startTestMembers(1)) as [TestMember];
  const { server } = member;
  const { auth } = server;
  for (const key of othersKeys) await server.put(putRequest({ key: text(key), value: text(secret) }));
  const lease = await server.leaseGrant(7n, 3_600);
  await server.put(putRequest({ key: text('b'), value: text(secret), lease: lease.id }));
  const user = (name: string) => ({ name, password: 'pw', hashedPassword: '', hasNoPassword: false });
  await auth.userAdd(user('root'), undefined);
  await auth.userAdd(user('default'), undefined);
  await auth.change({ kind: 'userGrantRole', name: 'root', role: 'root' }, undefined);
  await auth.change({ kind: 'roleAdd', role: 'a' }, undefined);
  const permission = { type: 'readWrite', key: 'a', rangeEnd: 'b' } as const;
  await auth.change({ kind: 'roleGrantPermission', role: 'a', permission }, undefined);
  await auth.change({ kind: 'userGrantRole', name: 'default', role: 'a' }, undefined);
  await auth.change({ kind: 'enable' }, undefined);
  tokens.push(await auth.authenticate('default', 'pw'));
  const counters = { started: () => undefined, handled: () => undefined, took: () => undefined };
  const onFatal = (error: Error) => {
    throw error;
  };
  methods = storeMethods(
    { server, log: silentLog, counters, onFatal, stopping: stopping.signal },
    { watch: { progressEveryMs: 600_000 } },
  );
});
after(async () => {
  stopping.abort();
  await member?.stop();
});

function callBy(token: string | undefined): Call {
  return {
    metadata: (name) => (name === 'token' && token !== undefined ? [token] : []),
    // Certificates are not wanted by this member: this one must count for nothing.
    clientCommonName: 'root',
    peer: 'test',
    signal: AbortSignal.timeout(10_000),
  };
}

function requestTypeOf(path: string): protobuf.Type | undefined {
  const [, service = '', method = ''] = path.split('/');
  if (!service.startsWith('etcdserverpb.')) return undefined;
  return loadRoot(etcdDescriptor).lookupService(service).methods[method]?.resolvedRequestType ?? undefined;
}

function decoded(method: RpcMethod, random: Random, type: protobuf.Type): object | undefined {
  const valid = type.encode(randomMessage(random, type)).finish();
  try {
    return method.codec.decode(random.next() < 0.7 ? valid : mutated(random, valid));
  } catch {
    // Bytes that are no message never reach a handler.
    return undefined;
  }
}

/** What nobody of them may change. */
async function picture(): Promise<string> {
  const { server } = member;
  const { kvs } = await server.range(rangeRequest({ key: text('\0'), rangeEnd: text('\0') }), 'member');
  const others = kvs.filter(({ key }) => key[0] !== 'a'.charCodeAt(0));
  const { isEnabled, authRevision } = await server.auth.status('member');
  return JSON.stringify({
    others: others.map(({ key, value, modRevision, lease }) => [
      Buffer.from(key).toString('hex'),
      Buffer.from(value).toString(),
      modRevision,
      String(lease),
    ]),
    isEnabled,
    authRevision,
    users: await server.auth.users('member'),
    members: await server.members(true),
    alarms: server.alarms(),
    compactRevision: server.status().compactRevision,
    isLeaseThere: (await server.leases('member')).includes(7n),
  });
}

function checkAnswer(method: RpcMethod, answer: object): void {
  const bytes = Buffer.from(method.codec.encode(answer));
  if (bytes.includes(secret)) told.push(`${method.path} tells a secret`);
  if (bytes.includes('$2b$')) told.push(`${method.path} tells a hash`);
}

async function feed(method: RpcMethod, random: Random, type: protobuf.Type): Promise<void> {
  const request = decoded(method, random, type);
  if (request === undefined) return;
  const call = callBy(tokens[random.integer(0, tokens.length - 1)]);
  if (method.kind === 'unary') {
    const answer = await method.handle(request, call).catch((error: StatusError) => {
      assert.equal(typeof error.code, 'number', `${method.path} fails with a status, not with ${String(error)}`);
      return undefined;
    });
    if (answer) checkAnswer(method, answer);
    return;
  }
  let isOver = false;
  const over = Promise.withResolvers<void>();
  const sink = method.open({
    call,
    write: (answer) => {
      checkAnswer(method, answer);
      return true;
    },
    pause: () => undefined,
    resume: () => undefined,
    end: () => {
      isOver = true;
      over.resolve();
    },
    fail: () => {
      isOver = true;
      over.resolve();
    },
  });
  sink.request(request);
  // Whoever watches what it may not is told of this.
  await member.server.put(putRequest({ key: text('b'), value: text(secret), ignoreLease: true }), 'member');
  if (!isOver) sink.ended();
  // One request has one stream of answers, which ends by itself.
  if (!method.isRequestStream) await over.promise;
  if (!isOver) sink.gone();
}

test('nothing that is sent without permission changes or tells anything', { timeout: 120_000 }, async (t) => {
  for (const [number, method] of methods.entries()) {
    const type = requestTypeOf(method.path);
    if (!type) continue;
    await t.test(method.path, async () => {
      const random = seededRandom(7_000 + number);
      let seen = await picture();
      for (let round = 0; round < messagesPerMethod; round++) {
        await feed(method, random, type);
        // A stream's own check has put a key.
        if (method.kind === 'stream') seen = seen.replace(/"others":.*?\]\]/, '');
        const now = await picture();
        if (method.kind === 'stream') assert.equal(now.replace(/"others":.*?\]\]/, ''), seen);
        else assert.equal(now, seen);
        assert.deepEqual(told, []);
      }
    });
  }
});

/** A request that root could make, for every method that is root’s alone. */
const forRoot: Readonly<Record<string, object>> = {
  'KV/Compact': { revision: 1 },
  'Cluster/MemberAdd': { peerURLs: ['http://127.0.0.1:1'] },
  'Cluster/MemberRemove': { ID: 1 },
  'Cluster/MemberUpdate': { ID: 1, peerURLs: ['http://127.0.0.1:1'] },
  'Cluster/MemberPromote': { ID: 1 },
  'Maintenance/Alarm': { action: 1, alarm: 1 },
  'Maintenance/Status': {},
  'Maintenance/Defragment': {},
  'Maintenance/Hash': {},
  'Maintenance/HashKV': {},
  'Maintenance/Snapshot': {},
  'Maintenance/MoveLeader': { targetID: 1 },
  'Maintenance/Downgrade': { version: '3.6' },
  'Auth/AuthDisable': {},
  'Auth/AuthStatus': {},
  'Auth/UserAdd': { name: 'x', password: 'x' },
  'Auth/UserList': {},
  'Auth/UserDelete': { name: 'default' },
  'Auth/UserChangePassword': { name: 'default', password: 'x' },
  'Auth/UserGrantRole': { user: 'default', role: 'root' },
  'Auth/UserRevokeRole': { name: 'default', role: 'a' },
  'Auth/RoleAdd': { name: 'x' },
  'Auth/RoleList': {},
  'Auth/RoleDelete': { role: 'a' },
  'Auth/RoleGrantPermission': { name: 'a', perm: { permType: 2, key: text('b') } },
  'Auth/RoleRevokePermission': { role: 'a', key: text('a'), rangeEnd: text('b') },
};

test('what is root’s alone is refused to a user by permission, and to nobody by name', async () => {
  const token = await member.server.auth.authenticate('default', 'pw');
  for (const [name, request] of Object.entries(forRoot)) {
    const path = `/etcdserverpb.${name}`;
    const method = methods.find((one) => one.path === path);
    const type = requestTypeOf(path);
    assert.ok(method && type, name);
    const refusal = async (by: string | undefined): Promise<string> => {
      const message = method.codec.decode(type.encode(type.fromObject(request)).finish());
      if (method.kind === 'unary') {
        return method.handle(message, callBy(by)).then(
          () => 'answered',
          (error: StatusError) => error.details,
        );
      }
      const { promise, resolve } = Promise.withResolvers<string>();
      const sink = method.open({
        call: callBy(by),
        write: () => true,
        pause: () => undefined,
        resume: () => undefined,
        end: () => resolve('answered'),
        fail: ({ details }) => resolve(details),
      });
      sink.request(message);
      return promise;
    };
    assert.equal(await refusal(token), 'etcdserver: permission denied', name);
    assert.equal(await refusal(undefined), 'etcdserver: user name is empty', name);
    assert.equal(await refusal('made up'), 'etcdserver: invalid auth token', name);
  }
});

test('after all of it the user with permission uses it', async () => {
  const { server } = member;
  const token = await server.auth.authenticate('default', 'pw');
  await server.put(putRequest({ key: text('a/mine'), value: text('x') }), callBy(token));
  const { kvs } = await server.range(rangeRequest({ key: text('a'), rangeEnd: text('b') }), callBy(token));
  assert.ok(kvs.length > 0);
});
