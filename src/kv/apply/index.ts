/** The state machine's face to kv/server and kv/rpc. */
export { decodeInternalRequest, encodeInternalRequest } from './codec.ts';
export type { AppliedLease, LeaseTable } from '../lease/contract.ts';
export type { KvState } from './contract.ts';
export { SnapshotCheck } from './snapshot-stream.ts';
export type { StoredSnapshot } from './load.ts';
export type { KvStateOptions, OpenOptions } from './state.ts';
export { createKvState, openKvState } from './state.ts';
export { hasPut, isReadOnlyTxn } from './txn.ts';
export { emptyOperation, maxTxnOpsDefault, validateOp } from './validate.ts';
