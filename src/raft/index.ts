/**
 * Raft's face to the layers above. Everything else in src/raft is private to it, but for host/grpc-transport.ts, which
 * composition roots import by itself so that a simulated world loads no sockets.
 */
export type {
  ConfChange,
  ConfChangeStep,
  ConfState,
  Entry,
  EntryKind,
  Index,
  Message,
  ProposeResult,
  RaftStatus,
  ReplicaId,
  Role,
  SnapshotMeta,
  SoftState,
  Term,
} from './core/types.ts';
export { areWitnessesCovered } from './core/conf-change.ts';
export type { PeerTransport, RaftCounter, RaftNode, RaftNodeOptions, StateMachine } from './host/contract.ts';
export {
  bootstrapRaftNode,
  raftDataExists,
  type RaftBeginning,
  type RaftIdentity,
  readRaftIdentity,
  startRaftNode,
} from './host/start-raft-node.ts';
export { readWal, type WalItem } from './wal/read-wal.ts';
export { newestSnapshotUpTo, type StoredSnapshotFile } from './wal/stored-snapshot.ts';
