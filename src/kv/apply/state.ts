/**
 * KvState: what committed entries make of the store. Owns the multi-version store, the leases, the members, the alarms and
 * the cluster version, and keeps all of them in the backend, each entry's effect and its index in one batch.
 *
 * Synchronous and deterministic: the same requests in the same order give the same state, answers and hash on every
 * member; how far cleaning and syncing have got is the only thing that may differ.
 */
import { assert, unreachable } from '../../env/assert.ts';
import type {
  ApplyResponse,
  ApplyResult,
  InternalOp,
  InternalRequest,
  KeyValue,
  KvErrorCode,
  Member,
  PutRequest,
  RangeRequest,
  RangeResult,
  TxnRequest,
  WatchRequest,
} from '../api.ts';
import { toBytes, toText } from '../backend/bytes.ts';
import type { Backend, BackendWrite } from '../backend/contract.ts';
import { Leases } from '../lease/table.ts';
import type { MvccStore, Watcher, WatchSink, WriteTxn } from '../mvcc/contract.ts';
import { Store } from '../mvcc/store.ts';
import type { KvState, LeaseTable } from './contract.ts';
import type { Alarm, StoredState } from './meta-rows.ts';
import {
  alarmGone,
  alarmRow,
  allRowsFrom,
  allRowsTo,
  appliedKey,
  appliedRow,
  clusterVersionRow,
  compactRow,
  isRevisionRow,
  leaseGone,
  leaseRow,
  memberGone,
  memberRow,
  removedMemberRow,
  RowReader,
} from './meta-rows.ts';
import { decodeSnapshot, encodeSnapshot } from './snapshot-stream.ts';
import type { TxnChecks, TxnTarget } from './txn.ts';
import { checkPut, checkTxn, chooseTxn, hasPut, isReadOnlyTxn, runPut, runTxn } from './txn.ts';
import { validateOp } from './validate.ts';

export interface KvStateOptions {
  /** The caller opens it and closes it. */
  readonly backend: Backend;
  /** Entries between two syncs that begin by themselves. */
  readonly syncEntries?: number;
}

/** Often enough that the log's durable tail stays short, seldom enough that a sync is shared by many entries. */
const syncEntriesDefault = 1000;
/** Rows of a restored snapshot in one batch. */
const restoreBatchRows = 1000;

type Outcome = ApplyResponse | KvErrorCode;

const noBytes = new Uint8Array(0);

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
  readonly #leases = new Leases();
  readonly #members = new Map<number, Member>();
  readonly #removedMembers = new Set<number>();
  #alarms: readonly Alarm[] = [];
  #clusterVersion = '';
  /** Invariant: #durableIndex <= #syncingIndex <= #index. */
  #index = 0;
  #durableIndex = 0;
  #syncingIndex = 0;
  /** Rows of the entry being applied that are not revisions. */
  #rows: BackendWrite[] = [];
  #isFlushed = true;
  #isRestoring = false;
  #restores = 0;

  constructor(options: KvStateOptions) {
    this.#backend = options.backend;
    this.#syncEntries = options.syncEntries ?? syncEntriesDefault;
    assert(this.#syncEntries > 0, 'syncs are some entries apart');
    this.#store = new Store({ backend: options.backend, commit: (rows) => this.#flush(rows) });
  }

  /** Marks the backend as in use: from now on it holds the state of index 0. */
  begin(): void {
    this.#backend.write([appliedRow({ index: 0, revision: this.#store.revision() })]);
  }

  apply(index: number, request: InternalRequest): ApplyResult {
    this.#startEntry(index);
    const outcome = this.#refusal(request.op) ?? this.#carryOut(request.op);
    this.#finishEntry();
    const revision = this.#store.revision();
    if (typeof outcome === 'string') return { ok: false, revision, error: outcome };
    return { ok: true, revision, response: outcome };
  }

  skip(index: number): void {
    this.#startEntry(index);
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
    const problem = checkTxn(this.#checks(), chosen);
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
    return this.#leases;
  }

  members(): ReadonlyMap<number, Member> {
    return this.#members;
  }

  removedMembers(): ReadonlySet<number> {
    return this.#removedMembers;
  }

  setMember(member: Member): void {
    assert(!this.#isRestoring, 'members do not change while the state is replaced');
    this.#members.set(member.id, member);
    this.#backend.write([memberRow(member)]);
  }

  removeMember(id: number): void {
    assert(!this.#isRestoring, 'members do not change while the state is replaced');
    this.#members.delete(id);
    this.#removedMembers.add(id);
    this.#backend.write([memberGone(id), removedMemberRow(id)]);
  }

  alarms(): readonly Alarm[] {
    return this.#alarms;
  }

  clusterVersion(): string {
    return this.#clusterVersion;
  }

  hashKv(revision: number): ReturnType<MvccStore['hashKv']> {
    return this.#store.hashKv(revision);
  }

  stats(): ReturnType<MvccStore['stats']> {
    return this.#store.stats();
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
    await this.#backend.sync();
    // What was synced may have been replaced meanwhile; and a later sync may have finished first.
    if (restores !== this.#restores) return;
    this.#durableIndex = Math.max(this.#durableIndex, index);
  }

  async defragment(): Promise<void> {
    await this.#backend.compactRange(allRowsFrom, allRowsTo);
  }

  snapshot(): AsyncIterable<Uint8Array> {
    assert(!this.#isRestoring, 'a snapshot is not taken while the state is replaced');
    // The scan is as of this call, and everything that makes up the state is a row.
    return encodeSnapshot(this.#backend.scan(allRowsFrom, allRowsTo));
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
    this.#leases.clear();
    for (const lease of stored.leases) this.#leases.grant(lease.id, lease.ttlSeconds, lease.remainingSeconds);
    for (const kv of this.#store.heads()) if (kv.lease !== 0n) this.#leases.attach(kv.lease, toText(kv.key));
    this.#members.clear();
    for (const member of stored.members) this.#members.set(member.id, member);
    this.#removedMembers.clear();
    for (const id of stored.removedMembers) this.#removedMembers.add(id);
    this.#alarms = stored.alarms;
    this.#clusterVersion = stored.clusterVersion;
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
    this.#rows = [];
    this.#isFlushed = false;
  }

  #finishEntry(): void {
    if (!this.#isFlushed) this.#flush([]);
    if (this.#index - this.#syncingIndex >= this.#syncEntries) this.#syncInBackground();
  }

  /** One batch: the entry's revisions, what else it changed, and the index. */
  #flush(revisionRows: readonly BackendWrite[]): void {
    assert(!this.#isFlushed, 'an entry is handed to the backend once');
    this.#isFlushed = true;
    const applied = appliedRow({ index: this.#index, revision: this.#store.revision() });
    this.#backend.write([...revisionRows, ...this.#rows, applied]);
    this.#rows = [];
  }

  #syncInBackground(): void {
    if (this.#syncingIndex > this.#durableIndex) return;
    this.sync().catch(() => {
      // The backend has told its owner, who stops the process, and throws the same failure at the next write.
    });
  }

  /** What keeps a request from being looked at: its form, and the alarms that are on. */
  #refusal(op: InternalOp): KvErrorCode | undefined {
    const isOn = (alarm: Alarm['alarm']) => this.#alarms.some((active) => active.alarm === alarm);
    switch (op.kind) {
      case 'put':
      case 'leaseGrant':
        if (isOn('corrupt')) return 'corrupt';
        if (isOn('noSpace')) return 'noSpace';
        break;
      case 'txn':
        if (isOn('corrupt')) return 'corrupt';
        if (isOn('noSpace') && hasPut(op.request)) return 'noSpace';
        break;
      case 'deleteRange':
      case 'compact':
      case 'leaseRevoke':
        if (isOn('corrupt')) return 'corrupt';
        break;
      default:
        break;
    }
    // The limit of operations is the proposer's; members may be configured differently, so it is none here.
    return validateOp(op, Number.POSITIVE_INFINITY);
  }

  #carryOut(op: InternalOp): Outcome {
    switch (op.kind) {
      case 'put':
        return this.#put(op.request);
      case 'deleteRange':
        return this.#write((target) => runTxn(target, { succeeded: true, ops: [op] })).responses[0] as ApplyResponse;
      case 'txn':
        return this.#txn(op.request);
      case 'compact':
        return this.#compact(op.revision);
      case 'leaseGrant':
        return this.#leaseGrant(op.id, op.ttlSeconds);
      case 'leaseRevoke':
        return this.#leaseRevoke(op.id);
      case 'leaseCheckpoint':
        return this.#leaseCheckpoint(op.remaining);
      case 'memberAttributes':
        return this.#memberAttributes(op);
      case 'clusterVersion':
        this.#clusterVersion = op.version;
        this.#rows.push(clusterVersionRow(op.version));
        return { kind: 'none' };
      case 'alarm':
        return this.#alarm(op);
      default:
        return unreachable(op);
    }
  }

  #put(request: PutRequest): Outcome {
    const error = checkPut(this.#checks(), request);
    return error ?? this.#write((target) => runPut(target, request));
  }

  #txn(request: TxnRequest): Outcome {
    const chosen = chooseTxn(this.#store, request);
    const error = checkTxn(this.#checks(), chosen);
    if (error !== undefined) return error;
    return { kind: 'txn', response: this.#write((target) => runTxn(target, chosen)) };
  }

  #compact(revision: number): Outcome {
    const error = this.#store.compact(revision);
    if (error !== undefined) return error;
    this.#rows.push(compactRow(revision));
    return { kind: 'compact' };
  }

  #leaseGrant(id: bigint, ttlSeconds: number): Outcome {
    const error = this.#leases.checkGrant(id, ttlSeconds);
    if (error !== undefined) return error;
    this.#leases.grant(id, ttlSeconds);
    this.#rows.push(leaseRow({ id, ttlSeconds, remainingSeconds: 0 }));
    return { kind: 'leaseGrant', id, ttlSeconds };
  }

  #leaseRevoke(id: bigint): Outcome {
    if (!this.#leases.has(id)) return 'leaseNotFound';
    this.#rows.push(leaseGone(id));
    const keys = this.#leases.keysOf(id);
    this.#write((target) => {
      for (const key of keys) {
        const deleted = target.deleteRange(toBytes(key), noBytes);
        assert(deleted.length === 1, 'a key attached to a lease is alive');
      }
    });
    this.#leases.remove(id);
    return { kind: 'leaseRevoke' };
  }

  #leaseCheckpoint(remaining: readonly (readonly [bigint, number])[]): Outcome {
    for (const [id, seconds] of remaining) {
      // A lease that was revoked between proposal and apply has nothing left to take down.
      if (!this.#leases.checkpoint(id, seconds)) continue;
      const lease = this.#leases.get(id);
      assert(lease !== undefined, 'a checkpointed lease exists');
      this.#rows.push(leaseRow(lease));
    }
    return { kind: 'none' };
  }

  #memberAttributes(op: Extract<InternalOp, { kind: 'memberAttributes' }>): Outcome {
    const known = this.#members.get(op.memberId);
    if (known === undefined) return 'memberNotFound';
    const member: Member = { ...known, name: op.name, clientUrls: op.clientUrls };
    this.#members.set(member.id, member);
    this.#rows.push(memberRow(member));
    return { kind: 'none' };
  }

  #alarm(op: Extract<InternalOp, { kind: 'alarm' }>): Outcome {
    const alarm: Alarm = { memberId: op.memberId, alarm: op.alarm };
    if (alarm.alarm === 'none') return { kind: 'none' };
    const others = this.#alarms.filter((known) => known.memberId !== alarm.memberId || known.alarm !== alarm.alarm);
    this.#alarms = op.action === 'activate' ? [...others, alarm] : others;
    this.#rows.push(op.action === 'activate' ? alarmRow(alarm) : alarmGone(alarm));
    return { kind: 'none' };
  }

  /** Runs `run` as one transaction of the store. It must not fail halfway: everything was checked before. */
  #write<T>(run: (target: TxnTarget) => T): T {
    const txn = this.#store.begin();
    const result = run(this.#target(txn));
    txn.end();
    return result;
  }

  #target(txn: WriteTxn): TxnTarget {
    return {
      revision: () => txn.revision(),
      compactRevision: () => txn.compactRevision(),
      range: (request) => txn.range(request),
      put: (request) => this.#putKey(txn, request),
      deleteRange: (key, rangeEnd) => {
        const deleted = txn.deleteRange(key, rangeEnd);
        for (const kv of deleted) if (kv.lease !== 0n) this.#leases.detach(kv.lease, toText(kv.key));
        return deleted;
      },
    };
  }

  #putKey(txn: WriteTxn, request: PutRequest): KeyValue | undefined {
    const current = request.ignoreValue || request.ignoreLease ? this.#store.head(request.key) : undefined;
    assert(
      current !== undefined || !(request.ignoreValue || request.ignoreLease),
      'a put that keeps a part was checked',
    );
    const value = request.ignoreValue && current !== undefined ? current.value : request.value;
    const lease = request.ignoreLease && current !== undefined ? current.lease : request.lease;
    const { previous } = txn.put(request.key, value, lease);
    const key = toText(request.key);
    if (previous !== undefined && previous.lease !== 0n) this.#leases.detach(previous.lease, key);
    if (lease !== 0n) this.#leases.attach(lease, key);
    return previous;
  }

  #checks(): TxnChecks {
    return {
      revision: () => this.#store.revision(),
      compactRevision: () => this.#store.compactRevision(),
      range: (request) => this.#store.range(request),
      isLive: (key) => this.#store.head(key) !== undefined,
      hasLease: (id) => this.#leases.has(id),
    };
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
