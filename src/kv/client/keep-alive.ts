/** One keep-alive of one lease: a stream that carries one request and one answer. Repeating it does no harm. */
import * as grpc from '@grpc/grpc-js';
import { present } from '../../env/assert.ts';
import { type Clock, sleep } from '../../env/clock.ts';
import { KeelsonError } from '../../env/errors.ts';
import { type Int64Like, safeNumberFromInt64 } from '../../proto/int64.ts';
import type { LeaseId } from '../api.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import { KvError } from '../errors.ts';
import { leaseService } from '../rpc/services.ts';
import type { Connections } from './connections.ts';
import type { CallOptions } from './contract.ts';
import { isLearnerRefusal, isTransient, silentMember, toClientError } from './failures.ts';
import { renewalsMax } from './session.ts';

const retryPauseMs = 100;

interface KeepAliveAnswer {
  readonly TTL: Int64Like;
}

/** Resolves with the seconds the lease has from now; throws KvError `leaseNotFound` when it is gone. */
export async function keepAliveOnce(
  connections: Connections,
  clock: Clock,
  id: LeaseId,
  options: CallOptions & { readonly timeoutMs: number },
): Promise<number> {
  const untilMs = clock.monotonicMs() + options.timeoutMs;
  let cause: grpc.ServiceError | undefined;
  let renewals = 0;
  for (;;) {
    options.signal?.throwIfAborted();
    const leftMs = untilMs - clock.monotonicMs();
    if (leftMs <= 0 || cause?.code === grpcStatus.deadlineExceeded) {
      throw new KeelsonError('TIMEOUT', `store LeaseKeepAlive: no answer within ${options.timeoutMs} ms`, { cause });
    }
    const endpoint = connections.current();
    if (await connections.connect(endpoint, leftMs)) {
      let metadata = new grpc.Metadata();
      let outcome: KeepAliveAnswer | grpc.ServiceError;
      try {
        if (connections.session) metadata = await connections.session.metadata(connections.get(endpoint), leftMs);
        const deadline = clock.wallMs() + leftMs;
        outcome = await ask(connections, endpoint, id, { metadata, deadline, signal: options.signal });
      } catch (error) {
        outcome = error as grpc.ServiceError;
      }
      if ('TTL' in outcome) {
        const ttlSeconds = safeNumberFromInt64(outcome.TTL);
        if (ttlSeconds <= 0) throw new KvError('leaseNotFound');
        return ttlSeconds;
      }
      options.signal?.throwIfAborted();
      if (connections.session?.isRefusal(outcome.details, metadata) && renewals++ < renewalsMax) continue;
      const isElsewhere = isLearnerRefusal(outcome) && connections.count() > 1;
      if (outcome.code !== grpcStatus.deadlineExceeded && !isTransient(outcome) && !isElsewhere) {
        throw toClientError(outcome, 'store LeaseKeepAlive');
      }
      cause = outcome;
    }
    connections.moveOn(endpoint);
    await sleep(clock, retryPauseMs, options.signal);
  }
}

interface AskOptions {
  readonly metadata: grpc.Metadata;
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
}

function ask(
  connections: Connections,
  endpoint: string,
  id: LeaseId,
  { metadata, deadline, signal }: AskOptions,
): Promise<KeepAliveAnswer | grpc.ServiceError> {
  const method = present(leaseService['LeaseKeepAlive'], 'LeaseKeepAlive method');
  return new Promise((resolve) => {
    const stream = connections
      .get(endpoint)
      .makeBidiStreamRequest<object, KeepAliveAnswer>(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        metadata,
        { deadline },
      );
    const onAbort = () => stream.cancel();
    const attendance = connections.attend(endpoint, () => {
      settle(silentMember(endpoint));
      stream.cancel();
    });
    const settle = (outcome: KeepAliveAnswer | grpc.ServiceError) => {
      signal?.removeEventListener('abort', onAbort);
      attendance.leave();
      resolve(outcome);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    stream.on('data', (answer: KeepAliveAnswer) => {
      settle({ TTL: answer.TTL });
      stream.end();
    });
    stream.on('error', settle);
    // A server that ends the stream without an answer reports status OK, which is no error event.
    stream.on('status', (status: grpc.StatusObject) =>
      settle(
        Object.assign(new Error(status.details), { ...status, code: grpcStatus.unavailable }) as grpc.ServiceError,
      ),
    );
    stream.write({ ID: id });
  });
}
