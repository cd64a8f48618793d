/**
 * KvState: what committed entries make of the store. Owns the multi-version store, the leases, the members, the alarms and
 * the cluster version, and keeps all of them in the backend, each entry's effect and its index in one batch.
 *
 * Synchronous and deterministic: the same requests in the same order give the same state, answers and hash on every
 * member; how far cleaning and syncing have got is the only thing that may differ.
 */
import { assert } from '../../env/assert.ts';
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
import { KvError } from '../errors.ts';
import type { LeaseTable } from '../lease/contract.ts';
import type { MvccStore, Watcher, WatchSink } from '../mvcc/contract.ts';
import { Store } from '../mvcc/store.ts';
import type { KvState, MemberTableChange } from './contract.ts';
import { Executor } from './executor.ts';
import type { Alarm, StoredState } from './meta-rows.ts';
import { allRowsFrom, allRowsTo, appliedKey, appliedRow, isRevisionRow, memberRow, RowReader } from './meta-rows.ts';
import { decodeSnapshot, encodeSnapshot, type Row } from './snapshot-stream.ts';
import type { TxnTarget } from './txn.ts';
import { checkTxn, chooseTxn, isReadOnlyTxn, runTxn } from './txn.ts';
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
/** Rows of a restored snapshot in one batch. */
const restoreBatchRows = 1000;

/** A new state on an empty backend. */
export function createKvState(options: KvStateOptions): KvState {
  const used = options.backend.get(appliedKey);
  assert(used === undefined, 'a new state begins with an empty backend; openKvState opens a used one');
  const state = new AppliedState(options);
  state.begin();
  return state;
}

/** The state that a backend holds; a new one when it holds none, or only the remains of an interrupted restore. */
export async function openKvState(options: KvStateOptions): Promise<KvState> {
  const { backend } = options;
  if (backend.get(appliedKey) === undefined) {
    await backend.clear();
    return createKvState(options);
  }
  const state = new AppliedState(options);
  const loader = state.load();
  for await (const [key, value] of backend.scan(allRowsFrom, allRowsTo)) loader.add(key, value);
  loader.finish();
  return state;
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
  /** Bytes of revisions since the last sync began. */
  #unsyncedBytes = 0;
  #isFlushed = true;
  /** Rows of applied entries that the backend does not have yet; not empty only within a batch. */
  #gathered: BackendWrite[] = [];
  #gatheredApplied: { readonly index: number; readonly revision: number } | undefined;
  #isBatching = false;
  #isRestoring = false;
  #restores = 0;

  constructor(options: KvStateOptions) {
    this.#backend = options.backend;
    this.#syncEntries = options.syncEntries ?? syncEntriesDefault;
    assert(this.#syncEntries > 0, 'syncs are some entries apart');
    const read: Pick<Backend, 'get' | 'write' | 'bytesOnDisk'> = {
      get: (key) => this.#handedOver().get(key),
      write: (batch) => this.#handedOver().write(batch),
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
    this.#handOver();
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
    this.#handedOver().write([memberRow(member)]);
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

  stats(): ReturnType<MvccStore['stats']> {
    const stats = this.#store.stats();
    // The row that says how far it was applied is always there, so that what is in use is never nothing.
    const row = appliedRow({ index: this.#index, revision: this.#store.revision() });
    assert('value' in row, 'the row is written, not deleted');
    return { ...stats, bytesInUse: stats.bytesInUse + row.key.length + row.value.length };
  }

  cleanStep(): boolean {
    return !this.#isRestoring && this.#store.cleanStep();
  }

  pendingBytes(): number {
    return this.#backend.pendingBytes();
  }

  async sync(): Promise<void> {
    const index = this.#index;
    const restores = this.#restores;
    this.#syncingIndex = index;
    this.#unsyncedBytes = 0;
    await this.#handedOver().sync();
    // What was synced may have been replaced meanwhile; and a later sync may have finished first.
    if (restores !== this.#restores) return;
    this.#durableIndex = Math.max(this.#durableIndex, index);
  }

  async defragment(): Promise<void> {
    await this.#backend.compactRange(allRowsFrom, allRowsTo);
  }

  rows(): AsyncIterable<Row> {
    if (this.#isRestoring) throw new KvError('unhealthy');
    return this.#backend.scan(allRowsFrom, allRowsTo);
  }

  snapshot(): AsyncIterable<Uint8Array> {
    assert(!this.#isRestoring, 'a snapshot is not taken while the state is replaced');
    // The scan is as of this call, and everything that makes up the state is a row.
    return encodeSnapshot(this.#handedOver().scan(allRowsFrom, allRowsTo));
  }

  async restore(index: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    assert(!this.#isRestoring, 'one restore at a time');
    this.#isRestoring = true;
    try {
      const rows = await decodeSnapshot(chunks);
      const reader = this.load();
      // From here to the sync nobody else gets a turn, so that readers see the old state or the new one.
      const replaced = this.#replaceBackend(rows, index);
      for (const [key, value] of rows) reader.add(key, value);
      const stored = reader.finish();
      assert(stored.index <= index, () => `the snapshot of index ${index} holds index ${stored.index}`);
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

  /** Takes all rows in key order, then `finish`; the content is replaced by what they say. */
  load(): { add(key: Uint8Array, value: Uint8Array): void; finish(): { readonly index: number } } {
    const reader = new RowReader();
    let isLoading = false;
    const beginRevisions = () => {
      const { applied, compactRevision } = reader.state();
      assert(applied !== undefined, 'the applied row comes before the revisions');
      this.#store.beginLoad({ revision: applied.revision, compactRevision });
      isLoading = true;
    };
    return {
      add: (key, value) => {
        if (!isRevisionRow(key)) return reader.add(key, value);
        if (!isLoading) beginRevisions();
        this.#store.loadRow(key, value);
      },
      finish: () => {
        if (!isLoading) beginRevisions();
        this.#store.endLoad();
        return { index: this.#adopt(reader.state()) };
      },
    };
  }

  #adopt(stored: StoredState): number {
    assert(stored.applied !== undefined, 'a stored state says how far it was applied');
    this.#index = stored.applied.index;
    this.#syncingIndex = this.#index;
    this.#durableIndex = this.#index;
    this.#executor.adopt(stored);
    return this.#index;
  }

  /**
   * Without the applied row the backend counts as empty, so that row goes first and comes last: a crash in between leaves
   * remains that the next start clears away.
   */
  #replaceBackend(rows: readonly (readonly [Uint8Array, Uint8Array])[], index: number): Promise<unknown> {
    this.#backend.write([{ type: 'delete', key: appliedKey }]);
    const cleared = this.#backend.clear();
    let revision: number | undefined;
    let batch: BackendWrite[] = [];
    for (const [key, value] of rows) {
      if (key.length === 1 && key[0] === appliedKey[0]) {
        revision = (JSON.parse(Buffer.from(value).toString('utf8')) as { revision: number }).revision;
        continue;
      }
      batch.push({ type: 'put', key, value });
      if (batch.length < restoreBatchRows) continue;
      this.#backend.write(batch);
      batch = [];
    }
    assert(revision !== undefined, 'a snapshot says how far it was applied');
    this.#backend.write([...batch, appliedRow({ index, revision })]);
    return Promise.all([cleared, this.#backend.sync()]);
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
    this.#handOver();
    this.#syncWhenDue();
  }

  #syncWhenDue(): void {
    if (this.#index - this.#syncingIndex < this.#syncEntries && this.#unsyncedBytes < syncBytes) return;
    this.#syncInBackground();
  }

  /** The entry's revisions and what else it changed; they stay together until they are handed over. */
  #flush(revisionRows: readonly BackendWrite[]): void {
    assert(!this.#isFlushed, 'an entry is gathered once');
    this.#isFlushed = true;
    for (const row of revisionRows) {
      this.#gathered.push(row);
      if (row.type === 'put') this.#unsyncedBytes += row.value.length;
    }
    for (const row of this.#executor.rows) this.#gathered.push(row);
    this.#executor.rows = [];
    this.#gatheredApplied = { index: this.#index, revision: this.#store.revision() };
  }

  /** One batch of the backend: whole entries, and the index of the last of them. */
  #handOver(): void {
    const applied = this.#gatheredApplied;
    if (applied === undefined) return;
    this.#gatheredApplied = undefined;
    this.#gathered.push(appliedRow(applied));
    const rows = this.#gathered;
    this.#gathered = [];
    this.#backend.write(rows);
  }

  /** The backend with everything that was applied. */
  #handedOver(): Backend {
    this.#handOver();
    return this.#backend;
  }

  #syncInBackground(): void {
    if (this.#syncingIndex > this.#durableIndex) return;
    this.sync().catch(() => {
      // The backend has told its owner, who stops the process, and throws the same failure at the next write.
    });
  }
}

function readOnlyTarget(store: Store): TxnTarget {
  const refuse = (): never => {
    assert(false, 'a read-only transaction does not write');
  };
  return {
    revision: () => store.revision(),
    compactRevision: () => store.compactRevision(),
    range: (request) => store.range(request),
    put: refuse,
    deleteRange: refuse,
  };
}
