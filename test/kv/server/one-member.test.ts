/** One member in this process, asked through KvServer: limits, alarms, leases, reads that leave no trace in the log. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { noBytes, putRequest, type RequestOp, rangeRequest, type TxnRequest } from '../../../src/kv/api.ts';
import type { KvServer } from '../../../src/kv/server/contract.ts';
import { startTestMembers, type TestMember } from './test-members.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const putOf = (key: string, value: string, lease = 0n) => putRequest({ key: bytes(key), value: bytes(value), lease });
const rangeOf = (key: string) => rangeRequest({ key: bytes(key) });
const never = new AbortController().signal;

describe('one member', () => {
  let member: TestMember;
  let server: KvServer;
  before(async () => {
    [member] = (await startTestMembers(1)) as [TestMember];
    server = member.server;
  });
  after(() => member?.stop());

  test('a write is there for the next read, and the answer names its revision', async () => {
    const { revision } = await server.put(putOf('a', '1'));
    const read = await server.range(rangeOf('a'));
    assert.equal(read.kvs[0]?.modRevision, revision);
    assert.equal(read.revision, revision);
  });

  test('a transaction that only reads takes no entry of the log', async () => {
    const before = server.status().raft.lastIndex;
    const read: RequestOp = { kind: 'range', request: rangeOf('a') };
    const txn: TxnRequest = {
      compare: [{ key: bytes('a'), rangeEnd: noBytes, result: 'greater', target: { kind: 'version', value: 0 } }],
      success: [read],
      failure: [],
    };
    const { succeeded, responses } = await server.txn(txn);
    assert.equal(succeeded, true);
    assert.equal(responses[0]?.kind === 'range' && responses[0].response.count, 1);
    assert.equal(server.status().raft.lastIndex, before);
  });

  test('many reads at a time share read points', async () => {
    const before = server.counters().raft.readIndexes;
    await Promise.all(Array.from({ length: 200 }, () => server.range(rangeOf('a'))));
    assert.ok(server.counters().raft.readIndexes - before <= 20);
  });

  test('a request above the limit is refused before it reaches the log', async () => {
    const before = server.status().raft.lastIndex;
    await assert.rejects(server.put({ ...putOf('big', ''), value: new Uint8Array(1.6 * 1024 * 1024) }), {
      kv: 'requestTooLarge',
    });
    assert.equal(server.status().raft.lastIndex, before);
  });

  test('a lease outlasts an election at least, and runs out on time with its keys', async () => {
    const { id, ttlSeconds } = await server.leaseGrant(0n, 0);
    assert.ok(id > 0n);
    assert.equal(ttlSeconds, 1, '1.5 elections of 300 ms, in whole seconds');
    await server.put(putOf('leased', 'x', id));
    const gone = new Promise<void>((resolve) => {
      const request = {
        key: bytes('leased'),
        rangeEnd: noBytes,
        startRevision: 0,
        prevKv: false,
        noPut: true,
        noDelete: false,
      };
      server.watch(request, {
        events: () => {
          resolve();
          return true;
        },
        compacted: () => assert.fail('nothing was compacted'),
      });
    });
    assert.deepEqual(
      (await server.leaseTimeToLive(id, true, never)).keys.map((key) => Buffer.from(key).toString()),
      ['leased'],
    );
    await gone;
    assert.equal((await server.leaseTimeToLive(id, false, never)).ttlSeconds, -1);
    assert.equal(await server.leaseKeepAlive(id, never), 0);
    assert.equal(server.counters().leasesExpired, 1);
    await assert.rejects(server.leaseGrant(0n, 9_000_000_001), { kv: 'leaseTtlTooLarge' });
  });

  test('a corrupt alarm stops writes until it is cleared', async () => {
    await server.setAlarm('activate', server.memberId, 'corrupt');
    assert.equal((await server.range(rangeOf('a'))).count, 1);
    await assert.rejects(server.put(putOf('a', '2')), { kv: 'corrupt' });
    await server.setAlarm('deactivate', server.memberId, 'corrupt');
    assert.deepEqual(server.alarms(), []);
    await server.put(putOf('a', '2'));
  });

  test('the only member leads, and cannot be removed or hand leadership to a stranger', async () => {
    await server.moveLeader(server.memberId);
    await assert.rejects(server.moveLeader(4711), { kv: 'badLeaderTransferee' });
    await assert.rejects(server.memberRemove(server.memberId), { kv: 'notEnoughStartedMembers' });
    await assert.rejects(server.memberRemove(4711), { kv: 'memberNotFound' });
    await assert.rejects(server.memberAdd(['not a url'], false), { kv: 'badPeerUrls' });
  });

  test('metrics carry etcd’s names', async () => {
    const text = await member.registry.metrics();
    for (const line of ['etcd_server_has_leader 1', 'etcd_server_is_leader 1', 'etcd_debugging_mvcc_keys_total']) {
      assert.ok(text.includes(line), line);
    }
  });
});

test('a used-up quota raises NOSPACE: writes fail, deletions go on, and the alarm can be cleared', async () => {
  const limits = { requestBytesMax: 1.5 * 1024 * 1024, txnOpsMax: 128, learnersMax: 1, quotaBytes: 20_000 };
  const [member] = (await startTestMembers(1, { limits })) as [TestMember];
  const { server } = member;
  try {
    await server.put(putOf('a', 'x'.repeat(10_000)));
    await assert.rejects(server.put(putOf('b', 'x'.repeat(15_000))), { kv: 'noSpace' });
    await server.range(rangeOf('a'));
    const lateAtMs = performance.now() + 5_000;
    while (server.alarms().length === 0 && performance.now() < lateAtMs)
      await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(server.alarms(), [{ memberId: server.memberId, alarm: 'noSpace' }]);
    await assert.rejects(server.put(putOf('c', 'small')), { kv: 'noSpace' });
    await server.deleteRange({ key: bytes('a'), rangeEnd: noBytes, prevKv: false });
    const { revision } = await server.range(rangeOf('a'));
    await server.compact(revision, true);
    await server.setAlarm('deactivate', server.memberId, 'noSpace');
    await server.put(putOf('c', 'small'));
  } finally {
    await member.stop();
  }
});
