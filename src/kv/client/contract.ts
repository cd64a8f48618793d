/**
 * The store as its clients see it, by etcd v3 gRPC only: works against real etcd too. Several endpoints; a call that
 * fails before it reached a server moves on to the next one; writes are never retried once they may have been sent.
 */
import type { Clock } from '../../env/clock.ts';
import type {
  Bytes,
  KvEvent,
  KeyValue,
  LeaseId,
  PutRequest,
  RangeRequest,
  RangeResult,
  TxnRequest,
  TxnResult,
  WatchRequest,
} from '../api.ts';

export interface KvClient {
  range(
    request: Partial<RangeRequest> & { readonly key: Bytes },
    options?: CallOptions,
  ): Promise<RangeResult & { readonly revision: number }>;
  put(
    request: Partial<PutRequest> & { readonly key: Bytes; readonly value: Bytes },
    options?: CallOptions,
  ): Promise<{ readonly revision: number; readonly prevKv?: KeyValue }>;
  deleteRange(
    key: Bytes,
    rangeEnd: Bytes,
    options?: CallOptions,
  ): Promise<{ readonly revision: number; readonly deleted: number }>;
  txn(request: TxnRequest, options?: CallOptions): Promise<TxnResult & { readonly revision: number }>;
  compact(revision: number, options?: CallOptions): Promise<void>;
  leaseGrant(ttlSeconds: number, options?: CallOptions): Promise<LeaseId>;
  leaseRevoke(id: LeaseId, options?: CallOptions): Promise<void>;
  leaseKeepAliveOnce(id: LeaseId, options?: CallOptions): Promise<number>;
  /** A watch that survives a change of member: it reconnects and resumes after the last revision it handed out. */
  watch(
    request: WatchRequest & { readonly progressNotify?: boolean },
    listener: WatchListener,
  ): { cancel(): void; requestProgress(): void };
  status(
    endpoint: string,
    options?: CallOptions,
  ): Promise<{
    readonly leader: number;
    readonly memberId: number;
    readonly revision: number;
    readonly version: string;
    readonly dbSize: number;
    readonly raftTerm: number;
  }>;
  close(): void;
}

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface WatchListener {
  created(revision: number): void;
  events(events: readonly KvEvent[], revision: number): void;
  /** Everything up to `revision` has been handed out. */
  progress(revision: number): void;
  /** The watch is over for good: `compacted` carries the compact revision; anything else is an error of the server. */
  ended(
    reason:
      | { readonly kind: 'compacted'; readonly compactRevision: number }
      | { readonly kind: 'error'; readonly error: Error },
  ): void;
}

/** PEM. Without `ca` members are known by the authorities of the system. */
export interface KvClientTls {
  readonly ca?: Bytes;
  /** Shown to members that ask for it; goes with `key`. */
  readonly cert?: Bytes;
  readonly key?: Bytes;
  /** The members made their certificates themselves: any is taken. */
  readonly isUnverified?: boolean;
}

export interface KvClientUser {
  readonly name: string;
  readonly password: string;
}

export interface KvClientOptions {
  readonly clock: Clock;
  /** `https://host:port` or `http://…`. */
  readonly endpoints: readonly string[];
  readonly tls?: KvClientTls;
  /** Who the client is, where auth is on and no certificate says it. */
  readonly user?: KvClientUser;
  /** For one call unless it says otherwise; 10,000 when absent. */
  readonly timeoutMs?: number;
}
