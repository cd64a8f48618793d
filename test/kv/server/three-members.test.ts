/** Three members in this process over loopback: what needs more than one to go wrong, or right. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { realClock } from '../../../src/env/real.ts';
import { KvError } from '../../../src/kv/errors.ts';
import { createKvClient, type KvClient } from '../../../src/kv/index.ts';
import { watchService } from '../../../src/kv/rpc/services.ts';
import { freePorts } from '../../support/free-ports.ts';
import { joinTestMember, leaderOf, startTestMembers, type TestMember } from './test-members.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const never = new AbortController().signal;

describe('three members', () => {
  let members: TestMember[];
  let client: KvClient;
  before(async () => {
    members = [...(await startTestMembers(3))];
    client = createKvClient({ clock: realClock, endpoints: members.map((member) => member.endpoint) });
  });
  after(async () => {
    client?.close();
    await Promise.all((members ?? []).map((member) => member.stop()));
  });

  test('what one member acknowledged, every other one reads', async () => {
    for (const [index, member] of members.entries()) {
      const one = createKvClient({ clock: realClock, endpoints: [member.endpoint] });
      await one.put({ key: bytes('seen'), value: bytes(String(index)) });
      for (const other of members) {
        const there = createKvClient({ clock: realClock, endpoints: [other.endpoint] });
        const read = await there.range({ key: bytes('seen') });
        assert.equal(new TextDecoder().decode(read.kvs[0]?.value), String(index));
        there.close();
      }
      one.close();
    }
  });

  test('every member keeps leases alive, whoever leads', async () => {
    const lease = await client.leaseGrant(60);
    for (const { server } of members) {
      assert.equal(await server.leaseKeepAlive(lease, never), 60);
      assert.equal((await server.leaseTimeToLive(lease, false, never)).grantedTtlSeconds, 60);
      assert.equal(await server.leaseKeepAlive(4711n, never), 0);
    }
  });

  test('leadership moves by hand, and leases go on under the new leader', async () => {
    const lease = await client.leaseGrant(60);
    const leader = await leaderOf(members);
    const other = members.find((member) => member !== leader) as TestMember;
    await leader.server.moveLeader(other.server.memberId);
    assert.equal((await leaderOf(members)).server.memberId, other.server.memberId);
    assert.equal(await leader.server.leaseKeepAlive(lease, never), 60);
    await assert.rejects(leader.server.moveLeader(other.server.memberId), { kv: 'notLeader' });
  });

  test('a learner joins, is promoted, serves, and is removed', async () => {
    const [port] = await freePorts(1);
    const peerUrl = `http://127.0.0.1:${port}`;
    const first = members[0] as TestMember;
    const { member } = await first.server.memberAdd([peerUrl], true);
    await assert.rejects(first.server.memberAdd([peerUrl], false), { kv: 'peerUrlExists' });
    await assert.rejects(first.server.memberAdd(['http://127.0.0.1:1'], true), { kv: 'tooManyLearners' });
    const joined = await joinTestMember(members, 'm4', peerUrl);
    try {
      assert.equal(joined.server.memberId, member.id);
      const own = createKvClient({ clock: realClock, endpoints: [joined.endpoint] });
      await assert.rejects(own.put({ key: bytes('x'), value: bytes('y') }), { kv: 'notSupportedForLearner' });
      const several = createKvClient({ clock: realClock, endpoints: [joined.endpoint, first.endpoint] });
      await several.put({ key: bytes('by a voter'), value: bytes('y') });
      several.close();
      const read = await own.range({ key: bytes('seen'), serializable: true });
      assert.equal(read.count, 1);
      const follower = members.find(({ server }) => server.position().leader !== server.memberId) as TestMember;
      await follower.server.memberPromote(member.id, never);
      await own.put({ key: bytes('from the fourth'), value: bytes('y') });
      own.close();
      const remaining = await first.server.memberRemove(member.id);
      assert.deepEqual(remaining.map((item) => item.name).sort(), ['m1', 'm2', 'm3']);
      await assert.rejects(first.server.memberUpdate(member.id, [peerUrl]), { kv: 'memberNotFound' });
    } finally {
      await joined.stop();
    }
  });

  test('a leader that stops hands leadership on, and watches go on at another member', async (context) => {
    const leader = await leaderOf(members);
    const seen: string[] = [];
    let wake = () => {};
    const watching = createKvClient({
      clock: realClock,
      endpoints: [leader.endpoint, ...members.filter((member) => member !== leader).map((member) => member.endpoint)],
    });
    const request = {
      key: bytes('seq/'),
      rangeEnd: bytes('seq0'),
      startRevision: 0,
      prevKv: false,
      noPut: false,
      noDelete: false,
    };
    const created = new Promise<void>((resolve) => {
      watching.watch(request, {
        created: () => resolve(),
        events: (events) => {
          seen.push(...events.map((event) => new TextDecoder().decode(event.kv.key)));
          wake();
        },
        progress: () => undefined,
        ended: (reason) => assert.fail(JSON.stringify(reason)),
      });
    });
    await created;
    const remaining = members.filter((member) => member !== leader);
    const writer = createKvClient({ clock: realClock, endpoints: remaining.map((member) => member.endpoint) });
    context.after(() => {
      writer.close();
      watching.close();
    });
    const wanted: string[] = [];
    const write = async (count: number) => {
      for (let index = 0; index < count; index++) {
        const key = `seq/${String(wanted.length).padStart(4, '0')}`;
        wanted.push(key);
        await createOnce(writer, key);
      }
    };
    await write(20);
    const stopping = leader.stop();
    await write(20);
    await stopping;
    await write(20);
    members = remaining;
    const lateAtMs = performance.now() + 10_000;
    while (seen.length < wanted.length && performance.now() < lateAtMs) {
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, 500).unref();
      });
    }
    assert.deepEqual(seen, wanted, 'every event once, in order');
  });

  test('without a quorum nothing is acknowledged: writes time out, watches are sent away, old news is still told', async () => {
    const [survivor, other] = members as [TestMember, TestMember];
    const alone = createKvClient({ clock: realClock, endpoints: [survivor.endpoint] });
    const ended = new Promise<grpc.ServiceError>((resolve) => {
      const plain = new grpc.Client(new URL(survivor.endpoint).host, grpc.credentials.createInsecure());
      const method = watchService['Watch'] as grpc.MethodDefinition<object, object>;
      const metadata = new grpc.Metadata();
      metadata.set('hasleader', 'true');
      const stream = plain.makeBidiStreamRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        metadata,
      );
      stream.on('data', () => undefined);
      stream.on('error', (error: grpc.ServiceError) => {
        plain.close();
        resolve(error);
      });
      stream.write({ createRequest: { key: bytes('seen') } });
    });
    await other.stop();
    members = [survivor];
    assert.equal((await ended).details, 'etcdserver: no leader');
    await assert.rejects(alone.put({ key: bytes('lost'), value: bytes('?') }), (error: Error) =>
      ['etcdserver: request timed out', 'etcdserver: leader changed'].includes(error.message),
    );
    assert.equal((await alone.range({ key: bytes('seen'), serializable: true })).count, 1);
    await assert.rejects(alone.range({ key: bytes('seen') }, { timeoutMs: 1_000 }), { code: 'TIMEOUT' });
    alone.close();
  });
});

/** A write that meets a change of leader may or may not have happened: it is asked for again so that it happens once. */
async function createOnce(client: ReturnType<typeof createKvClient>, key: string): Promise<void> {
  const compare = {
    key: bytes(key),
    rangeEnd: bytes(''),
    result: 'equal',
    target: { kind: 'version', value: 0 },
  } as const;
  const put = { key: bytes(key), value: bytes('x'), lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
  for (let attempt = 0; ; attempt++) {
    try {
      await client.txn({ compare: [compare], success: [{ kind: 'put', request: put }], failure: [] });
      return;
    } catch (error) {
      const isUnsure = error instanceof KvError && (error.kv === 'leaderChanged' || error.kv === 'noLeader');
      if (!isUnsure || attempt === 50) throw error;
      await new Promise((resolve) => {
        setTimeout(resolve, 50);
      });
    }
  }
}
