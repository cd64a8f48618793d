/**
 * The backend rows beside the revisions: one letter, then what it is about. Revision rows begin with `r` (mvcc/revision.ts).
 *
 *     a            consistent index and head revision, in the batch of every applied entry
 *     c            compacted revision
 *     e            auth: whether it is on, its revision
 *     l + id       lease: time to live, remaining seconds          id: 8 bytes big-endian
 *     m + id       member                                          id: decimal digits
 *     n + kind id  alarm
 *     o + name     role
 *     u + name     user
 *     v            cluster version
 *     x + id       removed member
 *
 * Values are JSON: they are few and small, and a person can read them.
 */
import { assert, unreachable } from '../../env/assert.ts';
import type { AlarmType, LeaseId, Member } from '../api.ts';
import type { AuthSwitch, Role, User } from '../auth/contract.ts';
import { type AuthContent, type AuthRow, initialSwitch } from '../auth/table.ts';
import type { BackendWrite } from '../backend/contract.ts';
import { revisionRowsFrom } from '../mvcc/revision.ts';

export interface Applied {
  readonly index: number;
  readonly revision: number;
}

export interface Alarm {
  readonly memberId: number;
  readonly alarm: AlarmType;
}

/** First and one-past-last key of everything that the store keeps in the backend. */
export const allRowsFrom: Uint8Array = Uint8Array.of(0);
export const allRowsTo: Uint8Array = Uint8Array.of(0xff);

export const appliedKey: Uint8Array = bytesOf('a');

export function appliedRow(applied: Applied): BackendWrite {
  return put('a', applied);
}

export function compactRow(revision: number): BackendWrite {
  return put('c', revision);
}

export function leaseRow(lease: {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  readonly remainingSeconds: number;
}): BackendWrite {
  return {
    type: 'put',
    key: leaseKey(lease.id),
    value: bytesOf(JSON.stringify([lease.ttlSeconds, lease.remainingSeconds])),
  };
}

export function leaseGone(id: LeaseId): BackendWrite {
  return { type: 'delete', key: leaseKey(id) };
}

export function memberRow(member: Member): BackendWrite {
  return put(`m${member.id}`, member);
}

export function memberGone(id: number): BackendWrite {
  return { type: 'delete', key: bytesOf(`m${id}`) };
}

export function removedMemberRow(id: number): BackendWrite {
  return put(`x${id}`, id);
}

export function alarmRow(alarm: Alarm): BackendWrite {
  return put(`n${alarm.alarm} ${alarm.memberId}`, alarm);
}

export function alarmGone(alarm: Alarm): BackendWrite {
  return { type: 'delete', key: bytesOf(`n${alarm.alarm} ${alarm.memberId}`) };
}

export function clusterVersionRow(version: string): BackendWrite {
  return put('v', version);
}

export function authRow(row: AuthRow): BackendWrite {
  switch (row.kind) {
    case 'switch':
      return put('e', row.value);
    case 'user':
      return put(`u${row.value.name}`, row.value);
    case 'role':
      return put(`o${row.value.name}`, row.value);
    case 'userGone':
      return { type: 'delete', key: bytesOf(`u${row.name}`) };
    case 'roleGone':
      return { type: 'delete', key: bytesOf(`o${row.name}`) };
    default:
      return unreachable(row);
  }
}

/** What the rows of a backend say beside the revisions. */
export interface StoredState {
  readonly applied: Applied | undefined;
  readonly compactRevision: number;
  /** Compacted to revision 0 counts, too. */
  readonly wasCompacted: boolean;
  readonly leases: readonly { readonly id: LeaseId; readonly ttlSeconds: number; readonly remainingSeconds: number }[];
  readonly members: readonly Member[];
  readonly removedMembers: readonly number[];
  readonly alarms: readonly Alarm[];
  readonly clusterVersion: string;
  readonly auth: AuthContent;
}

/** Whether a row is a revision, which RowReader does not take. */
export function isRevisionRow(key: Uint8Array): boolean {
  return key[0] === revisionRowsFrom[0];
}

/** Gathers what all the other rows say. `a` and `c` come before the revisions in the order of keys. */
export class RowReader {
  #applied: Applied | undefined;
  #compactRevision: number | undefined;
  readonly #leases: { id: LeaseId; ttlSeconds: number; remainingSeconds: number }[] = [];
  readonly #members: Member[] = [];
  readonly #removedMembers: number[] = [];
  readonly #alarms: Alarm[] = [];
  #clusterVersion = '';
  #authSwitch: AuthSwitch = initialSwitch;
  readonly #users: User[] = [];
  readonly #roles: Role[] = [];

  add(key: Uint8Array, value: Uint8Array): void {
    const letter = String.fromCharCode(key[0] ?? 0);
    switch (letter) {
      case 'a':
        this.#applied = parseApplied(value);
        return;
      case 'c':
        this.#compactRevision = parse(value) as number;
        return;
      case 'e':
        this.#authSwitch = parse(value) as AuthSwitch;
        return;
      case 'l': {
        const [ttlSeconds, remainingSeconds] = parse(value) as [number, number];
        this.#leases.push({ id: leaseIdOf(key), ttlSeconds, remainingSeconds });
        return;
      }
      case 'm':
        this.#members.push(parse(value) as Member);
        return;
      case 'n':
        this.#alarms.push(parse(value) as Alarm);
        return;
      case 'o':
        this.#roles.push(parse(value) as Role);
        return;
      case 'u':
        this.#users.push(parse(value) as User);
        return;
      case 'v':
        this.#clusterVersion = parse(value) as string;
        return;
      case 'x':
        this.#removedMembers.push(parse(value) as number);
        return;
      default:
        assert(false, `no backend row begins with ${JSON.stringify(letter)}`);
    }
  }

  state(): StoredState {
    return {
      applied: this.#applied,
      compactRevision: this.#compactRevision ?? 0,
      wasCompacted: this.#compactRevision !== undefined,
      leases: this.#leases,
      members: this.#members,
      removedMembers: this.#removedMembers,
      alarms: this.#alarms,
      clusterVersion: this.#clusterVersion,
      auth: { switch: this.#authSwitch, users: this.#users, roles: this.#roles },
    };
  }
}

/** What the applied row says. */
export function parseApplied(value: Uint8Array): Applied {
  const { index, revision } = parse(value) as Partial<Applied>;
  assert(
    Number.isSafeInteger(index) && Number.isSafeInteger(revision),
    'the applied row holds an index and a revision',
  );
  return { index: index as number, revision: revision as number };
}

function put(key: string, value: unknown): BackendWrite {
  return { type: 'put', key: bytesOf(key), value: bytesOf(JSON.stringify(value)) };
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'utf8');
}

function parse(value: Uint8Array): unknown {
  return JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8'));
}

function leaseKey(id: LeaseId): Uint8Array {
  const key = Buffer.alloc(9);
  key[0] = 'l'.charCodeAt(0);
  key.writeBigInt64BE(id, 1);
  return key;
}

function leaseIdOf(key: Uint8Array): LeaseId {
  assert(key.length === 9, () => `a lease row key has 9 bytes, not ${key.length}`);
  return new DataView(key.buffer, key.byteOffset, key.byteLength).getBigInt64(1);
}
