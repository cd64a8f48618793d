/** Elections and locks that the server waits for, over one real member. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { electionService } from '../../../src/kv/rpc/election-face.ts';
import { lockService } from '../../../src/kv/rpc/lock-face.ts';
import { rangeRequest } from '../../../src/kv/api.ts';
import { startTestMembers, type TestMember } from '../server/test-members.ts';

interface Key {
  readonly name: Uint8Array;
  readonly key: Uint8Array;
  readonly rev: { toNumber(): number };
  readonly lease: { toNumber(): number };
}

interface Answer {
  readonly header: { readonly revision: { toNumber(): number } };
  readonly key: Uint8Array;
  readonly leader: Key;
  readonly kv: { readonly key: Uint8Array; readonly value: Uint8Array };
}

const bytes = (text: string) => Buffer.from(text);
const text = (value: Uint8Array) => Buffer.from(value).toString();
let member: TestMember;
let client: grpc.Client;

before(async () => {
  [member] = (await startTestMembers(1)) as [TestMember];
  client = new grpc.Client(member.endpoint.replace('http://', ''), grpc.credentials.createInsecure());
});
after(async () => {
  client?.close();
  await member?.stop();
});

interface Pending {
  readonly answer: Promise<Answer>;
  isAnswered(): boolean;
  cancel(): void;
}

function call(service: grpc.ServiceDefinition, method: string, request: object): Pending {
  const { path, requestSerialize, responseDeserialize } = service[method] as grpc.MethodDefinition<object, object>;
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  let isAnswered = false;
  const made = client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, answer) => {
    isAnswered = true;
    if (error) reject(error);
    else resolve(answer as Answer);
  });
  promise.catch(() => undefined);
  return { answer: promise, isAnswered: () => isAnswered, cancel: () => made.cancel() };
}

const election = (method: string, request: object) => call(electionService, method, request);
const lock = (method: string, request: object) => call(lockService, method, request);

async function grant(ttlSeconds = 60): Promise<bigint> {
  return (await member.server.leaseGrant(0n, ttlSeconds)).id;
}

/** The queue under a name has `count` keys: whoever has asked has been heard. */
async function untilQueued(name: string, count: number): Promise<void> {
  const lateAtMs = performance.now() + 5_000;
  const range = rangeRequest({ key: bytes(`${name}/`), rangeEnd: bytes(`${name}0`), countOnly: true });
  while ((await member.server.range(range)).count !== count) {
    assert.ok(performance.now() < lateAtMs, `${count} keys queue up under ${name}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('a lock is given in the order of asking, and its key says who holds it', async () => {
  const [first, second, third] = await Promise.all([grant(), grant(), grant()]);
  const held = await lock('Lock', { name: bytes('door'), lease: first }).answer;
  assert.equal(text(held.key), `door/${first.toString(16)}`);
  const waiting = lock('Lock', { name: bytes('door'), lease: second });
  await untilQueued('door', 2);
  const last = lock('Lock', { name: bytes('door'), lease: third });
  await untilQueued('door', 3);
  assert.equal(waiting.isAnswered(), false);
  await lock('Unlock', { key: held.key }).answer;
  const next = await waiting.answer;
  assert.equal(text(next.key), `door/${second.toString(16)}`);
  assert.equal(last.isAnswered(), false);
  await member.server.leaseRevoke(second);
  assert.equal(text((await last.answer).key), `door/${third.toString(16)}`);
});

test('asking again with the same lease keeps the lock that is held', async () => {
  const lease = await grant();
  const once = await lock('Lock', { name: bytes('again'), lease }).answer;
  const twice = await lock('Lock', { name: bytes('again'), lease }).answer;
  assert.deepEqual(twice.key, once.key);
});

test('without a lease the server grants one, and an unknown lease is refused', async () => {
  const { key } = await lock('Lock', { name: bytes('lent') }).answer;
  const [, hex = ''] = text(key).split('/');
  assert.ok((await member.server.leases()).includes(BigInt(`0x${hex}`)));
  await assert.rejects(lock('Lock', { name: bytes('lent'), lease: 4711 }).answer, /requested lease not found/);
});

test('who stops waiting leaves the queue, and who waits behind goes on', async () => {
  const [first, second, third] = await Promise.all([grant(), grant(), grant()]);
  const held = await lock('Lock', { name: bytes('shop'), lease: first }).answer;
  const impatient = lock('Lock', { name: bytes('shop'), lease: second });
  await untilQueued('shop', 2);
  const patient = lock('Lock', { name: bytes('shop'), lease: third });
  await untilQueued('shop', 3);
  impatient.cancel();
  await untilQueued('shop', 2);
  await lock('Unlock', { key: held.key }).answer;
  assert.equal(text((await patient.answer).key), `shop/${third.toString(16)}`);
});

test('a lease that ends while its holder waits does not get the lock', async () => {
  const [first, second] = await Promise.all([grant(), grant()]);
  const held = await lock('Lock', { name: bytes('lost'), lease: first }).answer;
  const waiting = lock('Lock', { name: bytes('lost'), lease: second });
  await untilQueued('lost', 2);
  await member.server.leaseRevoke(second);
  await lock('Unlock', { key: held.key }).answer;
  await assert.rejects(waiting.answer, /mutex: session is expired/);
});

test('a campaign is won in turn; leaders proclaim, are seen, and resign', async () => {
  await assert.rejects(election('Leader', { name: bytes('town') }).answer, /election: no leader/);
  const [first, second] = await Promise.all([grant(), grant()]);
  const won = await election('Campaign', { name: bytes('town'), lease: first, value: bytes('ann') }).answer;
  assert.equal(text(won.leader.name), 'town');
  assert.equal(text(won.leader.key), `town/${first.toString(16)}`);
  const rival = election('Campaign', { name: bytes('town'), lease: second, value: bytes('bob') });
  await untilQueued('town', 2);
  assert.equal(text((await election('Leader', { name: bytes('town') }).answer).kv.value), 'ann');
  await election('Proclaim', { leader: won.leader, value: bytes('ann the second') }).answer;
  assert.equal(text((await election('Leader', { name: bytes('town') }).answer).kv.value), 'ann the second');
  await election('Resign', { leader: won.leader }).answer;
  const next = await rival.answer;
  assert.equal(text((await election('Leader', { name: bytes('town') }).answer).kv.value), 'bob');
  await assert.rejects(
    election('Proclaim', { leader: won.leader, value: bytes('still here') }).answer,
    /election: not leader/,
  );
  await assert.rejects(election('Proclaim', { value: bytes('who') }).answer, /"leader" field must be provided/);
  await election('Resign', { leader: next.leader }).answer;
});

test('an observer is told of each leader and each value, in order', async () => {
  const { path, requestSerialize, responseDeserialize } = electionService['Observe'] as grpc.MethodDefinition<
    object,
    object
  >;
  const seen: string[] = [];
  let wake = () => {};
  const observed = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {
    name: bytes('city'),
  });
  observed.on('data', (answer: Answer) => {
    seen.push(text(answer.kv.value));
    wake();
  });
  observed.on('error', () => undefined);
  const until = async (count: number) => {
    while (seen.length < count) await new Promise<void>((resolve) => (wake = resolve));
  };
  const [first, second] = await Promise.all([grant(), grant()]);
  const won = await election('Campaign', { name: bytes('city'), lease: first, value: bytes('1') }).answer;
  await until(1);
  await election('Proclaim', { leader: won.leader, value: bytes('2') }).answer;
  await until(2);
  const rival = election('Campaign', { name: bytes('city'), lease: second, value: bytes('3') });
  await untilQueued('city', 2);
  await election('Resign', { leader: won.leader }).answer;
  const next = await rival.answer;
  await until(3);
  await election('Resign', { leader: next.leader }).answer;
  await election('Campaign', { name: bytes('city'), lease: first, value: bytes('4') }).answer;
  await until(4);
  assert.deepEqual(seen, ['1', '2', '3', '4']);
  observed.cancel();
});
