/**
 * KvState: what committed entries make of the store. Owns the multi-version store, the leases, the members, the alarms and
 * the cluster version, and keeps all of them in the backend, each entry's effect and its index in one batch.
 *
 * Synchronous and deterministic: the same requests in the same order give the same state, answers and hash on every
 * member; how far cleaning and syncing have got is the only thing that may differ.
 */
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import type {
  ApplyResult,
  InternalRequest,
  KvErrorCode,
  Member,
  RangeRequest,
  RangeResult,
  TxnRequest,
  WatchRequest,
} from '../api.ts';
import type { Guard } from '../auth/guard.ts';
import type { AuthTable } from '../auth/table.ts';
import type { Backend, BackendWrite } from '../backend/contract.ts';
import { blocksOf } from '../backend/row-blocks.ts';
import { KvError } from '../errors.ts';
import type { LeaseTable } from '../lease/contract.ts';
import type { MvccStore, Watcher, WatchSink } from '../mvcc/contract.ts';
import { Store } from '../mvcc/store.ts';
import type { KvState, MemberTableChange } from './contract.ts';
import { Executor } from './executor.ts';
import { GatheredRows } from './gathered-rows.ts';
import { type LoadedState, loadBackend, loadWithSnapshot, type StoredSnapshot } from './load.ts';
import type { Alarm } from './meta-rows.ts';
import { allRowsFrom, allRowsTo, appliedKey, appliedRow, memberRow, parseApplied } from './meta-rows.ts';
import { readSnapshot, replaceBackend } from './restore-rows.ts';
import { encodeBlocks } from './snapshot-stream.ts';
import { checkTxn, chooseTxn, isReadOnlyTxn, readOnlyTarget, runTxn } from './txn.ts';
import { validateOp } from './validate.ts';

export interface KvStateOptions {
  /** The caller opens it and closes it. */
  readonly backend: Backend;
  /** Entries between two syncs that begin by themselves. */
  readonly syncEntries?: number;
}

/** Often enough that the log's durable tail stays short, seldom enough that a sync is shared by many entries. */
const syncEntriesDefault = 10_000;
/** Bytes of rows between two syncs: what a start has to apply again, and what the log keeps in memory, at most. */
const syncBytes = 16 * 1024 * 1024;
/** A new state on an empty backend. */
export function createKvState(options: KvStateOptions): KvState {
  const used = options.backend.get(appliedKey);
  assert(used === undefined, 'a new state begins with an empty backend; openKvState opens a used one');
  const state = new AppliedState(options);
  state.begin();
  return state;
}

export interface OpenOptions extends KvStateOptions {
  /** The newest whole snapshot of this state at or before the index, if there is one: what it holds need not be read row by row. */
  readonly snapshotUpTo?: (index: number) => Promise<StoredSnapshot | undefined>;
  /** Told why the snapshot could not be used; then all is read from the backend. */
  readonly onUnusable?: (error: Error) => void;
}

/** The state that a backend holds; a new one when it holds none, or only the remains of an interrupted restore. */
export async function openKvState(options: OpenOptions): Promise<KvState> {
  const { backend } = options;
  const applied = backend.get(appliedKey);
  if (applied === undefined) {
    await backend.clear();
    return createKvState(options);
  }
  const state = new AppliedState(options);
  const loaded = await loadFromSnapshot(options, parseApplied(applied).index);
  state.adopt(loaded ?? (await loadBackend(backend)));
  return state;
}

/** Undefined when there is no snapshot, or none that can be used. */
async function loadFromSnapshot(
  { backend, snapshotUpTo, onUnusable }: OpenOptions,
  index: number,
): Promise<LoadedState | undefined> {
  try {
    const snapshot = await snapshotUpTo?.(index);
    return snapshot && (await loadWithSnapshot(backend, snapshot));
  } catch (error) {
    // What is wrong with the backend is its owner's business; the log looks at the snapshot again and tells.
    if (!(error instanceof KeelsonError) || error.code.startsWith('BACKEND_')) throw error;
    onUnusable?.(error);
    return undefined;
  }
}

class AppliedState implements KvState {
  readonly #backend: Backend;
  readonly #syncEntries: number;
  readonly #store: Store;
  readonly #executor: Executor;
  /** Invariant: #durableIndex <= #syncingIndex <= #index. */
  #index = 0;
  #durableIndex = 0;
  #syncingIndex = 0;
  #isFlushed = true;
  /** Rows of applied entries that the backend does not have yet: some only within a batch. */
  readonly #gathered: GatheredRows;
  #isBatching = false;
  #isRestoring = false;
  #restores = 0;

  constructor(options: KvStateOptions) {
    this.#backend = options.backend;
    this.#syncEntries = options.syncEntries ?? syncEntriesDefault;
    assert(this.#syncEntries > 0, 'syncs are some entries apart');
    this.#gathered = new GatheredRows(options.backend);
    const read: Pick<Backend, 'get' | 'write' | 'bytesOnDisk'> = {
      get: (key) => this.#gathered.backend().get(key),
      write: (batch) => this.#gathered.backend().write(batch),
      bytesOnDisk: () => options.backend.bytesOnDisk(),
    };
    this.#store = new Store({ backend: read, commit: (rows) => this.#flush(rows) });
    this.#executor = new Executor(this.#store);
  }

  /** Marks the backend as in use: from now on it holds the state of index 0. */
  begin(): void {
    this.#backend.write([appliedRow({ index: 0, revision: this.#store.revision() })]);
  }

  apply(index: number, request: InternalRequest): ApplyResult {
    this.#startEntry(index);
    const outcome = this.#executor.refusal(request) ?? this.#executor.carryOut(request.op, index);
    this.#finishEntry();
    const revision = this.#store.revision();
    if (typeof outcome === 'string') return { ok: false, revision, error: outcome };
    return { ok: true, revision, response: outcome };
  }

  beginBatch(): void {
    assert(!this.#isBatching, 'batches are not nested');
    this.#isBatching = true;
    this.#store.holdEvents();
  }

  endBatch(): void {
    assert(this.#isBatching, 'a batch ends once');
    this.#isBatching = false;
    this.#gathered.handOver();
    this.#store.releaseEvents();
    this.#syncWhenDue();
  }

  hasUnpublished(): boolean {
    return this.#store.hasUnpublished();
  }

  publish(): void {
    this.#store.publish();
  }

  skip(index: number): void {
    this.#startEntry(index);
    this.#finishEntry();
  }

  changeMember(index: number, change: MemberTableChange): void {
    assert(!this.#isRestoring, 'members do not change while the state is replaced');
    this.#startEntry(index);
    this.#executor.changeMember(change);
    this.#finishEntry();
  }

  consistentIndex(): number {
    return this.#index;
  }

  durableIndex(): number {
    return this.#durableIndex;
  }

  range(request: RangeRequest): RangeResult | KvErrorCode {
    return validateOp({ kind: 'range', request }) ?? this.#store.range(request);
  }

  readOnlyTxn(request: TxnRequest): ApplyResult {
    assert(isReadOnlyTxn(request), 'a transaction that writes goes through the log');
    const revision = this.#store.revision();
    const error = validateOp({ kind: 'txn', request }, Number.POSITIVE_INFINITY);
    if (error !== undefined) return { ok: false, revision, error };
    const chosen = chooseTxn(this.#store, request);
    const problem = checkTxn(this.#executor.checks(), chosen);
    if (problem !== undefined) return { ok: false, revision, error: problem };
    const response = runTxn(readOnlyTarget(this.#store), chosen);
    return { ok: true, revision, response: { kind: 'txn', response } };
  }

  watch(request: WatchRequest, sink: WatchSink): Watcher {
    return this.#store.watch(request, sink);
  }

  revision(): number {
    return this.#store.revision();
  }

  compactRevision(): number {
    return this.#store.compactRevision();
  }

  wasCompacted(): boolean {
    return this.#store.wasCompacted();
  }

  leases(): LeaseTable {
    return this.#executor.leases;
  }

  members(): ReadonlyMap<number, Member> {
    return this.#executor.members;
  }

  removedMembers(): ReadonlySet<number> {
    return this.#executor.removedMembers;
  }

  setMember(member: Member): void {
    assert(!this.#isRestoring, 'members do not change while the state is replaced');
    this.#executor.members.set(member.id, member);
    this.#gathered.backend().write([memberRow(member)]);
  }

  alarms(): readonly Alarm[] {
    return this.#executor.alarms;
  }

  clusterVersion(): string {
    return this.#executor.clusterVersion;
  }

  auth(): AuthTable {
    return this.#executor.auth;
  }

  guard(): Guard {
    return this.#executor.guard;
  }

  hashKv(revision: number): ReturnType<MvccStore['hashKv']> {
    return this.#store.hashKv(revision);
  }

  beginHash(revision: number): ReturnType<MvccStore['beginHash']> {
    return this.#isRestoring ? 'unhealthy' : this.#store.beginHash(revision);
  }

  stats(): ReturnType<MvccStore['stats']> {
    const stats = this.#store.stats();
    // The row that says how far it was applied is always there, so that what is in use is never nothing.
    const row = appliedRow({ index: this.#index, revision: this.#store.revision() });
    assert('value' in row, 'the row is written, not deleted');
    return { ...stats, bytesInUse: stats.bytesInUse + row.key.length + row.value.length };
  }

  bytesOnDisk(): number {
    return this.#backend.bytesOnDisk();
  }

  hasToClean(): boolean {
    return !this.#isRestoring && this.#store.hasToClean();
  }

  cleanStep(writesMax?: number): boolean {
    return !this.#isRestoring && this.#store.cleanStep(writesMax);
  }

  pendingBytes(): number {
    return this.#backend.pendingBytes();
  }

  async sync(): Promise<void> {
    const index = this.#index;
    const restores = this.#restores;
    this.#syncingIndex = index;
    this.#gathered.unsyncedBytes = 0;
    await this.#gathered.backend().sync();
    // What was synced may have been replaced meanwhile; and a later sync may have finished first.
    if (restores !== this.#restores) return;
    this.#durableIndex = Math.max(this.#durableIndex, index);
  }

  async defragment(): Promise<void> {
    await this.#backend.compactRange(allRowsFrom, allRowsTo);
  }

  rowBlocks(): AsyncIterable<Uint8Array> {
    if (this.#isRestoring) throw new KvError('unhealthy');
    return blocksOf(this.#gathered.backend(), allRowsFrom, allRowsTo);
  }

  snapshot(): AsyncIterable<Uint8Array> {
    assert(!this.#isRestoring, 'a snapshot is not taken while the state is replaced');
    // The scan is as of this call, and everything that makes up the state is a row.
    return encodeBlocks(blocksOf(this.#gathered.backend(), allRowsFrom, allRowsTo));
  }

  async restore(index: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    assert(!this.#isRestoring, 'one restore at a time');
    this.#isRestoring = true;
    try {
      const { rows, loader } = await readSnapshot(chunks);
      // From here to the sync nobody else gets a turn, so that readers see the old state or the new one.
      const loaded = loader.finish();
      const replaced = replaceBackend(this.#backend, rows, loaded, index);
      this.adopt(loaded);
      this.#index = index;
      this.#restores += 1;
      this.#syncingIndex = index;
      this.#durableIndex = 0;
      this.#store.resumeWatchers();
      await replaced;
      this.#durableIndex = index;
    } finally {
      this.#isRestoring = false;
    }
  }

  /** Replaces the content by what was loaded, which the backend holds or is about to. */
  adopt({ stored, content }: LoadedState): void {
    assert(stored.applied !== undefined, 'a stored state says how far it was applied');
    this.#store.replace(content, stored.wasCompacted);
    this.#index = stored.applied.index;
    this.#syncingIndex = this.#index;
    this.#durableIndex = this.#index;
    this.#executor.adopt(stored);
  }

  #startEntry(index: number): void {
    assert(!this.#isRestoring, () => `entry ${index} is applied while the state is replaced`);
    assert(index > this.#index, () => `entry ${index} is applied after ${this.#index}`);
    this.#index = index;
    this.#executor.rows = [];
    this.#isFlushed = false;
  }

  #finishEntry(): void {
    if (!this.#isFlushed) this.#flush([]);
    if (this.#isBatching) return;
    this.#gathered.handOver();
    this.#syncWhenDue();
  }

  #syncWhenDue(): void {
    if (this.#index - this.#syncingIndex < this.#syncEntries && this.#gathered.unsyncedBytes < syncBytes) return;
    this.#syncInBackground();
  }

  #flush(revisionRows: readonly BackendWrite[]): void {
    assert(!this.#isFlushed, 'an entry is gathered once');
    this.#isFlushed = true;
    const { rows } = this.#executor;
    this.#executor.rows = [];
    this.#gathered.add({ index: this.#index, revision: this.#store.revision() }, revisionRows, rows);
  }

  #syncInBackground(): void {
    if (this.#syncingIndex > this.#durableIndex) return;
    this.sync().catch(() => {
      // The backend has told its owner, who stops the process, and throws the same failure at the next write.
    });
  }
}
