/**
 * Carries out one request on the tables of the state: the multi-version store, leases, members, alarms, cluster version.
 * It writes revisions through the store; the rows of everything else gather in `rows` for the entry's batch.
 */
import { assert, unreachable } from '../../env/assert.ts';
import type {
  ApplyResponse,
  InternalOp,
  InternalRequest,
  KeyValue,
  KvErrorCode,
  Member,
  PutRequest,
  TxnRequest,
} from '../api.ts';
import { noBytes } from '../api.ts';
import type { AuthChange } from '../auth/contract.ts';
import { Guard } from '../auth/guard.ts';
import { AuthTable } from '../auth/table.ts';
import { toBytes, toText } from '../backend/bytes.ts';
import type { BackendWrite } from '../backend/contract.ts';
import { Leases } from '../lease/table.ts';
import type { WriteTxn } from '../mvcc/contract.ts';
import type { Store } from '../mvcc/store.ts';
import type { MemberTableChange } from './contract.ts';
import type { Alarm, StoredState } from './meta-rows.ts';
import {
  alarmGone,
  alarmRow,
  authRow,
  clusterVersionRow,
  compactRow,
  leaseGone,
  leaseRow,
  memberGone,
  memberRow,
  removedMemberRow,
} from './meta-rows.ts';
import type { TxnChecks, TxnTarget } from './txn.ts';
import { checkPut, checkTxn, chooseTxn, hasPut, runPut, runTxn } from './txn.ts';
import { validateOp } from './validate.ts';

export type Outcome = ApplyResponse | KvErrorCode;

export class Executor {
  readonly leases = new Leases();
  readonly members = new Map<number, Member>();
  readonly removedMembers = new Set<number>();
  alarms: readonly Alarm[] = [];
  clusterVersion = '';
  readonly auth = new AuthTable();
  readonly guard: Guard = new Guard(this.auth, this.leases);
  /** Rows of the entry being applied that are not revisions. */
  rows: BackendWrite[] = [];
  readonly #store: Store;
  #checks: TxnChecks | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Takes over what a backend or a snapshot says; the store has its content already. */
  adopt(stored: StoredState): void {
    this.leases.clear();
    for (const lease of stored.leases) this.leases.grant(lease.id, lease.ttlSeconds, lease.remainingSeconds);
    for (const [lease, key] of this.#store.leased()) this.leases.attach(lease, key);
    this.members.clear();
    for (const member of stored.members) this.members.set(member.id, member);
    this.removedMembers.clear();
    for (const id of stored.removedMembers) this.removedMembers.add(id);
    this.alarms = stored.alarms;
    this.clusterVersion = stored.clusterVersion;
    this.auth.adopt(stored.auth);
  }

  /** What keeps a request from being looked at: the alarms that are on, who asks, and its form. */
  refusal({ op, caller }: InternalRequest): KvErrorCode | undefined {
    const isOn = (alarm: Alarm['alarm']) => this.alarms.some((active) => active.alarm === alarm);
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
    const error = this.guard.refusal(caller, op);
    if (error !== undefined) return error;
    // The limit of operations is the proposer's; members may be configured differently, so it is none here.
    return validateOp(op, Number.POSITIVE_INFINITY);
  }

  carryOut(op: InternalOp, index: number): Outcome {
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
        this.clusterVersion = op.version;
        this.rows.push(clusterVersionRow(op.version));
        return { kind: 'none' };
      case 'alarm':
        return this.#alarm(op);
      case 'auth':
        return this.#auth(op.change);
      case 'authenticate':
        return this.#authenticate(op, index);
      default:
        return unreachable(op);
    }
  }

  #put(request: PutRequest): Outcome {
    // etcd asks for the lease of a put before it looks at the key, but the other way round inside a transaction.
    if (request.lease !== 0n && !this.leases.has(request.lease)) return 'leaseNotFound';
    const error = checkPut(this.checks(), request);
    return error ?? this.#write((target) => runPut(target, request));
  }

  #txn(request: TxnRequest): Outcome {
    const chosen = chooseTxn(this.#store, request);
    const error = checkTxn(this.checks(), chosen);
    if (error !== undefined) return error;
    return { kind: 'txn', response: this.#write((target) => runTxn(target, chosen)) };
  }

  #compact(revision: number): Outcome {
    const error = this.#store.compact(revision);
    if (error !== undefined) return error;
    this.rows.push(compactRow(revision));
    return { kind: 'compact' };
  }

  #leaseGrant(id: bigint, ttlSeconds: number): Outcome {
    const error = this.leases.checkGrant(id, ttlSeconds);
    if (error !== undefined) return error;
    this.leases.grant(id, ttlSeconds);
    this.rows.push(leaseRow({ id, ttlSeconds, remainingSeconds: 0 }));
    return { kind: 'leaseGrant', id, ttlSeconds };
  }

  #leaseRevoke(id: bigint): Outcome {
    if (!this.leases.has(id)) return 'leaseNotFound';
    this.rows.push(leaseGone(id));
    const keys = this.leases.keysOf(id);
    this.#write((target) => {
      for (const key of keys) {
        const deleted = target.deleteRange(toBytes(key), noBytes);
        assert(deleted.length === 1, 'a key attached to a lease is alive');
      }
    });
    this.leases.remove(id);
    return { kind: 'leaseRevoke' };
  }

  #leaseCheckpoint(remaining: readonly (readonly [bigint, number])[]): Outcome {
    for (const [id, seconds] of remaining) {
      // A lease that was revoked between proposal and apply has nothing left to take down.
      if (!this.leases.checkpoint(id, seconds)) continue;
      const lease = this.leases.get(id);
      assert(lease !== undefined, 'a checkpointed lease exists');
      this.rows.push(leaseRow(lease));
    }
    return { kind: 'none' };
  }

  #memberAttributes(op: Extract<InternalOp, { kind: 'memberAttributes' }>): Outcome {
    const known = this.members.get(op.memberId);
    if (known === undefined) return 'memberNotFound';
    // A key is told once: another one under the same id is another data directory.
    if (op.key !== undefined && known.key !== undefined && known.key !== op.key) return 'memberExists';
    const key = known.key ?? op.key;
    const member: Member = {
      ...known,
      name: op.name,
      clientUrls: op.clientUrls,
      ...(key === undefined ? {} : { key }),
    };
    this.members.set(member.id, member);
    this.rows.push(memberRow(member));
    return { kind: 'none' };
  }

  changeMember(change: MemberTableChange): void {
    if (change.kind === 'set') {
      this.members.set(change.member.id, change.member);
      this.rows.push(memberRow(change.member));
      return;
    }
    this.members.delete(change.id);
    this.removedMembers.add(change.id);
    this.rows.push(memberGone(change.id), removedMemberRow(change.id));
  }

  #alarm(op: Extract<InternalOp, { kind: 'alarm' }>): Outcome {
    const alarm: Alarm = { memberId: op.memberId, alarm: op.alarm };
    if (alarm.alarm === 'none') return { kind: 'none' };
    const others = this.alarms.filter((known) => known.memberId !== alarm.memberId || known.alarm !== alarm.alarm);
    this.alarms = op.action === 'activate' ? [...others, alarm] : others;
    this.rows.push(op.action === 'activate' ? alarmRow(alarm) : alarmGone(alarm));
    return { kind: 'none' };
  }

  #auth(change: AuthChange): Outcome {
    return this.auth.apply(change, (row) => this.rows.push(authRow(row))) ?? { kind: 'none' };
  }

  /**
   * The password was checked by the member that was asked, which takes its time: what it was checked against must still
   * be so. The token says at which index it came to be, so that a member which has not come so far knows that it lags.
   */
  #authenticate(op: Extract<InternalOp, { kind: 'authenticate' }>, index: number): Outcome {
    if (!this.auth.isEnabled()) return 'authNotEnabled';
    if (op.authRevision !== this.auth.revision()) return 'authOldRevision';
    const user = this.auth.user(op.user);
    if (user === undefined || user.hasNoPassword) return 'authFailed';
    return { kind: 'authenticate', token: `${op.tokenPrefix}.${index}` };
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
        for (const kv of deleted) if (kv.lease !== 0n) this.leases.detach(kv.lease, toText(kv.key));
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
    const replaced = txn.put(request.key, value, lease);
    const previousLease = replaced.previousLease();
    if (previousLease !== 0n) this.leases.detach(previousLease, toText(request.key));
    if (lease !== 0n) this.leases.attach(lease, toText(request.key));
    return request.prevKv ? replaced.previous() : undefined;
  }

  /** What checks ask; one object for all, as it is asked for with every write. */
  checks(): TxnChecks {
    this.#checks ??= {
      revision: () => this.#store.revision(),
      compactRevision: () => this.#store.compactRevision(),
      range: (request) => this.#store.range(request),
      isLive: (key) => this.#store.isLive(key),
      hasLease: (id) => this.leases.has(id),
    };
    return this.#checks;
  }
}
