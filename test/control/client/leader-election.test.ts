import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LeaderElector, leaderElectionDefaults } from '../../../src/control/client/index.ts';
import { silentLog } from '../../../src/env/log.ts';
import { FakeClock, MemoryApi, seededRandom, settle } from './fakes.ts';

function setUp() {
  const clock = new FakeClock();
  const api = new MemoryApi();
  /** Who leads now, by what the work itself believes. */
  const leading = new Set<string>();
  let mostAtOnce = 0;
  const candidate = (identity: string) => {
    const link = { isCut: false };
    const stop = new AbortController();
    const elector = new LeaderElector({
      client: api.client(() => link.isCut),
      clock,
      random: seededRandom(identity.length),
      log: silentLog,
      namespace: 'kube-system',
      leaseName: 'test',
      identity,
      ...leaderElectionDefaults,
      lead: (signal) =>
        new Promise((resolve) => {
          leading.add(identity);
          mostAtOnce = Math.max(mostAtOnce, leading.size);
          signal.addEventListener('abort', () => {
            leading.delete(identity);
            resolve();
          });
        }),
    });
    return { elector, link, stop, done: elector.run(stop.signal) };
  };
  return { clock, api, leading, candidate, mostAtOnce: () => mostAtOnce };
}

test('of two candidates one leads, and the other takes over when the lease is released', async () => {
  const { clock, api, leading, candidate } = setUp();
  const a = candidate('a');
  await settle();
  const b = candidate('bb');
  await clock.advance(5000);
  assert.deepEqual([...leading], ['a']);
  a.stop.abort();
  await a.done;
  await clock.advance(3000);
  assert.deepEqual([...leading], ['bb']);
  assert.equal(api.objects.get('kube-system/test')?.['spec'].leaseTransitions, 1);
  b.stop.abort();
  await b.done;
  assert.equal(api.objects.get('kube-system/test')?.['spec'].holderIdentity, '');
});

test('a leader that is cut off stops before another one starts, and stands again when it is back', async () => {
  const { clock, leading, candidate, mostAtOnce } = setUp();
  const a = candidate('a');
  await settle();
  const b = candidate('bb');
  await clock.advance(4000);
  a.link.isCut = true;
  await clock.advance(10_500);
  assert.deepEqual([...leading], [], 'renewDeadline has passed, the lease has not');
  await clock.advance(8000);
  assert.deepEqual([...leading], ['bb']);
  a.link.isCut = false;
  await clock.advance(20_000);
  assert.deepEqual([...leading], ['bb']);
  b.stop.abort();
  await b.done;
  await clock.advance(3000);
  assert.deepEqual([...leading], ['a']);
  assert.equal(mostAtOnce(), 1);
  a.stop.abort();
  await a.done;
});

test('the holder of a lease that someone took away by force stops at once', async () => {
  const { clock, api, leading, candidate } = setUp();
  const a = candidate('a');
  await clock.advance(100);
  assert.deepEqual([...leading], ['a']);
  const lease = structuredClone(api.objects.get('kube-system/test'));
  assert.ok(lease);
  lease['spec'].holderIdentity = 'thief';
  await api.client().update({ group: '', version: 'v1', resource: 'leases' }, lease);
  await clock.advance(2500);
  assert.deepEqual([...leading], []);
  a.stop.abort();
  await a.done;
});
