/** Random histories: the real state against the naive model, on both backends, through restarts and snapshots. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { silentLog } from '../../../src/env/log.ts';
import type { InternalOp, RequestOp } from '../../../src/kv/api.ts';
import { createKvState, openKvState } from '../../../src/kv/apply/state.ts';
import type { Watcher } from '../../../src/kv/mvcc/contract.ts';
import type { Backend } from '../../../src/kv/backend/contract.ts';
import { openLevelBackend } from '../../../src/kv/backend/level.ts';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';
import type { ModelOp } from './model.ts';
import { Model, RecordedWatch } from './model.ts';
import { Applier, compare, listed, op, rangeRequest, watchRequest } from './requests.ts';

type Part = number | 'compacted' | 'head';

type Step =
  | { readonly kind: 'put'; readonly key: string; readonly lease: bigint }
  | { readonly kind: 'del'; readonly key: string; readonly end: string }
  | {
      readonly kind: 'txn';
      readonly guard: string;
      readonly version: number;
      readonly keys: readonly string[];
      readonly del: string;
    }
  | { readonly kind: 'grant' | 'revoke'; readonly lease: bigint }
  | { readonly kind: 'compact'; readonly part: Part }
  | { readonly kind: 'clean' | 'restart' | 'snapshot' | 'resume' }
  | {
      readonly kind: 'watch';
      readonly key: string;
      readonly end: string;
      readonly part: Part;
      readonly pauseEvery: number;
      readonly noPut: boolean;
      readonly noDelete: boolean;
      readonly prevKv: boolean;
    }
  | {
      readonly kind: 'range';
      readonly key: string;
      readonly end: string;
      readonly part: Part;
      readonly limit: number;
    };

const key = fc.constantFrom('a', 'a\0', 'ab', 'b', 'c/1', 'c/2', 'c\xff', '\xff');
const end = fc.constantFrom('', '\0', 'ac', 'b', 'c0', 'c/2', '\xff\xff');
const lease = fc.constantFrom(1n, 2n, 9_007_199_254_740_993n);
/** A share of the revisions so far, or one of the two revisions at which rules change. */
const part: fc.Arbitrary<Part> = fc.oneof(
  { weight: 3, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom('compacted' as const, 'head' as const) },
);
const often = { weight: 6 };
const seldom = { weight: 1 };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    ...often,
    arbitrary: fc.record({ kind: fc.constant('put' as const), key, lease: fc.oneof(fc.constant(0n), lease) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('del' as const), key, end }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('txn' as const),
      guard: key,
      version: fc.nat(2),
      keys: fc.uniqueArray(key, { maxLength: 3 }),
      del: key,
    }),
  },
  { ...seldom, arbitrary: fc.record({ kind: fc.constantFrom('grant' as const, 'revoke' as const), lease }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('compact' as const), part }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'clean' as const,
        'restart' as const,
        'snapshot' as const,
        'resume' as const,
        'resume' as const,
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('watch' as const),
      key,
      end,
      part,
      pauseEvery: fc.nat(3),
      noPut: fc.boolean(),
      noDelete: fc.boolean(),
      prevKv: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('range' as const), key, end, part, limit: fc.nat(3) }) },
);

/** One real state with its watches, led through the steps beside the model. */
class World {
  readonly model = new Model();
  backend: Backend;
  store: Applier;
  watches: { readonly recorded: RecordedWatch; readonly watcher: Watcher }[] = [];
  #count = 0;

  constructor(backend: Backend) {
    this.backend = backend;
    this.store = new Applier(createKvState({ backend }));
  }

  async take(next: Step): Promise<void> {
    this.#count += 1;
    switch (next.kind) {
      case 'put':
        return this.#put(next.key, next.lease);
      case 'del':
        this.store.ok(op.del(next.key, next.end));
        return this.model.write([{ kind: 'del', key: next.key, end: next.end }]);
      case 'txn':
        return this.#txn(next);
      case 'grant':
        assert.equal(this.store.error(op.grant(next.lease)), this.model.leases.has(next.lease) ? 'leaseExists' : 'ok');
        this.model.leases.add(next.lease);
        return;
      case 'revoke':
        return this.#revoke(next.lease);
      case 'compact':
        return this.#compact(this.#revisionAt(next.part));
      case 'clean':
        while (this.store.state.cleanStep());
        return;
      case 'restart':
        this.checkWatches(false);
        this.watches = [];
        this.store = new Applier(await openKvState({ backend: this.backend }));
        return;
      case 'snapshot':
        return this.#snapshot();
      case 'resume':
        for (const { watcher } of this.watches) watcher.resume();
        return;
      case 'watch':
        return this.#watch(next);
      case 'range': {
        const request = rangeRequest(next.key, next.end, { revision: this.#revisionAt(next.part), limit: next.limit });
        assert.equal(listed(this.store.state, request), this.model.range(request));
      }
    }
  }

  /** Everything that can be seen, against the model. */
  check(): void {
    const { state } = this.store;
    assert.equal(state.revision(), this.model.revision);
    assert.equal(state.compactRevision(), this.model.compacted);
    const all = rangeRequest('\0', '\0');
    assert.equal(listed(state, all), this.model.range(all));
    assert.equal(state.stats().keys, this.model.live(this.model.revision, '\0', '\0').length);
    assert.deepEqual(new Set([...state.leases().all()].map((entry) => entry.id)), this.model.leases);
    for (const entry of state.leases().all()) assert.deepEqual([...entry.keys].sort(), this.model.keysOf(entry.id));
  }

  checkEveryRevision(): void {
    for (let revision = 1; revision <= this.model.revision; revision++) {
      const request = rangeRequest('\0', '\0', { revision });
      assert.equal(listed(this.store.state, request), this.model.range(request));
    }
  }

  checkWatches(mustBeSynced: boolean): void {
    for (const { recorded, watcher } of this.watches) {
      const isOver = recorded.compacted !== undefined;
      if (recorded.neverPauses) assert.equal(isOver, recorded.isCompactedFromStart, 'only who pauses can fall behind');
      if (isOver) assert.ok(recorded.lastMain < (recorded.compacted ?? 0), 'what is not compacted is still delivered');
      if (mustBeSynced && !isOver) assert.ok(watcher.isSynced());
      const to = mustBeSynced && !isOver ? this.model.revision : recorded.lastMain;
      const expected = this.model.events(
        recorded.request,
        recorded.from,
        to,
        (main) => recorded.compactedAt.get(main) ?? 0,
      );
      assert.deepEqual(recorded.events, expected);
    }
  }

  catchUpAll(): void {
    for (const { recorded, watcher } of this.watches) {
      // A sink that pauses at every call takes one batch at a time.
      for (let rounds = 0; rounds < 1000 && recorded.compacted === undefined && !watcher.isSynced(); rounds++)
        watcher.resume();
    }
  }

  #put(name: string, id: bigint): void {
    const value = `v${this.#count}`;
    const isKnown = id === 0n || this.model.leases.has(id);
    assert.equal(this.store.error(op.put(name, value, { lease: id })), isKnown ? 'ok' : 'leaseNotFound');
    if (isKnown) this.model.write([{ kind: 'put', key: name, value, lease: id }]);
  }

  #txn(next: Extract<Step, { kind: 'txn' }>): void {
    const guard = compare(next.guard, 'equal', { kind: 'version', value: next.version });
    const puts = next.keys.map(
      (name, position): ModelOp => ({ kind: 'put', key: name, value: `t${this.#count}.${position}`, lease: 0n }),
    );
    const success: RequestOp[] = puts.map((put) => op.put(put.key, put.kind === 'put' ? put.value : ''));
    const holds = this.model.holds(guard);
    const isNested = this.#count % 2 === 0;
    const request = isNested
      ? op.txn([], [op.txn([guard], success, [op.del(next.del)])])
      : op.txn([guard], success, [op.del(next.del)]);
    this.store.ok(request as InternalOp);
    this.model.write(holds ? puts : [{ kind: 'del', key: next.del, end: '' }]);
  }

  #revoke(id: bigint): void {
    assert.equal(this.store.error(op.revoke(id)), this.model.leases.has(id) ? 'ok' : 'leaseNotFound');
    this.model.write(this.model.keysOf(id).map((name) => ({ kind: 'del', key: name, end: '' })));
    this.model.leases.delete(id);
  }

  #compact(revision: number): void {
    const isTaken = revision > this.model.compacted || (revision === 0 && !this.model.wasCompacted);
    const wanted = !isTaken ? 'compacted' : revision > this.model.revision ? 'futureRevision' : 'ok';
    assert.equal(this.store.error(op.compact(revision)), wanted);
    if (wanted !== 'ok') return;
    this.model.compacted = revision;
    this.model.wasCompacted = true;
  }

  /** Another state takes this one's snapshot; and this one takes it too, under its watches' feet. */
  async #snapshot(): Promise<void> {
    const { state } = this.store;
    const stream = state.snapshot();
    const chunks: Uint8Array[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    const other = createKvState({ backend: createMemoryBackend() });
    await other.restore(state.consistentIndex(), replay(chunks));
    assert.deepEqual(other.hashKv(0), state.hashKv(0));
    await state.restore(state.consistentIndex(), replay(chunks));
    assert.deepEqual(other.hashKv(0), state.hashKv(0));
    assert.equal(state.durableIndex(), state.consistentIndex());
  }

  #watch(next: Extract<Step, { kind: 'watch' }>): void {
    const startRevision = this.#revisionAt(next.part);
    const { noPut, noDelete, prevKv } = next;
    const request = watchRequest(next.key, next.end, { startRevision, noPut, noDelete, prevKv });
    const recorded = new RecordedWatch({
      request,
      from: startRevision === 0 ? this.model.revision + 1 : startRevision,
      pauseEvery: next.pauseEvery,
      compactRevision: () => this.store.state.compactRevision(),
    });
    const watcher = this.store.state.watch(request, recorded.sink);
    const isCompacted = startRevision !== 0 && startRevision < this.model.compacted;
    assert.equal(recorded.compacted, isCompacted ? this.model.compacted : undefined);
    recorded.isCompactedFromStart = isCompacted;
    this.watches.push({ recorded, watcher });
  }

  #revisionAt(wanted: Part): number {
    return revisionAt(wanted, this.model.revision, this.model.compacted);
  }
}

/** From 0 to a little above the head. */
function revisionAt(wanted: Part, head: number, compacted: number): number {
  if (wanted === 'head') return head;
  return wanted === 'compacted' ? compacted : Math.floor(wanted * (head + 3));
}

async function* replay(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    // Cut otherwise than it was written.
    for (let at = 0; at < chunk.length; at += 37) yield chunk.subarray(at, at + 37);
  }
}

async function play(world: World, steps: readonly Step[]): Promise<void> {
  for (const next of steps) {
    await world.take(next);
    world.check();
    world.checkWatches(false);
  }
  world.checkEveryRevision();
  world.catchUpAll();
  world.checkWatches(true);
}

test('any history on the memory backend is what the naive model says', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 40, maxLength: 140 }), (steps) =>
      play(new World(createMemoryBackend()), steps),
    ),
    { numRuns: 150 },
  );
});

test('any history on LevelDB is what the naive model says, and hashes as in memory', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-model-'));
  let runs = 0;
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
        const fatal = (error: Error) => assert.fail(error);
        const backend = await openLevelBackend(join(directory, String(runs++)), { onFatal: fatal, log: silentLog });
        try {
          const onDisk = new World(backend);
          const inMemory = new World(createMemoryBackend());
          await play(onDisk, steps);
          await play(inMemory, steps);
          assert.deepEqual(onDisk.store.state.hashKv(0), inMemory.store.state.hashKv(0));
        } finally {
          await backend.close();
        }
      }),
      { numRuns: 15 },
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('two states that are fed the same entries have the same hash after every one, however often they clean', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 30, maxLength: 120 }), (steps) => {
      const eager = new Applier(createKvState({ backend: createMemoryBackend() }));
      const lazy = new Applier(createKvState({ backend: createMemoryBackend() }));
      steps.forEach((next, position) => {
        const operation = toOp(next, position, eager.state.revision());
        if (operation === undefined) return;
        assert.deepEqual(eager.apply(operation), lazy.apply(operation));
        while (eager.state.cleanStep());
        assert.deepEqual(eager.state.hashKv(0), lazy.state.hashKv(0));
      });
      while (lazy.state.cleanStep());
      assert.equal(eager.state.stats().bytesInUse, lazy.state.stats().bytesInUse);
      assert.equal(eager.state.stats().bytesOnDisk, lazy.state.stats().bytesOnDisk);
    }),
    { numRuns: 100 },
  );
});

function toOp(next: Step, position: number, revision: number): InternalOp | undefined {
  switch (next.kind) {
    case 'put':
      return op.put(next.key, `v${position}`, { lease: next.lease });
    case 'del':
      return op.del(next.key, next.end, true);
    case 'txn':
      return op.txn(
        [compare(next.guard, 'greater', { kind: 'version', value: next.version })],
        next.keys.map((name) => op.put(name)),
        [op.del(next.del)],
      );
    case 'grant':
      return op.grant(next.lease);
    case 'revoke':
      return op.revoke(next.lease);
    case 'compact':
      return op.compact(revisionAt(next.part, revision, revision - 1));
    default:
      return undefined;
  }
}
