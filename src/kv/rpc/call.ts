/**
 * How a method of the store becomes a gRPC handler: what every call has in common. Answers get a header, errors become
 * etcd's status and text, the `hasleader` metadata is honoured, calls are counted.
 */
import type * as grpc from '@grpc/grpc-js';
import { InvariantViolation } from '../../env/assert.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import { KvError } from '../errors.ts';
import type { KvServer } from '../server/contract.ts';
import { type Call, codecOf, type StatusError, type UnaryMethod } from '../../rpc/service.ts';
import type { Out, WireHeader } from './wire.ts';

export interface CallCounters {
  started(service: string, method: string, type: CallType): void;
  handled(service: string, method: string, type: CallType, code: number): void;
  /** Where messages of a method are counted. Absent: nowhere. */
  readonly messages?: (service: string, method: string, type: CallType) => MessageCounts;
  /** For histograms of how long calls take. */
  took(service: string, method: string, seconds: number): void;
}

/** Messages of one method since the start, and their bytes without what gRPC puts around them. */
export interface MessageCounts {
  received: number;
  receivedBytes: number;
  sent: number;
  sentBytes: number;
}

export type CallType = 'unary' | 'server_stream' | 'bidi_stream';

/** What the faces share. */
export interface Face {
  readonly server: KvServer;
  readonly log: Log;
  readonly counters: CallCounters;
  /** A broken invariant in a handler: the process must stop. */
  readonly onFatal: (error: Error) => void;
  /** Aborts when the member goes away: open streams end. */
  readonly stopping: AbortSignal;
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
export function wantsLeader(call: Call): boolean {
  return call.metadata('hasleader').some((value) => value.toLowerCase() === 'true');
}

/** Service and method of a path, as metrics name them. */
export function namesOf(path: string): readonly [service: string, method: string] {
  const [, service = '', method = ''] = path.split('/');
  return [service, method];
}

/** A method of one request and one answer. */
export function unary<Request extends object, Answer extends object>(
  face: Face,
  definition: grpc.MethodDefinition<object, object> | undefined,
  handle: (request: Request, call: Call) => Promise<Answer>,
): UnaryMethod<Request, Answer> {
  const { path, codec } = codecOf<Request, Answer>(definition);
  const [service, method] = namesOf(path);
  const { server, counters } = face;
  const finish = (startedMs: number, code: number) => {
    counters.handled(service, method, 'unary', code);
    counters.took(service, method, (server.clock.monotonicMs() - startedMs) / 1000);
  };
  return {
    kind: 'unary',
    path,
    codec,
    async handle(request, call) {
      const startedMs = server.clock.monotonicMs();
      counters.started(service, method, 'unary');
      try {
        const { leader, isLearner, isWitness } = server.position();
        if (leader === 0 && wantsLeader(call)) throw new KvError('noLeader');
        if (isWitness && !isForWitnesses(method)) throw new KvError('notSupportedForWitness');
        if (isLearner && !isForLearners(method, request)) throw new KvError('notSupportedForLearner');
        const answer = await handle(request, call);
        finish(startedMs, grpcStatus.ok);
        return answer;
      } catch (error) {
        const status = toStatus(face, error);
        finish(startedMs, status.code);
        throw status;
      }
    },
  };
}

/** A witness has no data. It tells how it is, and who has some. */
function isForWitnesses(method: string): boolean {
  return ['Status', 'QuorumState', 'Check', 'MemberList'].includes(method);
}

/** A learner may lag by any amount: it tells how it is, and what it holds to those who do not mind. */
function isForLearners(method: string, request: unknown): boolean {
  if (['Status', 'QuorumState', 'Check'].includes(method)) return true;
  const isSerializable = typeof request === 'object' && request !== null && 'serializable' in request;
  return method === 'Range' && isSerializable && request.serializable === true;
}
