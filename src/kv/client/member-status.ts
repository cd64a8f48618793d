/** How far one member has come, asked of it alone: answered without a quorum too. */
import { safeNumberFromInt64 } from '../../proto/int64.ts';
import { maintenanceService } from '../rpc/services.ts';
import type { WireStatusResponse } from '../rpc/wire.ts';
import { Caller } from './calls.ts';
import { Connections } from './connections.ts';
import type { KvClientOptions } from './contract.ts';

export interface MemberPosition {
  /** Hexadecimal, as etcd prints it. */
  readonly memberId: string;
  readonly term: number;
  /** Last entry that it knows to be committed, and last one that it has applied. */
  readonly committed: number;
  readonly applied: number;
  readonly revision: number;
  readonly hasLeader: boolean;
}

/** Rejects with KvError or KeelsonError when the member does not answer, or not to whoever asks. */
export async function askPosition(
  options: KvClientOptions,
  endpoint: string,
  timeoutMs: number,
): Promise<MemberPosition> {
  const connections = new Connections({ ...options, endpoints: [endpoint] });
  try {
    const caller = new Caller(connections, options.clock, timeoutMs);
    const call = { service: maintenanceService, method: 'Status', request: {}, isRead: true, endpoint };
    const { header, leader, raftIndex, raftTerm, raftAppliedIndex } = await caller.call<WireStatusResponse>(call);
    return {
      memberId: BigInt(String(header?.memberId ?? 0)).toString(16),
      term: safeNumberFromInt64(raftTerm),
      committed: safeNumberFromInt64(raftIndex),
      applied: safeNumberFromInt64(raftAppliedIndex),
      revision: safeNumberFromInt64(header?.revision),
      hasLeader: String(leader ?? 0) !== '0',
    };
  } finally {
    connections.close();
  }
}
