/** Who may promise a holder more time, and when. Everything around the keeper is a stand-in that answers by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../../../src/env/log.ts';
import type { AppliedLease } from '../../../src/kv/lease/contract.ts';
import { KvError } from '../../../src/kv/errors.ts';
import { LeaseKeeper, type LeaseKeeperOptions } from '../../../src/kv/server/lease-keeper.ts';

const id = 7n;

function keeper({ remainingSeconds = 0 } = {}) {
  const lease: AppliedLease = { id, ttlSeconds: 600, remainingSeconds, keys: new Set() };
  const rounds: { readonly resolve: () => void }[] = [];
  const proposals: { readonly op: unknown; readonly resolve: () => void; readonly reject: (error: Error) => void }[] =
    [];
  const elsewhere: (readonly string[])[] = [];
  let leaderUrls: readonly string[] | undefined;
  const mute = new Set<string>();
  const options = {
    clock: {
      monotonicMs: () => 0,
      wallMs: () => 0,
      every: () => () => undefined,
      after: (_ms: number, callback: () => void) => {
        queueMicrotask(callback);
        return () => undefined;
      },
    },
    log: silentLog,
    kv: { leases: () => ({ get: () => lease, all: () => [lease], changes: () => 0 }) },
    reader: { point: () => new Promise<void>((resolve) => rounds.push({ resolve })) },
    proposer: {
      proposeAsLeader: (op: unknown) =>
        new Promise<void>((resolve, reject) => proposals.push({ op, resolve: () => resolve(), reject })),
    },
    proxy: {
      keepAlive: (urls: readonly string[]) => {
        elsewhere.push(urls);
        return mute.has(urls[0] ?? '') ? new Promise(() => undefined) : Promise.resolve(600);
      },
    },
    leaderUrls: () => leaderUrls,
    minTtlSeconds: 1,
    timeoutMs: 1_000,
  } as unknown as LeaseKeeperOptions;
  const leases = new LeaseKeeper(options);
  leases.setLeading(true);
  const deposed = (urls: readonly string[]) => {
    leaderUrls = urls;
    leases.setLeading(false);
  };
  return { leases, rounds, proposals, elsewhere, mute, deposed };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a leader renews only once a quorum has confirmed that it still leads', async () => {
  const { leases, rounds } = keeper();
  let ttlSeconds = 0;
  const renewed = leases.keepAlive(id, new AbortController().signal).then((answer) => {
    ttlSeconds = answer;
  });
  await turn();
  assert.equal(ttlSeconds, 0, 'nobody has confirmed it yet');
  rounds[0]?.resolve();
  await renewed;
  assert.equal(ttlSeconds, 600);
});

test('a leader that was deposed meanwhile asks the new one', async () => {
  const { leases, rounds, elsewhere, deposed } = keeper();
  const renewed = leases.keepAlive(id, new AbortController().signal);
  await turn();
  deposed(['http://m2:2380']);
  rounds[0]?.resolve();
  assert.equal(await renewed, 600);
  assert.deepEqual(elsewhere, [['http://m2:2380']]);
});

test('a leader that is gone is not waited for once another one leads', async () => {
  const { leases, elsewhere, mute, deposed } = keeper();
  mute.add('http://m2:2380');
  deposed(['http://m2:2380']);
  const renewed = leases.keepAlive(id, new AbortController().signal);
  await turn();
  assert.deepEqual(elsewhere, [['http://m2:2380']]);
  deposed(['http://m3:2380']);
  leases.leaderChanged();
  assert.equal(await renewed, 600);
  assert.deepEqual(elsewhere, [['http://m2:2380'], ['http://m3:2380']]);
});

test('a renewal waits until everybody has forgotten what remained of the lease', async () => {
  const { leases, rounds, proposals } = keeper({ remainingSeconds: 20 });
  let ttlSeconds = 0;
  const renewed = leases.keepAlive(id, new AbortController().signal).then((answer) => {
    ttlSeconds = answer;
  });
  await turn();
  rounds[0]?.resolve();
  await turn();
  assert.deepEqual(proposals[0]?.op, { kind: 'leaseCheckpoint', remaining: [[id, 0]] });
  assert.equal(ttlSeconds, 0, 'the next leader would still believe in 20 seconds');
  proposals[0]?.resolve();
  await renewed;
  assert.equal(ttlSeconds, 600);
});

test('a renewal whose leader goes before that is asked of the next one', async () => {
  const { leases, rounds, proposals, elsewhere, deposed } = keeper({ remainingSeconds: 20 });
  const renewed = leases.keepAlive(id, new AbortController().signal);
  await turn();
  rounds[0]?.resolve();
  await turn();
  deposed(['http://m3:2380']);
  proposals[0]?.reject(new KvError('leaderChanged'));
  assert.equal(await renewed, 600);
  assert.deepEqual(elsewhere, [['http://m3:2380']]);
});
