/**
 * Failures as Kubernetes tells them: every error that leaves the server becomes a Status here, once, at the edge.
 */
import { InvariantViolation } from '../../env/assert.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import * as api from '../api/index.ts';
import { type StoreFailure, storeFailureOf } from '../storage/index.ts';

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
  /** Without a time to retry after: clients would ask ten times over, and a user wait a minute for what is known at once. */
  timeout: (message: string) => api.timeout(message),
  futureRevision: api.tooLargeResourceVersion,
} as const;

function fromStore(failure: StoreFailure, message: string): api.StatusError {
  switch (failure) {
    case 'timeout':
      return fail.timeout(message);
    case 'unavailable':
      return fail.unavailable(message);
    case 'overloaded':
      return fail.tooManyRequests(message, 1);
    case 'compacted':
      return fail.expired('The resourceVersion for the provided list is too old.');
    case 'tooLarge':
      return api.requestEntityTooLarge(message);
    case 'internal':
      return fail.internal(message);
  }
}

/** Anything thrown while a request was handled, as the Status to answer. Broken invariants are not answered: they stop the process. */
export function toStatusError(error: unknown): api.StatusError {
  if (error instanceof InvariantViolation) throw error;
  if (error instanceof api.StatusError) return error;
  const failure = storeFailureOf(error);
  if (failure !== undefined) return fromStore(failure, errorText(error));
  if (error instanceof KeelsonError && error.code === 'TOO_MUCH_CONTENTION') return fail.timeout(error.message);
  return fail.internal(errorText(error));
}
