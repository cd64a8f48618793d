/**
 * The store's requests and responses as TypeScript values: etcd v3's messages after the codec and before it.
 *
 * Keys and values are bytes. Revisions, versions and counts are numbers asserted below 2^53. Lease ids are full int64
 * and stay bigint. Field meanings are etcd's (api/etcdserverpb/rpc.proto of etcd 3.6).
 */

import type { AuthChange, Caller } from './auth/contract.ts';

export type Bytes = Uint8Array;
/** As `rangeEnd`: the key alone. */
export const noBytes: Bytes = new Uint8Array(0);
/** int64; 0n = none. */
export type LeaseId = bigint;

export interface KeyValue {
  readonly key: Bytes;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly value: Bytes;
  readonly lease: LeaseId;
}

export type KvEvent =
  | { readonly type: 'put'; readonly kv: KeyValue; readonly prevKv?: KeyValue }
  /** `kv` holds key and modRevision only. */
  | { readonly type: 'delete'; readonly kv: KeyValue; readonly prevKv?: KeyValue };

export type SortTarget = 'key' | 'version' | 'create' | 'mod' | 'value';
export type SortOrder = 'none' | 'ascend' | 'descend';

/** `rangeEnd` empty = one key; the single byte 0 = all keys from `key` on; else the half-open interval. */
export interface RangeRequest {
  readonly key: Bytes;
  readonly rangeEnd: Bytes;
  /** 0 = no limit. */
  readonly limit: number;
  /** 0 = the head. */
  readonly revision: number;
  readonly sortOrder: SortOrder;
  readonly sortTarget: SortTarget;
  readonly serializable: boolean;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  /** 0 = no bound, for these four. */
  readonly minModRevision: number;
  readonly maxModRevision: number;
  readonly minCreateRevision: number;
  readonly maxCreateRevision: number;
}

/** A whole request from what is not as usual: usual is one key at the head, read by everyone's agreement. */
export function rangeRequest(given: Partial<RangeRequest> & { readonly key: Bytes }): RangeRequest {
  return {
    rangeEnd: noBytes,
    limit: 0,
    revision: 0,
    sortOrder: 'none',
    sortTarget: 'key',
    serializable: false,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
    ...given,
  };
}

export interface RangeResult {
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  readonly count: number;
}

export interface PutRequest {
  readonly key: Bytes;
  readonly value: Bytes;
  readonly lease: LeaseId;
  readonly prevKv: boolean;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
}

/** A whole request from what is not as usual: usual is no lease, and nothing to tell or to keep of what was there. */
export function putRequest(given: Partial<PutRequest> & Pick<PutRequest, 'key' | 'value'>): PutRequest {
  return { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false, ...given };
}

export interface DeleteRangeRequest {
  readonly key: Bytes;
  readonly rangeEnd: Bytes;
  readonly prevKv: boolean;
}

export type CompareResult = 'equal' | 'greater' | 'less' | 'notEqual';

export interface Compare {
  readonly key: Bytes;
  readonly rangeEnd: Bytes;
  readonly result: CompareResult;
  readonly target:
    | { readonly kind: 'version' | 'create' | 'mod'; readonly value: number }
    | { readonly kind: 'value'; readonly value: Bytes }
    | { readonly kind: 'lease'; readonly value: LeaseId };
}

export type RequestOp =
  | { readonly kind: 'range'; readonly request: RangeRequest }
  | { readonly kind: 'put'; readonly request: PutRequest }
  | { readonly kind: 'deleteRange'; readonly request: DeleteRangeRequest }
  | { readonly kind: 'txn'; readonly request: TxnRequest };

export interface TxnRequest {
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}

export type ResponseOp =
  | { readonly kind: 'range'; readonly response: RangeResult }
  | { readonly kind: 'put'; readonly response: { readonly prevKv?: KeyValue } }
  | {
      readonly kind: 'deleteRange';
      readonly response: { readonly deleted: number; readonly prevKvs: readonly KeyValue[] };
    }
  | { readonly kind: 'txn'; readonly response: TxnResult };

export interface TxnResult {
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOp[];
}

export interface Member {
  readonly id: number;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
  /** Votes and keeps a log, and no data; absent for everybody else. */
  readonly isWitness?: boolean;
  /** Public key of its data directory; absent until it has published itself. */
  readonly key?: string;
}

/**
 * What goes through Raft: one committed `normal` entry holds one of these, msgpackr-encoded. `requestId` is unique per
 * proposal (member id and a counter) and lets the proposer find its waiter; 0 = nobody waits.
 */
export interface InternalRequest {
  readonly requestId: number;
  /** In whose name; absent = nobody named, which is refused while auth is on. */
  readonly caller?: Caller;
  readonly op: InternalOp;
}

export type InternalOp =
  | { readonly kind: 'put'; readonly request: PutRequest }
  | { readonly kind: 'deleteRange'; readonly request: DeleteRangeRequest }
  | { readonly kind: 'txn'; readonly request: TxnRequest }
  | { readonly kind: 'compact'; readonly revision: number }
  | { readonly kind: 'leaseGrant'; readonly id: LeaseId; readonly ttlSeconds: number }
  | { readonly kind: 'leaseRevoke'; readonly id: LeaseId }
  /** Remaining seconds by lease, so that a TTL survives a change of leader. */
  | { readonly kind: 'leaseCheckpoint'; readonly remaining: readonly (readonly [LeaseId, number])[] }
  | {
      readonly kind: 'memberAttributes';
      readonly memberId: number;
      readonly name: string;
      readonly clientUrls: readonly string[];
      readonly key?: string;
    }
  | { readonly kind: 'clusterVersion'; readonly version: string }
  | {
      readonly kind: 'alarm';
      readonly action: 'activate' | 'deactivate';
      readonly memberId: number;
      readonly alarm: AlarmType;
    }
  | { readonly kind: 'auth'; readonly change: AuthChange }
  /**
   * Makes `tokenPrefix`, completed with the entry's index, a token of the user, whose password was checked at
   * `authRevision`: refused when users or roles have changed since.
   */
  | {
      readonly kind: 'authenticate';
      readonly user: string;
      readonly tokenPrefix: string;
      readonly authRevision: number;
    };

export type AlarmType = 'none' | 'noSpace' | 'corrupt';

/** What applying gives back. `revision` is the store's revision after the request. */
export type ApplyResult =
  | { readonly ok: true; readonly revision: number; readonly response: ApplyResponse }
  | { readonly ok: false; readonly revision: number; readonly error: KvErrorCode };

export type ApplyResponse =
  | ResponseOp
  | { readonly kind: 'compact' }
  | { readonly kind: 'leaseGrant'; readonly id: LeaseId; readonly ttlSeconds: number }
  | { readonly kind: 'leaseRevoke' }
  | { readonly kind: 'authenticate'; readonly token: string }
  | { readonly kind: 'none' };

/** Errors that etcd's clients know; src/kv/errors.ts maps each to its gRPC status and text. */
export type KvErrorCode =
  | 'emptyKey'
  | 'keyNotFound'
  | 'valueProvided'
  | 'leaseProvided'
  | 'tooManyOps'
  | 'duplicateKey'
  | 'invalidSortOption'
  | 'compacted'
  | 'futureRevision'
  | 'noSpace'
  | 'leaseNotFound'
  | 'leaseExists'
  | 'leaseTtlTooLarge'
  | 'requestTooLarge'
  | 'tooManyRequests'
  | 'noLeader'
  | 'notLeader'
  | 'leaderChanged'
  | 'timeout'
  | 'timeoutLeaderTransfer'
  | 'stopped'
  | 'unhealthy'
  | 'corrupt'
  | 'memberNotFound'
  | 'memberExists'
  | 'peerUrlExists'
  | 'memberIdRemoved'
  | 'tooManyLearners'
  | 'learnerNotReady'
  | 'memberNotLearner'
  | 'notEnoughStartedMembers'
  | 'badPeerUrls'
  | 'badLeaderTransferee'
  | 'notSupportedForLearner'
  | 'notSupportedForWitness'
  | 'tooManyWitnesses'
  | 'notCapable'
  | 'downgradeVersionFormat'
  | 'downgradeVersion'
  | 'downgradeNotPossible'
  | 'rootUserMissing'
  | 'rootRoleMissing'
  | 'userExists'
  | 'userEmpty'
  | 'userNotFound'
  | 'roleExists'
  | 'roleNotFound'
  | 'roleEmpty'
  | 'authFailed'
  | 'passwordNotWanted'
  | 'passwordTooLong'
  | 'tokenVerifyOnly'
  | 'permissionNotGiven'
  | 'permissionDenied'
  | 'roleNotGranted'
  | 'permissionNotGranted'
  | 'authNotEnabled'
  | 'invalidAuthToken'
  | 'invalidAuthManagement'
  | 'authOldRevision';

export interface WatchRequest {
  readonly key: Bytes;
  readonly rangeEnd: Bytes;
  /** 0 = from now on. */
  readonly startRevision: number;
  readonly prevKv: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
}
