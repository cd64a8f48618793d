/** The store's face to the layers above: the client and its types. */
export { createKvClient } from './client/client.ts';
export type { CallOptions, KvClient, KvClientOptions, WatchListener } from './client/contract.ts';
export type {
  Bytes,
  Compare,
  KeyValue,
  KvErrorCode,
  KvEvent,
  LeaseId,
  RequestOp,
  TxnRequest,
  TxnResult,
} from './api.ts';
export { noBytes, putRequest, rangeRequest } from './api.ts';
export { KvError } from './errors.ts';
