/**
 * Real members as processes of their own, in network namespaces that were made for them, and what can be done to them.
 *
 * Promises: nothing is touched but addresses, namespaces and files of this world; `close` takes everything away, and whoever
 * was kept from closing has it taken away by the next `removeLeftovers`. Only root can make one.
 */
import type { Fault, FaultKind } from '../scenario/faults.ts';
import type { MemberState } from '../report/run-record.ts';

/** Who serves: Keelson's own store, or any program with etcd's flags. */
export type StoreProgram = { readonly kind: 'keelson' } | { readonly kind: 'other'; readonly path: string };

export interface LiveWorldOptions {
  readonly program: StoreProgram;
  /** 1 to 7. */
  readonly members: number;
  readonly isTls: boolean;
  /** etcd's words, given to every member after our own: `--heartbeat-interval=50`. */
  readonly flags: readonly string[];
  /**
   * Each member has a small file system of its own (loop devices and ext4), so that its disk can be full, slow and broken, and
   * a crash of all is a power cut that loses what was not synced. Without it those faults are refused. False when absent.
   */
  readonly hasOwnDisks?: boolean;
  /**
   * What each member's JavaScript sees of time can be set: its time of day and its pace. Only where Keelson's own store serves.
   * Without it faults of clocks are refused. False when absent.
   */
  readonly hasOwnClocks?: boolean;
}

export interface LiveMember {
  readonly name: string;
  readonly clientUrl: string;
  /** In the namespace of the clients as well as in the members' own. */
  readonly address: string;
  readonly isUp: boolean;
}

/** What one member sends to another. */
export interface Link {
  readonly from: number;
  readonly to: number;
}

/** What clients say to a member is lost, or what it answers. */
export interface ClientCut {
  readonly member: number;
  readonly lost: 'requests' | 'answers';
}

/** What goes wrong with streams between members, beyond the fault language: a simulated world has messages alone. */
export type LiveFault =
  /** No more than so much gets through one way of each connection. */
  | (Link & { readonly kind: 'narrow'; readonly bytesPerSecond: number; readonly healMs: number })
  /** Bytes arrive as other ones; whoever does not notice has no checksums. */
  | (Link & { readonly kind: 'corrupt'; readonly flipsPerByte: number; readonly healMs: number })
  /** Every connection between the two is reset in the middle of whatever it carries. */
  | (Link & { readonly kind: 'reset' })
  /** `from` has its connections reset, and `to` is not told: to it they stand, and nothing comes, for so long. */
  | (Link & { readonly kind: 'halfOpen'; readonly healMs: number });

export type LiveFaultKind = LiveFault['kind'];

/** One fault that has struck. */
export interface StruckFault {
  readonly atMs: number;
  /** When it is due to end. Absent: it has no end of its own. */
  readonly endMs: number | undefined;
  readonly text: string;
  /** Whom it struck. Nobody, where a leader was meant and nobody led, or a member that was down already. */
  readonly members: readonly number[];
  /** What was cut. */
  readonly links: readonly Link[];
}

/** A process that ended although nobody here had ended it. */
export interface UnexpectedExit {
  readonly atMs: number;
  readonly member: number;
  readonly code: number | null;
  readonly signal: string | null;
}

export interface LiveWorld {
  readonly members: readonly LiveMember[];
  /** What clients connect with; absent without TLS. */
  readonly tls: { readonly ca: Uint8Array; readonly cert: Uint8Array; readonly key: Uint8Array } | undefined;
  /** Milliseconds since the world was ready. */
  nowMs(): number;
  /**
   * Carries a fault out; it ends by itself at its time. Resolves when it has struck. A fault of a kind that this world cannot
   * carry out rejects with KeelsonError `CHAOS_FAULT_UNSUPPORTED`; `supportedFaults` tells beforehand.
   */
  strike(fault: Fault | LiveFault): Promise<StruckFault>;
  /**
   * Ends every fault, starts who is down, and resolves when every member is ready. Rejects with KeelsonError
   * `CHAOS_NOT_READY` when one is not in time; the message holds what it wrote last.
   */
  heal(): Promise<void>;
  /**
   * What each member is now, as it says itself; `down` and `paused` as this world made it. Who knows no leader is called a
   * candidate; who does not answer, starting.
   */
  states(): Promise<readonly { readonly state: MemberState; readonly term: number }[]>;
  /** Processes that ended by themselves, in order; they stay down until `heal`. */
  unexpectedExits(): readonly UnexpectedExit[];
  /** The last lines that a member wrote. */
  output(member: number): string;
  /** Takes everything away. Calling it again waits for the same end. */
  close(): Promise<void>;
}

/** Of all links since the world was made. */
export interface LinkCounts {
  readonly connections: number;
  readonly bytes: number;
  /** Bytes that arrived as other ones. */
  readonly flips: number;
}

export type SupportedFaults = ReadonlySet<FaultKind>;
