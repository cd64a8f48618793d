/** What a member is given when its server is put together. */
import type { Env } from '../../env/env.ts';
import type { KvState } from '../apply/index.ts';
import type { Passwords } from '../auth/passwords.ts';
import type { Tokens } from '../auth/tokens.ts';
import type { AutoCompaction, Cleaning, KvServerLimits } from './contract.ts';
import type { AskHash, CorruptionChecks } from './corruption-monitor.ts';
import type { LeaderProxy } from './lease-keeper.ts';

export interface KvServerOptions {
  /** An entry that takes longer to apply is logged; absent: none is. */
  readonly slowApplyMs?: number;
  readonly env: Pick<Env, 'clock' | 'random' | 'disk' | 'log'>;
  /** The data directory: snapshots are made in it. */
  readonly directory: string;
  readonly kv: KvState;
  readonly clusterId: number;
  readonly memberId: number;
  readonly name: string;
  readonly token: string;
  readonly clientUrls: readonly string[];
  /** Public key of the data directory; absent when the others need not know it. */
  readonly memberKey?: string;
  readonly limits: KvServerLimits;
  readonly compaction: AutoCompaction;
  /** Absent: some milliseconds of work at a time. */
  readonly cleaning?: Cleaning;
  readonly isStrictReconfiguration: boolean;
  /** As PeerTransport has it; absent on a network that has no connections. */
  readonly connectedSinceMs?: ((id: number) => number | undefined) | undefined;
  /** How long a member must have been connected to count as healthy when the membership changes. */
  readonly healthyAfterMs?: number;
  /** This member votes and keeps no data (witness.ts). */
  readonly isWitness?: boolean;
  /** How often the leader writes down what remains of leases, when not the usual five minutes. */
  readonly leaseCheckpointEveryMs?: number;
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly proxy: LeaderProxy;
  readonly auth: AuthOptions;
  /** The member table changed: Raft's transport must know the addresses. */
  readonly onMembers: () => void;
  readonly onRemoved: () => void;
  readonly onFatal: (error: Error) => void;
  /** When the data is compared with the other members', and how they are asked. Absent: never. */
  readonly corruption?: { readonly checks: CorruptionChecks; readonly askHash: AskHash };
}

export interface AuthOptions {
  readonly tokens: Tokens;
  readonly passwords: Passwords;
  /** The common name of a verified client certificate is a user. */
  readonly isCommonNameUser: boolean;
}
