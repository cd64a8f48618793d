/**
 * Real members as processes of their own, in network namespaces that were made for them, and what can be done to them.
 *
 * Promises: nothing is touched but addresses, namespaces and files of this world; `close` takes everything away, and whoever
 * was kept from closing has it taken away by the next `removeLeftovers`.
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
}

export interface LiveMember {
  readonly name: string;
  readonly clientUrl: string;
  /** In the namespace of the clients as well as in the members' own. */
  readonly address: string;
  readonly isUp: boolean;
}

/** One fault that has struck. */
export interface StruckFault {
  readonly atMs: number;
  readonly endMs: number | undefined;
  readonly text: string;
  readonly members: readonly number[];
  readonly links: readonly { readonly from: number; readonly to: number }[];
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
  strike(fault: Fault): Promise<StruckFault>;
  /** Ends every fault, starts who is down, and resolves when every member is ready. */
  heal(): Promise<void>;
  /** What each member is now, as it says itself; `down` and `paused` as this world made it. */
  states(): Promise<readonly { readonly state: MemberState; readonly term: number }[]>;
  /** The last lines that a member wrote. */
  output(member: number): string;
  close(): Promise<void>;
}

export type SupportedFaults = ReadonlySet<FaultKind>;
