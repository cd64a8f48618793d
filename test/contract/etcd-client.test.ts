/** One suite for the store's client, run against Keelson's store and against Debian's etcd: both must look the same to it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { realClock } from '../../src/env/real.ts';
import type { KvEvent, RequestOp } from '../../src/kv/api.ts';
import { createKvClient, type KvClient, KvError } from '../../src/kv/index.ts';
import { type StoreCluster, type StoreKind, startStoreCluster } from './store-processes.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array) => new TextDecoder().decode(value);
const none = new Uint8Array(0);
/** The end of the interval of all keys that begin with `prefix`. */
const prefixEnd = (prefix: string) =>
  bytes(prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1));
const put = (key: string, value: string): RequestOp => ({
  kind: 'put',
  request: { key: bytes(key), value: bytes(value), lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false },
});
const failsWith = (code: string) => (error: unknown) => {
  assert.ok(error instanceof KvError, `KvError ${code}, not ${String(error)}`);
  assert.equal(error.kv, code);
  return true;
};

/** Collects what a watch says and lets a test wait for it. */
function recorder() {
  const events: KvEvent[] = [];
  const progress: number[] = [];
  let created = 0;
  let ended: unknown;
  let wake = () => {};
  const listener = {
    created: (revision: number) => {
      created = revision;
      wake();
    },
    events: (list: readonly KvEvent[]) => {
      events.push(...list);
      wake();
    },
    progress: (revision: number) => {
      progress.push(revision);
      wake();
    },
    ended: (reason: unknown) => {
      ended = reason;
      wake();
    },
  };
  const until = async (condition: () => boolean) => {
    const lateAtMs = performance.now() + 10_000;
    while (!condition()) {
      assert.ok(performance.now() < lateAtMs, 'the watch says what is waited for within ten seconds');
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, 1_000).unref();
      });
    }
  };
  return { listener, events, progress, until, created: () => created, ended: () => ended };
}

const watchOptions = { rangeEnd: none, startRevision: 0, prevKv: false, noPut: false, noDelete: false };

for (const kind of ['keelson', 'etcd'] satisfies StoreKind[]) {
  describe(`the store client against ${kind}`, () => {
    let cluster: StoreCluster;
    let client: KvClient;
    before(async () => {
      cluster = await startStoreCluster({ kind, count: 1 });
      client = createKvClient({ clock: realClock, endpoints: cluster.endpoints });
    });
    after(async () => {
      client?.close();
      await cluster?.stop();
    });

    test('a key is written, read, overwritten and deleted, and its versions count', async () => {
      const first = await client.put({ key: bytes('life'), value: bytes('one') });
      const second = await client.put({ key: bytes('life'), value: bytes('two'), prevKv: true });
      assert.equal(second.revision, first.revision + 1);
      assert.equal(text(second.prevKv?.value ?? none), 'one');
      const read = await client.range({ key: bytes('life') });
      assert.equal(read.count, 1);
      const [kv] = read.kvs;
      assert.deepEqual(
        {
          key: text(kv!.key),
          value: text(kv!.value),
          version: kv!.version,
          created: kv!.createRevision,
          modified: kv!.modRevision,
        },
        { key: 'life', value: 'two', version: 2, created: first.revision, modified: second.revision },
      );
      const old = await client.range({ key: bytes('life'), revision: first.revision });
      assert.equal(text(old.kvs[0]!.value), 'one');
      const deleted = await client.deleteRange(bytes('life'), none);
      assert.equal(deleted.deleted, 1);
      assert.equal((await client.range({ key: bytes('life') })).count, 0);
      assert.equal((await client.deleteRange(bytes('life'), none)).deleted, 0);
    });

    test('a range has a limit, an order, a count and shapes of answers', async () => {
      for (const key of ['b', 'a', 'd', 'c'])
        await client.put({ key: bytes(`range/${key}`), value: bytes(`value of ${key}`) });
      const all = { key: bytes('range/'), rangeEnd: prefixEnd('range/') };
      const keys = async (request: Parameters<KvClient['range']>[0]) =>
        (await client.range(request)).kvs.map((kv) => text(kv.key).slice('range/'.length)).join('');
      assert.equal(await keys(all), 'abcd');
      assert.equal(await keys({ ...all, sortOrder: 'descend' }), 'dcba');
      assert.equal(await keys({ ...all, sortOrder: 'ascend', sortTarget: 'create' }), 'badc');
      assert.equal(await keys({ ...all, sortOrder: 'descend', sortTarget: 'mod', limit: 2 }), 'cd');
      assert.equal(await keys({ key: bytes('range/b'), rangeEnd: bytes('range/d') }), 'bc');
      const limited = await client.range({ ...all, limit: 3 });
      assert.deepEqual([limited.kvs.length, limited.more, limited.count], [3, true, 4]);
      const counted = await client.range({ ...all, countOnly: true });
      assert.deepEqual([counted.kvs.length, counted.count], [0, 4]);
      const keysOnly = await client.range({ ...all, keysOnly: true });
      assert.deepEqual(
        keysOnly.kvs.map((kv) => kv.value.length),
        [0, 0, 0, 0],
      );
      const newest = (await client.range({ ...all, sortOrder: 'descend', sortTarget: 'mod', limit: 1 })).kvs[0]!
        .modRevision;
      assert.equal(await keys({ ...all, minModRevision: newest }), 'c');
      assert.equal(await keys({ ...all, maxModRevision: newest - 1 }), 'abd');
      assert.equal(await keys({ key: bytes('range/c'), rangeEnd: new Uint8Array([0]) }), 'cd');
    });

    test('a transaction compares every attribute and takes one of its two ways', async () => {
      await client.deleteRange(bytes('txn/'), prefixEnd('txn/'));
      const { revision } = await client.put({ key: bytes('txn/a'), value: bytes('x') });
      const key = bytes('txn/a');
      const at = { key, rangeEnd: none };
      const succeeded = async (compare: Parameters<KvClient['txn']>[0]['compare']) =>
        (await client.txn({ compare, success: [], failure: [] })).succeeded;
      assert.equal(await succeeded([{ ...at, result: 'equal', target: { kind: 'mod', value: revision } }]), true);
      assert.equal(await succeeded([{ ...at, result: 'notEqual', target: { kind: 'mod', value: revision } }]), false);
      assert.equal(await succeeded([{ ...at, result: 'less', target: { kind: 'create', value: revision + 1 } }]), true);
      assert.equal(await succeeded([{ ...at, result: 'greater', target: { kind: 'version', value: 0 } }]), true);
      assert.equal(await succeeded([{ ...at, result: 'equal', target: { kind: 'value', value: bytes('x') } }]), true);
      assert.equal(await succeeded([{ ...at, result: 'equal', target: { kind: 'lease', value: 0n } }]), true);
      const missing = { key: bytes('txn/none'), rangeEnd: none };
      assert.equal(await succeeded([{ ...missing, result: 'equal', target: { kind: 'create', value: 0 } }]), true);
      assert.equal(await succeeded([{ ...missing, result: 'equal', target: { kind: 'value', value: none } }]), false);
      const taken = await client.txn({
        compare: [{ ...at, result: 'equal', target: { kind: 'mod', value: revision } }],
        success: [
          put('txn/b', '1'),
          put('txn/c', '2'),
          { kind: 'deleteRange', request: { key, rangeEnd: none, prevKv: true } },
        ],
        failure: [put('txn/d', '3')],
      });
      assert.equal(taken.succeeded, true);
      assert.deepEqual(
        taken.responses.map((response) => response.kind),
        ['put', 'put', 'deleteRange'],
      );
      const left = await client.range({ key: bytes('txn/'), rangeEnd: prefixEnd('txn/') });
      assert.deepEqual(
        left.kvs.map((kv) => text(kv.key)),
        ['txn/b', 'txn/c'],
      );
      assert.equal(new Set(left.kvs.map((kv) => kv.modRevision)).size, 1, 'one transaction writes at one revision');
      const nested = await client.txn({
        compare: [],
        success: [{ kind: 'txn', request: { compare: [], success: [put('txn/e', 'inner')], failure: [] } }],
        failure: [],
      });
      const [inner] = nested.responses;
      assert.equal(inner?.kind === 'txn' && inner.response.succeeded, true);
    });

    test('what a request may not ask for is refused with etcd’s error', async () => {
      await assert.rejects(client.put({ key: none, value: bytes('x') }), failsWith('emptyKey'));
      await assert.rejects(client.range({ key: none }), failsWith('emptyKey'));
      const twice = { compare: [], success: [put('twice', '1'), put('twice', '2')], failure: [] };
      await assert.rejects(client.txn(twice), failsWith('duplicateKey'));
      const many = Array.from({ length: 129 }, (_, index) => put(`many/${index}`, ''));
      await assert.rejects(client.txn({ compare: [], success: many, failure: [] }), failsWith('tooManyOps'));
      await assert.rejects(
        client.put({ key: bytes('k'), value: bytes('v'), lease: 4711n }),
        failsWith('leaseNotFound'),
      );
      await assert.rejects(
        client.put({ key: bytes('k'), value: bytes('v'), ignoreValue: true }),
        failsWith('valueProvided'),
      );
      await assert.rejects(
        client.put({ key: bytes('never'), value: none, ignoreValue: true }),
        failsWith('keyNotFound'),
      );
      await assert.rejects(
        client.put({ key: bytes('k'), value: new Uint8Array(1_700_000) }),
        failsWith('requestTooLarge'),
      );
      const { revision } = await client.put({ key: bytes('k'), value: bytes('v') });
      await assert.rejects(client.range({ key: bytes('k'), revision: revision + 1 }), failsWith('futureRevision'));
      await assert.rejects(client.compact(revision + 1), failsWith('futureRevision'));
    });

    test('compaction forgets old revisions and keeps the head', async () => {
      const first = await client.put({ key: bytes('compact'), value: bytes('1') });
      const second = await client.put({ key: bytes('compact'), value: bytes('2') });
      await client.compact(second.revision);
      await assert.rejects(client.range({ key: bytes('compact'), revision: first.revision }), failsWith('compacted'));
      await assert.rejects(client.compact(first.revision), failsWith('compacted'));
      const read = await client.range({ key: bytes('compact'), revision: second.revision });
      assert.equal(text(read.kvs[0]!.value), '2');
      const late = recorder();
      client.watch({ ...watchOptions, key: bytes('compact'), startRevision: first.revision }, late.listener);
      await late.until(() => late.ended() !== undefined);
      assert.deepEqual(late.ended(), { kind: 'compacted', compactRevision: second.revision });
    });

    test('a lease takes its keys with it', async () => {
      const lease = await client.leaseGrant(60);
      await client.put({ key: bytes('leased/a'), value: bytes('1'), lease });
      await client.put({ key: bytes('leased/b'), value: bytes('2'), lease });
      assert.equal((await client.range({ key: bytes('leased/a') })).kvs[0]!.lease, lease);
      assert.equal(await client.leaseKeepAliveOnce(lease), 60);
      await client.put({ key: bytes('leased/b'), value: bytes('free now') });
      await client.leaseRevoke(lease);
      const left = await client.range({ key: bytes('leased/'), rangeEnd: prefixEnd('leased/') });
      assert.deepEqual(
        left.kvs.map((kv) => text(kv.value)),
        ['free now'],
      );
      await assert.rejects(client.leaseKeepAliveOnce(lease), failsWith('leaseNotFound'));
      await assert.rejects(client.leaseRevoke(lease), failsWith('leaseNotFound'));
    });

    test('a watch hears every change in order, with what was there before', async () => {
      const { revision } = await client.put({ key: bytes('watch/a'), value: bytes('0') });
      const heard = recorder();
      const watch = client.watch(
        { ...watchOptions, key: bytes('watch/'), rangeEnd: prefixEnd('watch/'), prevKv: true },
        heard.listener,
      );
      await heard.until(() => heard.created() > 0);
      assert.equal(heard.created(), revision);
      await client.put({ key: bytes('watch/a'), value: bytes('1') });
      await client.txn({ compare: [], success: [put('watch/b', '1'), put('watch/c', '1')], failure: [] });
      await client.put({ key: bytes('elsewhere'), value: bytes('1') });
      await client.deleteRange(bytes('watch/a'), none);
      await heard.until(() => heard.events.length === 4);
      assert.deepEqual(
        heard.events.map((event) => [
          event.type,
          text(event.kv.key),
          event.kv.modRevision - revision,
          text(event.prevKv?.value ?? bytes('-')),
        ]),
        [
          ['put', 'watch/a', 1, '0'],
          ['put', 'watch/b', 2, '-'],
          ['put', 'watch/c', 2, '-'],
          ['delete', 'watch/a', 4, '1'],
        ],
      );
      watch.requestProgress();
      await heard.until(() => heard.progress.length > 0);
      assert.equal(heard.progress[0], revision + 4);
      watch.cancel();
    });

    test('a watch from an old revision replays history, and filters leave out what nobody wants', async () => {
      const { revision } = await client.put({ key: bytes('old'), value: bytes('1') });
      await client.put({ key: bytes('old'), value: bytes('2') });
      await client.deleteRange(bytes('old'), none);
      const everything = recorder();
      client.watch({ ...watchOptions, key: bytes('old'), startRevision: revision }, everything.listener);
      const deletions = recorder();
      client.watch({ ...watchOptions, key: bytes('old'), startRevision: revision, noPut: true }, deletions.listener);
      await everything.until(() => everything.events.length === 3);
      await deletions.until(() => deletions.events.length === 1);
      assert.deepEqual(
        everything.events.map((event) => event.type),
        ['put', 'put', 'delete'],
      );
      assert.deepEqual(
        deletions.events.map((event) => event.type),
        ['delete'],
      );
    });

    test('an answer of several megabytes arrives whole', async () => {
      const value = new Uint8Array(1_000_000).fill(7);
      for (let index = 0; index < 8; index++) await client.put({ key: bytes(`big/${index}`), value });
      const read = await client.range({ key: bytes('big/'), rangeEnd: prefixEnd('big/') });
      assert.equal(read.kvs.length, 8);
      assert.ok(read.kvs.every((kv) => kv.value.length === value.length && kv.value[value.length - 1] === 7));
    });

    test('a member tells its status, and another endpoint is used when the first is dead', async () => {
      const [endpoint] = cluster.endpoints as [string];
      const status = await client.status(endpoint);
      assert.equal(status.leader, status.memberId);
      assert.match(status.version, /^3\.\d+\.\d+$/);
      const second = createKvClient({ clock: realClock, endpoints: ['http://127.0.0.1:1', endpoint] });
      await second.put({ key: bytes('second'), value: bytes('endpoint') });
      assert.equal((await second.range({ key: bytes('second') })).count, 1);
      second.close();
    });

    test('a call ends when its time is up or its signal says so', async () => {
      const nowhere = createKvClient({ clock: realClock, endpoints: ['http://127.0.0.1:1'], timeoutMs: 300 });
      await assert.rejects(nowhere.put({ key: bytes('a'), value: bytes('b') }), { code: 'TIMEOUT' });
      const signal = AbortSignal.abort(new Error('not wanted any more'));
      await assert.rejects(client.range({ key: bytes('a') }, { signal }), { message: 'not wanted any more' });
      nowhere.close();
    });
  });
}
