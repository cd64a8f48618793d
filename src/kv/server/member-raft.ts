/** How a member's Raft is set up: its limits, and what it drives. */
import type { PeerTransport, RaftNodeOptions, ReplicaId } from '../../raft/index.ts';
import type { MemberOptions } from './member-options.ts';
import type { StoreServer } from './server.ts';

const segmentBytes = 64 * 1024 * 1024;
/**
 * etcd's default. A snapshot here is the whole state, and what it lets go of the log goes by segments: before one is full none
 * is worth taking, but for who asks for one every few entries.
 */
const snapshotEntriesUsual = 10_000;
/** As etcd's raft: enough in flight to fill a long pipe, little enough to not flood a slow member. */
const inflightMessagesMax = 256;
const messageBytesMax = 512 * 1024;
const uncommittedBytesMax = 64 * 1024 * 1024;

export interface RaftParts {
  readonly memberId: number;
  /** Of the log and the snapshots. */
  readonly directory: string;
  readonly transport: PeerTransport;
  readonly server: StoreServer;
}

export function raftOptionsOf(
  options: MemberOptions,
  { memberId, directory, transport, server }: RaftParts,
): RaftNodeOptions {
  return {
    env: options.env,
    raft: {
      id: memberId as ReplicaId,
      electionTicks: options.electionTicks,
      heartbeatTicks: 1,
      preVote: options.preVote,
      checkQuorum: true,
      inflightMessagesMax,
      messageBytesMax,
      uncommittedBytesMax,
      ...options.raftLimits,
    },
    directory,
    tickMs: options.tickMs,
    snapshotEntries: options.snapshotEntries,
    snapshotLogBytes: options.snapshotEntries < snapshotEntriesUsual ? 0 : segmentBytes,
    catchUpEntries: options.catchUpEntries,
    segmentBytes,
    ...(options.acceptLoss === undefined ? {} : { acceptLoss: options.acceptLoss }),
    transport,
    stateMachine: server.machine,
    ...(options.onCore === undefined ? {} : { onCore: options.onCore }),
    ...(options.leaseReads === undefined ? {} : { leaseReads: options.leaseReads }),
    onRefused: options.onRemoved,
    onSoftState: (state) => server.softStateChanged(state),
    onFatal: options.onFatal,
  };
}
