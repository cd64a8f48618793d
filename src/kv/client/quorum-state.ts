/** How the quorum stands, asked of one member alone: answered without a quorum too. */
import { safeNumberFromInt64, type Int64Like } from '../../proto/int64.ts';
import { quorumService } from '../rpc/services.ts';
import { Caller } from './calls.ts';
import { Connections } from './connections.ts';
import type { KvClientOptions } from './contract.ts';

export interface QuorumMember {
  readonly id: number;
  /** Empty until it has started. */
  readonly name: string;
  readonly clientUrls: readonly string[];
  readonly role: 'voter' | 'witness' | 'learner';
}

export interface AutopilotWords {
  readonly words: string;
  /** Newest first. */
  readonly decisions: readonly {
    readonly kind: string;
    readonly name: string;
    readonly why: string;
    readonly outcome: string;
    readonly atMs: number;
  }[];
}

export interface QuorumState {
  readonly memberId: number;
  /** 0 = none. */
  readonly leader: number;
  readonly term: number;
  readonly committed: number;
  readonly revision: number;
  readonly members: readonly QuorumMember[];
  readonly isJoint: boolean;
  readonly hasAutopilot: boolean;
  /** Only from a leader whose autopilot is on, and has begun to look. */
  readonly autopilot?: AutopilotWords;
}

type Wire<T> = { readonly [K in keyof T]: T[K] extends number ? Int64Like : T[K] };
type WireState = Wire<Omit<QuorumState, 'members' | 'autopilot'>> & {
  readonly members: readonly Wire<QuorumMember>[];
  readonly autopilot: {
    readonly words: string;
    readonly decisions: readonly Wire<AutopilotWords['decisions'][number]>[];
  } | null;
};

/** Rejects with KvError or KeelsonError when the member does not answer, or not to whoever asks. */
export async function askQuorumState(
  options: KvClientOptions,
  endpoint: string,
  timeoutMs: number,
): Promise<QuorumState> {
  const connections = new Connections({ ...options, endpoints: [endpoint] });
  try {
    const caller = new Caller(connections, options.clock, timeoutMs);
    const call = { service: quorumService, method: 'QuorumState', request: {}, isRead: true, endpoint };
    const answer = await caller.call<WireState>(call);
    const { isJoint, hasAutopilot, autopilot } = answer;
    const number = safeNumberFromInt64;
    return {
      memberId: number(answer.memberId),
      leader: number(answer.leader),
      term: number(answer.term),
      committed: number(answer.committed),
      revision: number(answer.revision),
      members: answer.members.map((member) => ({ ...member, id: number(member.id) })),
      isJoint,
      hasAutopilot,
      ...(autopilot
        ? {
            autopilot: {
              ...autopilot,
              decisions: autopilot.decisions.map((one) => ({ ...one, atMs: number(one.atMs) })),
            },
          }
        : {}),
    };
  } finally {
    connections.close();
  }
}
