/**
 * A thousand slow watchers and ten thousand idle connections do not hurt a writer; overload is answered, not queued without
 * bound. Against real processes; what is asserted of time is processor time, as the machine may be busy.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { runLoad, type Target } from '../../bench/load/closed-loop.ts';
import { LeanConnection } from '../../bench/load/connection.ts';
import { openIdle, openWatches } from '../../bench/load/crowd.ts';
import { encodeMessage, keyMarker, template } from '../../bench/load/messages.ts';
import { residentBytes } from '../../bench/load/usage.ts';
import { type StoreCluster, startStoreCluster } from './store-processes.ts';

const idleConnections = 10_000;
const idleWatches = 10_000;
const slowWatches = 1_000;
/** Twice of what `npm run bench -- store --only crowd` measures, and what a collector leaves lying for a while. */
const connectionBytesMax = 20 * 1024;
const watchBytesMax = 12 * 1024;
const slowWatchBytesMax = 300 * 1024;
/** What a write leaves behind until the collector comes: 7 to 11 KB were seen. */
const writeBytesMax = 20 * 1024;
const putMessage = encodeMessage([
  [1, keyMarker('bench/crowd-aaaaaaaa')],
  [2, Buffer.alloc(256, 'v')],
]);
const putPath = '/etcdserverpb.KV/Put';

function targetOf(cluster: StoreCluster): Target {
  return { endpoints: cluster.endpoints, tls: undefined, pids: () => cluster.members.map((member) => member.pid()) };
}

describe('beside a crowd', () => {
  let store: StoreCluster;
  let target: Target;
  const sockets: Socket[] = [];
  const watching: LeanConnection[] = [];
  before(async () => {
    const limits = await readFile('/proc/self/limits', 'utf8');
    const files = Number(/^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
    assert.ok(files > idleConnections + 1_000, `${files} files may be open: raise it (ulimit -n) for this test`);
    store = await startStoreCluster({ kind: 'keelson', count: 1 });
    target = targetOf(store);
  });
  after(async () => {
    for (const connection of watching) connection.close();
    for (const socket of sockets) socket.destroy();
    await store.stop();
  });

  const memory = () => residentBytes(store.members[0]?.pid() as number);
  const write = (seconds: number) =>
    runLoad(target, {
      calls: [{ path: putPath, message: template(putMessage), weight: 1 }],
      inFlight: 100,
      seconds,
      keys: 100,
    });
  const figure = async (name: string) => {
    const text = await (await fetch(`${store.members[0]?.metricsUrl}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  };

  test('ten thousand idle connections and ten thousand idle watches take some KB each', async () => {
    await write(1);
    const empty = memory();
    sockets.push(...(await openIdle(target.endpoints[0] as string, idleConnections)));
    const connected = memory();
    assert.ok(connected - empty < idleConnections * connectionBytesMax, `${connected - empty} bytes more`);
    const range = (index: number) => [`idle/${index}`] as const;
    const plan = { connections: 10, streamsPerConnection: 10, watchesPerStream: idleWatches / 100, range };
    watching.push(...(await openWatches(target, plan)));
    assert.equal(await figure('etcd_debugging_mvcc_watcher_total'), idleWatches);
    const watched = memory() - connected;
    assert.ok(watched < idleWatches * watchBytesMax, `${watched} bytes more`);
  });

  test('a writer beside them, and beside a thousand watchers of its keys that stop reading, goes on as if alone', async () => {
    const range = () => ['bench/', 'bench0'] as const;
    const besideIdle = await write(1);
    const before = memory();
    const slow = await openWatches(target, { connections: 20, streamsPerConnection: 50, watchesPerStream: 1, range });
    assert.equal(slow.length * 50, slowWatches);
    watching.push(...slow);
    for (const connection of slow) connection.stopReading();
    // What the system takes for them, and what may wait for each, is full after some thousand writes.
    for (let round = 0; (await figure('etcd_debugging_mvcc_slow_watcher_total')) < slowWatches; round++) {
      assert.ok(round < 30, 'a watcher that is not read is slow before long');
      await write(1);
    }
    const besideSlow = await write(2);
    const figures = `${besideSlow.cpuPerCallMicroseconds} µs of processor time for a write, ${besideIdle.cpuPerCallMicroseconds} before`;
    assert.ok(besideSlow.cpuPerCallMicroseconds < 3 * besideIdle.cpuPerCallMicroseconds + 50, figures);
    const grown = memory() - before;
    assert.ok(grown < slowWatches * slowWatchBytesMax, `${grown} bytes more`);
    assert.equal(await figure('etcd_debugging_mvcc_slow_watcher_total'), slowWatches, 'none was dropped');
  });
});

describe('more writes than a member can take', () => {
  const asked = 20_000;
  /** As many wait for a majority at most (src/kv/server/proposer.ts). */
  const taken = 5_000;
  let store: StoreCluster;
  before(async () => {
    store = await startStoreCluster({ kind: 'keelson', count: 3 });
  });
  after(() => store.stop());

  test('without a majority those beyond the limit are refused at once, the others when their time is up, and reads go on', async () => {
    const [alive, ...others] = store.members;
    assert.ok(alive);
    for (const other of others) await other.end('SIGKILL');
    const before = residentBytes(alive.pid());
    const connections = await Promise.all(
      Array.from({ length: 20 }, () =>
        LeanConnection.open({ endpoint: alive.endpoint, onBroken: (error) => assert.fail(error) }),
      ),
    );
    let refused = 0;
    const allRefused = Promise.withResolvers<void>();
    const allAnswered = Promise.withResolvers<void>();
    const sink = {
      onMessage: () => assert.fail('nothing can be written'),
      onEnd: () => {
        refused++;
        if (refused === asked - taken) allRefused.resolve();
        if (refused === asked) allAnswered.resolve();
      },
    };
    for (let count = 0; count < asked; count++) {
      connections[count % connections.length]?.call(putPath, template(putMessage), count, sink);
    }
    await allRefused.promise;
    const client = new grpc.Client(new URL(alive.endpoint).host, grpc.credentials.createInsecure());
    const ask = (path: string, message: Buffer) =>
      new Promise<readonly [code: number, text: string]>((resolve) => {
        const same = (value: Buffer) => value;
        client.makeUnaryRequest(path, same, same, message, (error) => {
          resolve(error ? [error.code, error.details] : [0, '']);
        });
      });
    assert.deepEqual(await ask(putPath, putMessage), [8, 'etcdserver: too many requests']);
    const serializable = encodeMessage([
      [1, 'key'],
      [7, true],
    ]);
    assert.deepEqual(await ask('/etcdserverpb.KV/Range', serializable), [0, '']);
    const grown = residentBytes(alive.pid()) - before;
    assert.ok(grown < asked * writeBytesMax, `${grown} bytes more`);
    await allAnswered.promise;
    client.close();
    for (const connection of connections) connection.close();
  });
});
