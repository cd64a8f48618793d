/** What the services on the peer port make of numbers and errors: what is wrong with a request is said to be the request's. */
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import { type Int64Like, numberFromInt64 } from '../../proto/int64.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import { KvError } from '../errors.ts';

/** An id or a revision that a peer names. Throws BAD_REQUEST for one that no member has given out. */
export function askedNumber(value: Int64Like, what: string): number {
  const number = numberFromInt64(value);
  if (number === undefined || number < 0) {
    throw new KeelsonError('BAD_REQUEST', `${what} is ${String(value)}, want a number from 0 below 2^53`);
  }
  assert(Number.isSafeInteger(number), 'what was asked for is a whole number');
  return number;
}

const requestFaults: readonly string[] = ['BAD_REQUEST', 'BAD_SIGNATURE', 'BAD_PEER_URL'];

/** gRPC's code for an error of a service on the peer port. */
export function statusOf(error: unknown): number {
  if (error instanceof KvError) return error.grpcStatus;
  const isAsked = error instanceof KeelsonError && requestFaults.includes(error.code);
  return isAsked ? grpcStatus.invalidArgument : grpcStatus.unknown;
}
