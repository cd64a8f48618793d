/**
 * What a failed call to the store means to whoever asked for an object: wait and try again, ask for less, or give up.
 * Errors pass through the storage as they are; the edge asks here what they are, and needs to know no code of the store.
 */
import { KeelsonError } from '../../env/errors.ts';
import { KvError } from '../../kv/index.ts';

export type StoreFailure =
  /** No answer in time; a write may or may not have happened. */
  | 'timeout'
  /** No member of the store could take the call. */
  | 'unavailable'
  | 'overloaded'
  /** The snapshot that was asked for is gone. */
  | 'compacted'
  | 'tooLarge'
  /** Anything else the store says: none of the asker's doing. */
  | 'internal';

/** Undefined when the error is not one of the store. */
export function storeFailureOf(error: unknown): StoreFailure | undefined {
  if (error instanceof KvError) return failureOfCode(error);
  if (!(error instanceof KeelsonError)) return undefined;
  if (error.code === 'TIMEOUT' || error.code === 'GRPC_DEADLINE_EXCEEDED') return 'timeout';
  if (error.code === 'CLOSED' || error.code.startsWith('GRPC_')) return 'unavailable';
  return undefined;
}

function failureOfCode({ kv }: KvError): StoreFailure {
  switch (kv) {
    case 'timeout':
    case 'timeoutLeaderTransfer':
      return 'timeout';
    case 'noLeader':
    case 'notLeader':
    case 'leaderChanged':
    case 'stopped':
    case 'unhealthy':
    case 'notCapable':
      return 'unavailable';
    case 'tooManyRequests':
      return 'overloaded';
    case 'compacted':
      return 'compacted';
    case 'requestTooLarge':
      return 'tooLarge';
    default:
      return 'internal';
  }
}
