/**
 * How a method of the store becomes a gRPC handler: what every call has in common. Answers get a header, errors become
 * etcd's status and text, the `hasleader` metadata is honoured, calls are counted.
 */
import type * as grpc from '@grpc/grpc-js';
import { InvariantViolation } from '../../env/assert.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import { grpcStatus, KvError } from '../errors.ts';
import type { KvServer } from '../server/contract.ts';
import type { Out, WireHeader } from './wire.ts';

export interface CallCounters {
  started(service: string, method: string, type: CallType): void;
  handled(service: string, method: string, type: CallType, code: number): void;
  /** For histograms of how long calls take. */
  took(service: string, method: string, seconds: number): void;
}

export type CallType = 'unary' | 'server_stream' | 'bidi_stream';

/** What the faces share. */
export interface Face {
  readonly server: KvServer;
  readonly log: Log;
  readonly counters: CallCounters;
  /** A broken invariant in a handler: the process must stop. */
  readonly onFatal: (error: Error) => void;
}

export interface StatusError {
  readonly code: number;
  readonly details: string;
}

export function headerOf(server: KvServer, revision?: number): Out<WireHeader> {
  const position = server.position();
  return {
    clusterId: server.clusterId,
    memberId: server.memberId,
    revision: revision ?? position.revision,
    raftTerm: position.term,
  };
}

/** The reason of aborted calls: one for all, as making an exception for each costs more than most calls. */
export const clientGone: StatusError = { code: grpcStatus.cancelled, details: 'context canceled' };

/** Any error as a gRPC status. A broken invariant stops the process. */
export function toStatus(face: Face, error: unknown): StatusError {
  if (error instanceof KvError) return { code: error.grpcStatus, details: error.message };
  if (error instanceof InvariantViolation) face.onFatal(error);
  if (isStatusError(error)) return error;
  face.log.error('a request failed for an unknown reason', { error: errorText(error) });
  return { code: grpcStatus.unknown, details: errorText(error) };
}

function isStatusError(error: unknown): error is StatusError {
  if (typeof error !== 'object' || error === null) return false;
  return 'code' in error && typeof error.code === 'number' && 'details' in error && typeof error.details === 'string';
}

/** True when the caller wants an error rather than silence from a member without a leader. */
export function wantsLeader(metadata: grpc.Metadata): boolean {
  return metadata.get('hasleader').some((value) => String(value).toLowerCase() === 'true');
}

/** A handler for one request and one answer. `signal` aborts when the client has gone. */
export function unary<Request, Answer extends object>(
  face: Face,
  path: readonly [service: string, method: string],
  handle: (request: Request, signal: AbortSignal) => Promise<Answer>,
): grpc.handleUnaryCall<Request, Answer> {
  const [service, method] = path;
  return (call, callback) => {
    const startedMs = face.server.clock.monotonicMs();
    face.counters.started(service, method, 'unary');
    const gone = new AbortController();
    let isFinished = false;
    call.on('cancelled', () => {
      if (!isFinished) gone.abort(clientGone);
    });
    const finish = (error: StatusError | null, answer?: Answer) => {
      isFinished = true;
      face.counters.handled(service, method, 'unary', error?.code ?? 0);
      face.counters.took(service, method, (face.server.clock.monotonicMs() - startedMs) / 1000);
      if (error) callback(error);
      else callback(null, answer);
    };
    const run = async () => {
      const { leader, isLearner } = face.server.position();
      if (wantsLeader(call.metadata) && leader === 0) throw new KvError('noLeader');
      if (isLearner && !isForLearners(method, call.request)) throw new KvError('notSupportedForLearner');
      return handle(call.request, gone.signal);
    };
    run().then(
      (answer) => finish(null, answer),
      (error: unknown) => finish(toStatus(face, error)),
    );
  };
}

/** A learner may lag by any amount: it tells how it is, and what it holds to those who do not mind. */
function isForLearners(method: string, request: unknown): boolean {
  if (method === 'Status' || method === 'Check') return true;
  const isSerializable = typeof request === 'object' && request !== null && 'serializable' in request;
  return method === 'Range' && isSerializable && request.serializable === true;
}

/**
 * Calls `onLost` once this member has been without a leader for three election time-outs, as long as etcd waits.
 * Returns the function that ends the watching.
 */
export function whileLeader(server: KvServer, onLost: () => void): () => void {
  let leaderlessPolls = 0;
  const cancel = server.clock.every(server.electionMs, () => {
    leaderlessPolls = server.position().leader === 0 ? leaderlessPolls + 1 : 0;
    if (leaderlessPolls < leaderlessPollsMax) return;
    cancel();
    onLost();
  });
  return cancel;
}

const leaderlessPollsMax = 3;
