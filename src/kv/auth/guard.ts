/**
 * What a request needs permission for, in full: not only the keys that it names, but what its answer shows of them and
 * what hangs on a lease. One place for all requests, used when an entry is applied and when a read is answered, so that
 * no way in has rules of its own.
 *
 *     range, compare          read
 *     put                     write; read too when the answer shows the previous value
 *     delete                  write; read too when the answer shows what was deleted
 *     lease of a put, revoke  write for every key that the lease holds: it would delete them
 *     transaction             both branches and every nested one, whichever way the comparisons go
 */
import { unreachable } from '../../env/assert.ts';
import type { Bytes, DeleteRangeRequest, InternalOp, KvErrorCode, LeaseId, PutRequest, RangeRequest } from '../api.ts';
import { type RequestOp, type TxnRequest, noBytes } from '../api.ts';
import { toText } from '../backend/bytes.ts';
import type { LeaseTable } from '../lease/contract.ts';
import type { Caller } from './contract.ts';
import type { AuthTable } from './table.ts';

type Access = 'read' | 'write';

export class Guard {
  readonly #table: AuthTable;
  readonly #leases: Pick<LeaseTable, 'get' | 'all'>;

  constructor(table: AuthTable, leases: Pick<LeaseTable, 'get' | 'all'>) {
    this.#table = table;
    this.#leases = leases;
  }

  /** Why `caller` may not have `op` carried out; undefined when it may. */
  refusal(
    caller: Caller | undefined,
    op: InternalOp | { readonly kind: 'range'; readonly request: RangeRequest },
  ): KvErrorCode | undefined {
    if (!this.#table.isEnabled() || caller === 'member') return undefined;
    switch (op.kind) {
      case 'range':
        return this.#keys(caller, 'read', op.request);
      case 'put':
        return this.#put(caller, op.request);
      case 'deleteRange':
        return this.#deleteRange(caller, op.request);
      case 'txn':
        return this.#txn(caller, op.request);
      case 'leaseGrant':
        return caller === undefined ? 'userEmpty' : undefined;
      case 'leaseRevoke':
        return caller === undefined ? 'userEmpty' : this.leaseRefusal(caller, 'write', op.id);
      case 'compact':
      case 'alarm':
      case 'auth':
        return this.#table.adminRefusal(caller);
      // Of the store's own making, whoever asked: a password was checked before, a member says who it is.
      case 'authenticate':
      case 'leaseCheckpoint':
      case 'memberAttributes':
      case 'clusterVersion':
        return undefined;
      default:
        return unreachable(op);
    }
  }

  watchRefusal(caller: Caller | undefined, keys: Keys): KvErrorCode | undefined {
    return this.#keys(caller, 'read', keys);
  }

  /** For what acts on, or tells, every key that a lease holds. */
  leaseRefusal(caller: Caller | undefined, access: Access, id: LeaseId): KvErrorCode | undefined {
    if (this.#table.adminRefusal(caller) === undefined) return undefined;
    for (const key of this.#leases.get(id)?.keys ?? []) {
      const error = this.#table.keysRefusal(caller, access, key, '');
      if (error !== undefined) return error;
    }
    return undefined;
  }

  /** For the list of all leases. */
  leasesRefusal(caller: Caller | undefined): KvErrorCode | undefined {
    if (this.#table.adminRefusal(caller) === undefined) return undefined;
    if (caller === undefined) return 'userEmpty';
    for (const lease of this.#leases.all()) {
      const error = this.leaseRefusal(caller, 'read', lease.id);
      if (error !== undefined) return error;
    }
    return undefined;
  }

  #put(caller: Caller | undefined, put: PutRequest): KvErrorCode | undefined {
    const key = { key: put.key, rangeEnd: noBytes };
    return (
      this.#keys(caller, 'write', key) ??
      (put.lease === 0n ? undefined : this.leaseRefusal(caller, 'write', put.lease)) ??
      (put.prevKv ? this.#keys(caller, 'read', key) : undefined)
    );
  }

  #deleteRange(caller: Caller | undefined, request: DeleteRangeRequest): KvErrorCode | undefined {
    return this.#keys(caller, 'write', request) ?? (request.prevKv ? this.#keys(caller, 'read', request) : undefined);
  }

  #txn(caller: Caller | undefined, txn: TxnRequest): KvErrorCode | undefined {
    for (const compare of txn.compare) {
      const error = this.#keys(caller, 'read', compare);
      if (error !== undefined) return error;
    }
    for (const op of [...txn.success, ...txn.failure]) {
      const error = this.#txnOp(caller, op);
      if (error !== undefined) return error;
    }
    return undefined;
  }

  #txnOp(caller: Caller | undefined, op: RequestOp): KvErrorCode | undefined {
    return op.kind === 'txn' ? this.#txn(caller, op.request) : this.refusal(caller, op);
  }

  #keys(caller: Caller | undefined, access: Access, { key, rangeEnd }: Keys): KvErrorCode | undefined {
    return this.#table.keysRefusal(caller, access, toText(key), toText(rangeEnd));
  }
}

export interface Keys {
  readonly key: Bytes;
  readonly rangeEnd: Bytes;
}
