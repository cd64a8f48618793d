/**
 * The store's state over a crash at every operation of its backend: writes, syncs, the clear of a restore, the deletes of
 * a compaction's cleaning. Whatever prefix of the unsynced part survives, half a clear included, a start finds a state at
 * some entry, none before what was called durable, and applying the rest of the log from there ends where the others are.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SeededRandom, seededRandom } from '../../chaos/sim/random.ts';
import type { InternalOp } from '../../src/kv/api.ts';
import { createKvState, openKvState } from '../../src/kv/apply/state.ts';
import type { KvState } from '../../src/kv/apply/contract.ts';
import type { Backend, BackendWrite } from '../../src/kv/backend/contract.ts';
import { createMemoryBackend } from '../../src/kv/backend/memory.ts';
import { listed, op, rangeRequest } from '../kv/apply/requests.ts';

type Step = { readonly kind: 'write'; readonly batch: readonly BackendWrite[] } | { readonly kind: 'clear' };

/** Notes everything, and which part of it was synced at each moment. */
class JournalBackend implements Backend {
  readonly #inner = createMemoryBackend();
  readonly steps: Step[] = [];
  /** After each operation: how many steps there are, how many are synced. */
  readonly moments: { readonly steps: number; readonly synced: number; readonly durableIndex: number }[] = [];
  #synced = 0;
  durableIndex: () => number = () => 0;

  #note(): void {
    this.moments.push({ steps: this.steps.length, synced: this.#synced, durableIndex: this.durableIndex() });
  }
  write(batch: readonly BackendWrite[]): void {
    this.steps.push({ kind: 'write', batch: [...batch] });
    this.#inner.write(batch);
    this.#note();
  }
  async sync(): Promise<void> {
    const upTo = this.steps.length;
    await Promise.resolve();
    this.#synced = Math.max(this.#synced, upTo);
    this.#note();
  }
  async clear(): Promise<void> {
    this.steps.push({ kind: 'clear' });
    const upTo = this.steps.length;
    await this.#inner.clear();
    this.#synced = Math.max(this.#synced, upTo);
    this.#note();
  }
  get(key: Uint8Array) {
    return this.#inner.get(key);
  }
  scan(from: Uint8Array, to: Uint8Array) {
    return this.#inner.scan(from, to);
  }
  bytesOnDisk() {
    return this.#inner.bytesOnDisk();
  }
  pendingBytes() {
    return 0;
  }
  compactRange() {
    return this.#inner.compactRange(new Uint8Array(0), new Uint8Array(0));
  }
  close() {
    return this.#inner.close();
  }
}

/** What a crash leaves: the first steps, and of a clear that was the next one, the first of its deletes. */
async function survivor(steps: readonly Step[], kept: number, random: SeededRandom): Promise<Backend> {
  const backend = createMemoryBackend();
  for (const step of steps.slice(0, kept)) {
    if (step.kind === 'write') backend.write(step.batch);
    else await backend.clear();
  }
  if (steps[kept]?.kind === 'clear') {
    const keys: Uint8Array[] = [];
    for await (const [key] of backend.scan(Uint8Array.of(0), Uint8Array.of(0xff))) keys.push(key);
    const gone = keys.slice(0, random.integer(0, keys.length));
    backend.write(gone.map((key) => ({ type: 'delete', key })));
  }
  return backend;
}

type LogEntry =
  | { readonly kind: 'op'; readonly op: InternalOp }
  | { readonly kind: 'restore'; readonly content: Buffer };

/** Entries 1 … n; a restore stands for all entries up to its place. */
function entries(random: SeededRandom, count: number): InternalOp[] {
  let revision = 1;
  let compacted = 0;
  return Array.from({ length: count }, () => {
    const draw = random.next();
    const key = `k${random.integer(0, 12)}`;
    if (draw < 0.1 && revision > compacted + 2) {
      compacted = random.integer(compacted + 1, revision - 1);
      return op.compact(compacted);
    }
    if (draw < 0.2) return op.grant(BigInt(random.integer(1, 1_000_000)));
    revision += 1;
    if (draw < 0.35) return op.txn([], [op.put(key, 'in'), op.put('other', String(revision))]);
    return op.put(key, `${revision}`.repeat(random.integer(1, 20)));
  });
}

function applyOne(state: KvState, entry: InternalOp): void {
  state.apply(state.consistentIndex() + 1, { requestId: 0, op: entry });
}

function picture(state: KvState): unknown {
  return {
    index: state.consistentIndex(),
    revision: state.revision(),
    compactRevision: state.compactRevision(),
    hash: state.hashKv(0),
    head: listed(state, rangeRequest('\0', '\0')),
    leases: [...state.leases().all()].map(({ id }) => id).sort((a, b) => Number(a - b)),
  };
}

async function gather(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* once(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield content;
}

/** Applies the log from where the state stands to its end. */
async function goOn(state: KvState, log: readonly LogEntry[], random: SeededRandom): Promise<void> {
  const restoreAt = log.findIndex((entry) => entry.kind === 'restore') + 1;
  while (state.consistentIndex() < log.length) {
    const next = state.consistentIndex() + 1;
    const entry = log[next - 1];
    // Entries that a snapshot stands for were never here.
    if (next > restoreAt - 20 && next <= restoreAt) {
      const restore = log[restoreAt - 1];
      assert.ok(restore?.kind === 'restore');
      await state.restore(restoreAt, once(restore.content));
    } else {
      assert.ok(entry?.kind === 'op');
      applyOne(state, entry.op);
    }
    if (random.next() < 0.2) state.cleanStep();
    if (random.next() < 0.05) await state.sync();
  }
}

for (const seed of ['first', 'second', 'third']) {
  test(`a crash at every backend operation, whatever survives of it (workload ${seed})`, async () => {
    const random = seededRandom(seed);
    const ops = entries(random, 160);
    // The leader's state at entry 100, which this member gets when it has applied 80.
    const leader = createKvState({ backend: createMemoryBackend() });
    const log: LogEntry[] = ops.map((entry) => ({ kind: 'op', op: entry }));
    for (const entry of ops.slice(0, 100)) applyOne(leader, entry);
    log[99] = { kind: 'restore', content: await gather(leader.snapshot()) };
    for (const entry of ops.slice(100)) applyOne(leader, entry);
    while (leader.cleanStep());
    const end = picture(leader);

    const journal = new JournalBackend();
    const state = createKvState({ backend: journal, syncEntries: 25 });
    journal.durableIndex = () => state.durableIndex();
    await goOn(state, log, random.fork('life'));
    while (state.cleanStep());
    await state.sync();
    assert.deepEqual(picture(state), end);

    assert.ok(journal.moments.length > 150, `${journal.moments.length} operations`);
    let clears = 0;
    for (const [position, { steps, synced, durableIndex }] of journal.moments.entries()) {
      for (const kept of new Set([synced, steps, random.integer(synced, steps)])) {
        if (journal.steps[kept]?.kind === 'clear') clears += 1;
        const where = `operation ${position}: ${kept} of ${steps} steps survive, ${synced} are synced`;
        const after = await openKvState({ backend: await survivor(journal.steps, kept, random) });
        // A restore that was cut off begins again from nothing: its snapshot is a file of the log's.
        const isRestoring = after.consistentIndex() === 0;
        if (!isRestoring) assert.ok(after.consistentIndex() >= durableIndex, where);
        await goOn(after, log, random.fork(`again-${position}`));
        while (after.cleanStep());
        assert.deepEqual(picture(after), end, where);
      }
    }
    assert.ok(clears > 0, 'a clear was cut in the middle');
  });
}
