/** What went wrong with a call, as the callers of KvClient see it: etcd's errors by their text, everything else by code. */
import { Metadata, status as grpcStatusName, type ServiceError } from '@grpc/grpc-js';
import { KeelsonError } from '../../env/errors.ts';
import type { KvErrorCode } from '../api.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import { KvError, kvErrors } from '../errors.ts';

const codeByText = new Map(Object.entries(kvErrors).map(([code, [, text]]) => [text, code as KvErrorCode]));

/** The KvErrorCode that a server's text stands for. */
export function kvErrorCodeOf(text: string): KvErrorCode | undefined {
  return codeByText.get(text);
}

/** An error of gRPC or of the server as the error to throw. `action` says what was attempted. */
export function toClientError(error: ServiceError, action: string): KeelsonError {
  const code = kvErrorCodeOf(error.details);
  if (code !== undefined) return new KvError(code, { cause: error });
  const name = grpcStatusName[error.code] ?? String(error.code);
  return new KeelsonError(`GRPC_${name}`, `${action}: the store answered ${name}: ${error.details}`, { cause: error });
}

/** True when the call cannot have been carried out, because no connection took it. */
export function neverSent(error: ServiceError): boolean {
  return error.code === grpcStatus.unavailable && error.details.startsWith('No connection established');
}

/** What a call ends with when its member has not been heard for too long. */
export function silentMember(endpoint: string): ServiceError {
  const details = `${endpoint} does not answer any more`;
  return Object.assign(new Error(details), {
    code: grpcStatus.unavailable,
    details,
    metadata: new Metadata(),
  });
}

/** True when a learner or a witness has sent the call away, which it did not carry out: a voter with data will take it. */
export function isLearnerRefusal(error: ServiceError): boolean {
  return error.details === kvErrors.notSupportedForLearner[1] || error.details === kvErrors.notSupportedForWitness[1];
}

/** True when another member, or the same one a little later, may well answer. */
export function isTransient(error: ServiceError): boolean {
  if (error.code === grpcStatus.unavailable) return !isLearnerRefusal(error);
  // A server that goes away resets its streams, which grpc reports in these ways.
  return (error.code === grpcStatus.internal || error.code === grpcStatus.cancelled) && !codeByText.has(error.details);
}

/** True when a watch ends for good with this error: asking again gives the same answer. */
export function isFinalForWatch(error: ServiceError): boolean {
  const final: readonly number[] = [
    grpcStatus.invalidArgument,
    grpcStatus.unimplemented,
    grpcStatus.permissionDenied,
    grpcStatus.unauthenticated,
    grpcStatus.failedPrecondition,
    grpcStatus.outOfRange,
  ];
  return final.includes(error.code) && !isLearnerRefusal(error);
}
