/**
 * The etcd v3 messages that both ends of the store use, as protobufjs hands them over.
 *
 * A message decoded from the wire has every scalar (64-bit as Long) and null for an absent message. A message to be
 * encoded may leave out what is default. Names are the proto's in camelCase.
 */
import type { Int64Like } from '../../proto/int64.ts';
import type { Bytes } from '../api.ts';

/** `T` on its way out: any field may be absent. */
export type Out<T> = { readonly [K in keyof T]?: T[K] | undefined };

export interface WireHeader {
  readonly clusterId: Int64Like;
  readonly memberId: Int64Like;
  readonly revision: Int64Like;
  readonly raftTerm: Int64Like;
}

export interface WireKeyValue {
  readonly key: Bytes;
  readonly createRevision: Int64Like;
  readonly modRevision: Int64Like;
  readonly version: Int64Like;
  readonly value: Bytes;
  readonly lease: Int64Like;
}

export interface WireEvent {
  /** 0 = put, 1 = delete. */
  readonly type: number;
  readonly kv: Out<WireKeyValue> | null;
  readonly prevKv: Out<WireKeyValue> | null;
}

export interface WireRangeRequest {
  readonly key: Bytes;
  readonly rangeEnd: Bytes;
  readonly limit: Int64Like;
  readonly revision: Int64Like;
  readonly sortOrder: number;
  readonly sortTarget: number;
  readonly serializable: boolean;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  readonly minModRevision: Int64Like;
  readonly maxModRevision: Int64Like;
  readonly minCreateRevision: Int64Like;
  readonly maxCreateRevision: Int64Like;
}

export interface WireRangeResponse {
  readonly header: Out<WireHeader> | null;
  readonly kvs: readonly Out<WireKeyValue>[];
  readonly more: boolean;
  readonly count: Int64Like;
}

export interface WirePutRequest {
  readonly key: Bytes;
  readonly value: Bytes;
  readonly lease: Int64Like;
  readonly prevKv: boolean;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
}

export interface WirePutResponse {
  readonly header: Out<WireHeader> | null;
  readonly prevKv: Out<WireKeyValue> | null;
}

export interface WireDeleteRangeRequest {
  readonly key: Bytes;
  readonly rangeEnd: Bytes;
  readonly prevKv: boolean;
}

export interface WireDeleteRangeResponse {
  readonly header: Out<WireHeader> | null;
  readonly deleted: Int64Like;
  readonly prevKvs: readonly Out<WireKeyValue>[];
}

export interface WireCompare {
  readonly result: number;
  readonly target: number;
  readonly key: Bytes;
  readonly version: Int64Like;
  readonly createRevision: Int64Like;
  readonly modRevision: Int64Like;
  readonly value: Bytes;
  readonly lease: Int64Like;
  readonly rangeEnd: Bytes;
}

export interface WireRequestOp {
  readonly requestRange: Out<WireRangeRequest> | null;
  readonly requestPut: Out<WirePutRequest> | null;
  readonly requestDeleteRange: Out<WireDeleteRangeRequest> | null;
  readonly requestTxn: Out<WireTxnRequest> | null;
}

export interface WireTxnRequest {
  readonly compare: readonly Out<WireCompare>[];
  readonly success: readonly Out<WireRequestOp>[];
  readonly failure: readonly Out<WireRequestOp>[];
}

export interface WireResponseOp {
  readonly responseRange: Out<WireRangeResponse> | null;
  readonly responsePut: Out<WirePutResponse> | null;
  readonly responseDeleteRange: Out<WireDeleteRangeResponse> | null;
  readonly responseTxn: Out<WireTxnResponse> | null;
}

export interface WireTxnResponse {
  readonly header: Out<WireHeader> | null;
  readonly succeeded: boolean;
  readonly responses: readonly Out<WireResponseOp>[];
}

export interface WireWatchCreateRequest {
  readonly key: Bytes;
  readonly rangeEnd: Bytes;
  readonly startRevision: Int64Like;
  readonly progressNotify: boolean;
  /** 0 = no puts, 1 = no deletes. */
  readonly filters: readonly number[];
  readonly prevKv: boolean;
  readonly watchId: Int64Like;
  readonly fragment: boolean;
}

export interface WireWatchRequest {
  readonly createRequest: Out<WireWatchCreateRequest> | null;
  readonly cancelRequest: { readonly watchId?: Int64Like } | null;
  readonly progressRequest: object | null;
}

export interface WireWatchResponse {
  readonly header: Out<WireHeader> | null;
  readonly watchId: Int64Like;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: Int64Like;
  readonly cancelReason: string;
  readonly fragment: boolean;
  readonly events: readonly Out<WireEvent>[];
}

export interface WirePermission {
  /** 0 = read, 1 = write, 2 = both. */
  readonly permType: number;
  readonly key: Bytes;
  readonly rangeEnd: Bytes;
}

export interface WireMember {
  readonly ID: Int64Like;
  readonly name: string;
  readonly peerURLs: readonly string[];
  readonly clientURLs: readonly string[];
  readonly isLearner: boolean;
}

export interface WireStatusResponse {
  readonly header: Out<WireHeader> | null;
  readonly version: string;
  readonly dbSize: Int64Like;
  readonly leader: Int64Like;
  readonly raftIndex: Int64Like;
  readonly raftTerm: Int64Like;
  readonly raftAppliedIndex: Int64Like;
  readonly errors: readonly string[];
  readonly dbSizeInUse: Int64Like;
  readonly isLearner: boolean;
  readonly storageVersion: string;
  readonly dbSizeQuota: Int64Like;
}
