/** Raft's face to the layers above. Everything else in src/raft is private to it. */
export type {
  ConfChange,
  ConfChangeStep,
  ConfState,
  Entry,
  Index,
  ProposeResult,
  RaftStatus,
  ReplicaId,
  Role,
  SnapshotMeta,
  SoftState,
  Term,
} from './core/types.ts';
export type { PeerTransport, RaftNode, RaftNodeOptions, StateMachine } from './host/contract.ts';
