/**
 * Failures as Kubernetes tells them: every error that leaves the server becomes a Status here, once, at the edge.
 */
import { InvariantViolation } from '../../env/assert.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import { KvError } from '../../kv/index.ts';
import * as api from '../api/index.ts';

/** Media types of request and answer bodies. */
const mediaTypes = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];

export const fail = {
  badRequest: api.badRequest,
  unauthorized: api.unauthorized,
  forbidden: api.forbidden,
  /** A path that the server does not have. */
  noPath: api.pathNotFound,
  notFound: api.notFound,
  methodNotAllowed: api.methodNotAllowed,
  notAcceptable: () => api.notAcceptable(mediaTypes),
  alreadyExists: api.alreadyExists,
  conflict: api.conflict,
  preconditionFailed: api.preconditionFailed,
  expired: api.gone,
  tooLarge: (limitBytes: number) => api.requestEntityTooLarge(`limit is ${limitBytes}`),
  unsupportedMediaType: api.unsupportedMediaType,
  tooManyRequests: api.tooManyRequests,
  invalid: api.invalid,
  internal: api.internalError,
  unavailable: api.serviceUnavailable,
  timeout: (message: string) => api.timeout(message, 1),
  futureRevision: api.tooLargeResourceVersion,
} as const;

/** Errors of the store by what a client should do: try again later, or give up. */
function fromStore(error: KvError): api.StatusError {
  switch (error.kv) {
    case 'timeout':
    case 'timeoutLeaderTransfer':
      return fail.timeout(error.message);
    case 'noLeader':
    case 'notLeader':
    case 'leaderChanged':
    case 'stopped':
    case 'unhealthy':
    case 'notCapable':
      return fail.unavailable(error.message);
    case 'tooManyRequests':
      return fail.tooManyRequests(error.message, 1);
    case 'compacted':
      return fail.expired('The resourceVersion for the provided list is too old.');
    case 'requestTooLarge':
      return api.requestEntityTooLarge(error.message);
    default:
      return fail.internal(error.message);
  }
}

/** Anything thrown while a request was handled, as the Status to answer. Broken invariants are not answered: they stop the process. */
export function toStatusError(error: unknown): api.StatusError {
  if (error instanceof InvariantViolation) throw error;
  if (error instanceof api.StatusError) return error;
  if (error instanceof KvError) return fromStore(error);
  if (error instanceof KeelsonError) {
    if (error.code === 'TIMEOUT' || error.code === 'GRPC_DEADLINE_EXCEEDED') return fail.timeout(error.message);
    if (error.code === 'CLOSED' || error.code.startsWith('GRPC_')) return fail.unavailable(error.message);
    if (error.code === 'TOO_MUCH_CONTENTION') return fail.timeout(error.message);
  }
  return fail.internal(errorText(error));
}
