import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { KvState } from '../../../src/kv/apply/contract.ts';
import { type OpenOptions, createKvState, openKvState } from '../../../src/kv/apply/state.ts';
import type { Backend } from '../../../src/kv/backend/contract.ts';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';
import { Applier, listed, op, rangeRequest } from './requests.ts';

interface Taken {
  readonly index: number;
  readonly chunks: readonly Buffer[];
}

/** A snapshot of the state as it is, in pieces of so many bytes. */
async function take(state: KvState, pieceBytes: number): Promise<Taken> {
  const index = state.consistentIndex();
  const parts: Uint8Array[] = [];
  for await (const chunk of state.snapshot()) parts.push(chunk);
  const whole = Buffer.concat(parts);
  const chunks: Buffer[] = [];
  for (let at = 0; at < whole.length; at += pieceBytes) chunks.push(Buffer.from(whole.subarray(at, at + pieceBytes)));
  return { index, chunks };
}

/** The state of the backend, opened with a snapshot; `why` is what spoke against it. */
async function openWith(backend: Backend, { index, chunks }: Taken) {
  let why: Error | undefined;
  const snapshotUpTo: OpenOptions['snapshotUpTo'] = async () => ({
    index,
    async *chunks() {
      yield* chunks.map((chunk) => Buffer.from(chunk));
    },
  });
  const state = await openKvState({ backend, snapshotUpTo, onUnusable: (error) => (why = error) });
  return { state, why: (why as (Error & { code?: string }) | undefined)?.code };
}

/** Everything that was kept, at every revision that can be read. */
function picture(state: KvState): unknown {
  const from = Math.max(state.compactRevision(), 1);
  const revisions = Array.from({ length: state.revision() - from + 1 }, (_, at) => from + at);
  return {
    index: state.consistentIndex(),
    compactRevision: state.compactRevision(),
    hash: state.hashKv(0),
    bytes: state.stats().bytesInUse,
    keys: state.stats().keys,
    lists: revisions.map((revision) => listed(state, rangeRequest('\0', '\0', { revision }))),
  };
}

test('a state read from snapshot and backend is the one read from the backend alone', async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('put' as const), key: fc.integer({ min: 0, max: 7 }) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('del' as const), key: fc.integer({ min: 0, max: 7 }) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('compact' as const), back: fc.integer({ min: 0, max: 9 }) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('clean' as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('snapshot' as const), bytes: fc.integer({ min: 1, max: 900 }) }),
    },
  );
  let used = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const backend = createMemoryBackend();
      const applier = new Applier(createKvState({ backend }));
      const { state } = applier;
      let taken = await take(state, 100);
      for (const next of steps) {
        if (next.kind === 'put') applier.ok(op.put(`k${next.key}`, 'v'.repeat(next.key * 20)));
        if (next.kind === 'del') applier.ok(op.del(`k${next.key}`));
        if (next.kind === 'clean') state.cleanStep();
        if (next.kind === 'snapshot') taken = await take(state, next.bytes);
        const target = next.kind === 'compact' ? state.revision() - next.back : 0;
        if (target > state.compactRevision()) applier.ok(op.compact(target));
      }
      const expected = picture(await openKvState({ backend }));
      const { state: again, why } = await openWith(backend, taken);
      assert.deepEqual(picture(again), expected);
      assert.ok(why === undefined || why === 'SNAPSHOT_COMPACTED', why);
      if (why === undefined) used += 1;
    }),
    { numRuns: 300 },
  );
  assert.ok(used > 50, `${used} snapshots were used`);
});

test('seed 57: a key that was deleted and cleaned up after the snapshot does not come back', async () => {
  const backend = createMemoryBackend();
  const applier = new Applier(createKvState({ backend }));
  applier.ok(op.put('gone', '1'));
  const taken = await take(applier.state, 1000);
  applier.ok(op.del('gone'));
  applier.ok(op.put('other', '1'));
  applier.ok(op.compact(applier.state.revision()));
  while (applier.state.cleanStep());
  const { state, why } = await openWith(backend, taken);
  assert.equal(why, 'SNAPSHOT_COMPACTED');
  assert.deepEqual(picture(state), picture(applier.state));
});

test('a snapshot that is damaged, or of another history, is left aside', async () => {
  const backend = createMemoryBackend();
  const applier = new Applier(createKvState({ backend }));
  for (const key of ['a', 'b', 'c']) applier.ok(op.put(key, `${key}!`));
  const taken = await take(applier.state, 1000);
  for (const [at, chunk] of taken.chunks.entries()) {
    for (let byte = 0; byte < chunk.length; byte += 3) {
      const damaged = taken.chunks.map((each) => Buffer.from(each));
      (damaged[at] as Buffer)[byte] = (chunk[byte] ?? 0) ^ 0x10;
      const { state, why } = await openWith(backend, { index: taken.index, chunks: damaged });
      assert.match(why ?? '', /^SNAPSHOT_/);
      assert.deepEqual(picture(state), picture(applier.state));
    }
  }
  const stranger = new Applier(createKvState({ backend: createMemoryBackend() }));
  for (const key of ['a', 'b', 'x']) stranger.ok(op.put(key, `${key}?`));
  const { state, why } = await openWith(backend, await take(stranger.state, 1000));
  assert.equal(why, 'SNAPSHOT_DIFFERS');
  assert.deepEqual(picture(state), picture(applier.state));
});
