/** What waits for the disk: in which pieces it goes there, and what reads see meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BackendWrite } from '../../../src/kv/backend/contract.ts';
import { PendingWrites } from '../../../src/kv/backend/pending-writes.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const put = (key: string, value: string): BackendWrite => ({ type: 'put', key: bytes(key), value: bytes(value) });
const del = (key: string): BackendWrite => ({ type: 'delete', key: bytes(key) });

test('a million small deletions go to the disk some thousands at a time, and each batch stays whole', () => {
  const pending = new PendingWrites();
  for (let batch = 0; batch < 50; batch++) {
    pending.write(Array.from({ length: 2000 }, (_, row) => del(`${batch}/${row}`)));
  }
  void pending.wait();
  const sizes: number[] = [];
  while (pending.isDue) {
    const job = pending.take();
    assert.ok(job.kind === 'batch');
    sizes.push(job.writes.length);
    pending.done(job);
  }
  assert.equal(
    sizes.reduce((sum, size) => sum + size),
    100_000,
  );
  assert.ok(Math.max(...sizes) <= 6000 && sizes.every((size) => size % 2000 === 0), sizes.join(' '));
  assert.equal(pending.bytes, 0);
});

test('large values end a disk batch by their bytes', () => {
  const pending = new PendingWrites();
  for (let index = 0; index < 12; index++) pending.write([put(`k${index}`, 'v'.repeat(1024 * 1024))]);
  const job = pending.take();
  assert.ok(job.kind === 'batch');
  assert.equal(job.writes.length, 4);
});

test('nothing is due below a megabyte unless somebody waits', () => {
  const pending = new PendingWrites();
  assert.equal(pending.wait(), undefined);
  pending.write([put('a', '1')]);
  assert.equal(pending.isDue, false);
  assert.notEqual(pending.wait(), undefined);
  assert.equal(pending.isDue, true);
});

test('reads see the newest write whatever has gone to the disk, in any order of writing, clearing and finishing', async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('1', '2', '3', null)) },
    { weight: 1, arbitrary: fc.constant('clear' as const) },
    { weight: 4, arbitrary: fc.constant('take' as const) },
    { weight: 4, arbitrary: fc.constant('done' as const) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const pending = new PendingWrites();
      const disk = new Map<string, string>();
      const wanted = new Map<string, string>();
      let job: ReturnType<PendingWrites['take']> | undefined;
      const waits: Promise<void>[] = [];
      const finish = () => {
        if (job?.kind === 'clear') disk.clear();
        else {
          for (const write of job?.writes ?? []) {
            const key = Buffer.from(write.key).toString('latin1');
            if (write.type === 'put') disk.set(key, Buffer.from(write.value).toString('latin1'));
            else disk.delete(key);
          }
        }
        if (job) pending.done(job);
        job = undefined;
      };
      const take = () => {
        const written = pending.wait();
        if (written) waits.push(written);
        if (job === undefined && pending.isDue) job = pending.take();
      };
      const check = () => {
        for (const key of ['a', 'b', 'c']) {
          const held = pending.get(key);
          const onDisk = pending.isClearing ? undefined : disk.get(key);
          const seen = held === undefined ? onDisk : held.value && Buffer.from(held.value).toString('latin1');
          assert.equal(seen, wanted.get(key), `key ${key}`);
        }
      };
      for (const each of steps) {
        if (each === 'take') take();
        else if (each === 'done') finish();
        else if (each === 'clear') {
          wanted.clear();
          waits.push(pending.clear());
        } else {
          const [key, value] = each;
          if (value === null) wanted.delete(key);
          else wanted.set(key, value);
          pending.write([value === null ? del(key) : put(key, value)]);
        }
        check();
      }
      for (take(); job !== undefined; take()) finish();
      await Promise.all(waits);
      check();
      assert.equal(pending.bytes, 0);
    }),
    { numRuns: 500 },
  );
});
