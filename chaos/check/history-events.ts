/**
 * A history as it stands in a file: events in the order of real time, one a line. What each means to somebody who writes such
 * files is told in docs/history-format.md; its JSON is exactly these types, with null for undefined.
 */
import type { Operation, Outcome } from './history.ts';
import type { ModelRange, ModelRequest } from './model.ts';

/** Of a transaction over lists that only grow. */
export type ListStep =
  | { readonly kind: 'append'; readonly key: string; readonly value: string }
  | { readonly kind: 'read'; readonly key: string };

export type LeaseOperation =
  | { readonly kind: 'leaseGrant'; readonly lease: string; readonly ttlSeconds: number }
  | { readonly kind: 'leaseKeepAlive' | 'leaseTimeToLive' | 'leaseRevoke'; readonly lease: string };

/** `ttlSeconds`: what the client was told; 0 or less = there is no such lease. */
export type LeaseOutcome = { readonly kind: LeaseOperation['kind']; readonly ttlSeconds: number };

/** What can be asked of a service that was built on a store, or of any other. */
export type ServiceOperation =
  | { readonly kind: 'listTxn'; readonly steps: readonly ListStep[] }
  | { readonly kind: 'bankTransfer'; readonly from: string; readonly to: string; readonly amount: number }
  | { readonly kind: 'bankRead' }
  | { readonly kind: 'setAdd'; readonly set: string; readonly element: string }
  | { readonly kind: 'setRead'; readonly set: string }
  /** Nodes that form one ring; swaps change their order and nothing else. */
  | { readonly kind: 'ringSwap' | 'ringRead' }
  | { readonly kind: 'idTake'; readonly pool: string }
  | { readonly kind: 'counterAdd'; readonly counter: string; readonly amount: number }
  | { readonly kind: 'counterRead'; readonly counter: string }
  | { readonly kind: 'lockAcquire' | 'lockRelease'; readonly lock: string }
  /** On what the lock guards. `token`: the fencing token it came with; undefined = the resource is not told any. */
  | {
      readonly kind: 'lockedWrite';
      readonly lock: string;
      readonly token: number | undefined;
      readonly value: string;
    };

export type ServiceOutcome =
  /** What its reads found, in order. */
  | { readonly kind: 'listTxn'; readonly lists: readonly (readonly string[])[] }
  | { readonly kind: 'bankTransfer' | 'setAdd' | 'ringSwap' | 'counterAdd' | 'lockRelease' }
  | {
      readonly kind: 'bankRead';
      readonly accounts: readonly { readonly account: string; readonly amount: number }[];
    }
  | { readonly kind: 'setRead'; readonly elements: readonly string[] }
  | { readonly kind: 'ringRead'; readonly links: readonly { readonly from: string; readonly to: string }[] }
  | { readonly kind: 'idTake'; readonly id: string }
  | { readonly kind: 'counterRead'; readonly value: number }
  | { readonly kind: 'lockAcquire'; readonly token: number | undefined }
  | { readonly kind: 'lockedWrite'; readonly isAccepted: boolean };

export type AnyOperation = Operation | LeaseOperation | ServiceOperation;
export type AnyOutcome = Outcome | LeaseOutcome | ServiceOutcome;

/** A key as a watch tells of it. */
export interface ToldValue {
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  /** '0' = none. */
  readonly lease: string;
}

/** `now`: undefined = it was deleted. */
export interface ToldEvent {
  readonly key: string;
  readonly revision: number;
  readonly now: ToldValue | undefined;
  /** What it held until then, when the watch asked for it. */
  readonly before: ToldValue | undefined;
}

/** Milliseconds on the observer's clock, which never goes back. */
interface Timed {
  readonly atMs?: number;
}

export type HistoryEvent =
  | (Timed & {
      readonly type: 'invoke';
      readonly id: number;
      readonly client: number;
      readonly operation: AnyOperation;
    })
  | (Timed & { readonly type: 'ok'; readonly id: number; readonly outcome: AnyOutcome })
  /** It did not happen, and never will. `isCompacted`: because it asked for a revision that is compacted. */
  | (Timed & { readonly type: 'fail'; readonly id: number; readonly reason: string; readonly isCompacted?: boolean })
  /** Nobody knows whether it happened; it may still. The same as no word at all. */
  | (Timed & { readonly type: 'info'; readonly id: number; readonly reason: string })
  | (Timed & {
      readonly type: 'watch';
      readonly watch: string;
      readonly range: ModelRange;
      /** 0 = from the moment on. */
      readonly startRevision: number;
      readonly wantsPrevious: boolean;
      readonly wantsPuts: boolean;
      readonly wantsDeletes: boolean;
    })
  | (Timed & { readonly type: 'watchCreated'; readonly watch: string; readonly revision: number })
  /** One response. `isPart`: more of the same one follows. */
  | (Timed & {
      readonly type: 'watchEvents';
      readonly watch: string;
      readonly revision: number;
      readonly isPart: boolean;
      readonly events: readonly ToldEvent[];
    })
  | (Timed & { readonly type: 'watchProgress'; readonly watch: string; readonly revision: number })
  /** It ended because what it had yet to tell is compacted, up to this revision. */
  | (Timed & { readonly type: 'watchCompacted'; readonly watch: string; readonly revision: number })
  /** The client listens no more. */
  | (Timed & { readonly type: 'watchClosed'; readonly watch: string })
  /** One request that the store carried out, in the order of its own log. All of them, or none. */
  | (Timed & { readonly type: 'commit'; readonly request: ModelRequest })
  /** Every member lost its power at once, and came back. */
  | (Timed & { readonly type: 'powerLoss' })
  /** Faults have ended: from here on what has to happen in time must. */
  | (Timed & { readonly type: 'calm' })
  /** All that a member holds. */
  | (Timed & {
      readonly type: 'state';
      readonly member: string;
      readonly revision: number;
      readonly keys: readonly (ToldValue & { readonly key: string })[];
    })
  /** What the checkers cannot know by themselves. */
  | (Timed & {
      readonly type: 'expect';
      /** Of all accounts together. */
      readonly bankTotal?: number;
      readonly mayOwe?: boolean;
      readonly ringNodes?: number;
      /** The store was empty at this revision, and the history begins there; 1 when nothing is said. */
      readonly baseRevision?: number;
      /** How much faster than the observer's a clock of the system may run. */
      readonly clockRateMax?: number;
      /** A lease is gone this much after its time, once calm. */
      readonly leaseEndWithinMs?: number;
    });

export interface RecordedHistory {
  readonly events: readonly HistoryEvent[];
}

/** The kinds that a store of keys answers with revisions. */
const storeKinds: ReadonlySet<string> = new Set(['put', 'get', 'cas', 'delete', 'txn', 'list', 'compact']);

export function isStoreOperation(operation: AnyOperation): operation is Operation {
  return storeKinds.has(operation.kind);
}
