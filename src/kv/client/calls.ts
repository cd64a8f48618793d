/**
 * One call with one answer, over whichever member gives it.
 *
 * Before anything is sent a connection must stand; members that cannot be reached are passed over, round after round,
 * until the time is up. What may have been sent is sent again only when it is a read: a read leaves a member that falls
 * silent, a write waits for it until its time is up, as it may still be carried out.
 */
import * as grpc from '@grpc/grpc-js';
import { present } from '../../env/assert.ts';
import { type Clock, sleep } from '../../env/clock.ts';
import { KeelsonError } from '../../env/errors.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import type { Connections } from './connections.ts';
import type { CallOptions } from './contract.ts';
import { isLearnerRefusal, isTransient, neverSent, silentMember, toClientError } from './failures.ts';
import { renewalsMax } from './session.ts';

/** Between two rounds over all members; short beside an election. */
const roundPauseMs = 100;

export interface UnaryCall {
  readonly service: grpc.ServiceDefinition;
  readonly method: string;
  readonly request: object;
  /** A read may be sent twice. */
  readonly isRead: boolean;
  /** Asks this endpoint and no other. */
  readonly endpoint?: string;
}

interface Sent<Answer> {
  readonly answer?: Answer;
  readonly error?: grpc.ServiceError;
  /** It was refused for its token alone. */
  readonly wantsToken?: boolean;
  /** False when not even a token was to be had. */
  readonly wasSent?: boolean;
}

interface SendOptions {
  readonly metadata: grpc.Metadata;
  readonly untilMs: number;
  readonly signal: AbortSignal | undefined;
}

export class Caller {
  readonly #connections: Connections;
  readonly #clock: Clock;
  readonly #timeoutMs: number;

  constructor(connections: Connections, clock: Clock, timeoutMs: number) {
    this.#connections = connections;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** Answers, or throws KvError (the server's word), KeelsonError `TIMEOUT` or `GRPC_*`, or the signal's reason. */
  async call<Answer extends object>(call: UnaryCall, options: CallOptions = {}): Promise<Answer> {
    const timeoutMs = options.timeoutMs ?? this.#timeoutMs;
    const untilMs = this.#clock.monotonicMs() + timeoutMs;
    const action = `store ${call.method}`;
    let failure: grpc.ServiceError | undefined;
    let renewals = 0;
    for (let attempt = 1; ; attempt++) {
      options.signal?.throwIfAborted();
      if (this.#connections.isClosed()) throw new KeelsonError('CLOSED', `${action}: the client is closed`);
      const leftMs = untilMs - this.#clock.monotonicMs();
      if (leftMs <= 0) throw this.#timedOut(action, timeoutMs, failure);
      const endpoint = call.endpoint ?? this.#connections.current();
      if (await this.#connections.connect(endpoint, leftMs)) {
        const outcome = await this.#send<Answer>(endpoint, call, untilMs, options.signal);
        if (outcome.answer) return outcome.answer;
        options.signal?.throwIfAborted();
        failure = present(outcome.error, 'an answer or an error');
        if (outcome.wantsToken === true && renewals++ < renewalsMax) continue;
        // What was asked is at fault, not the member; or it may have been carried out and must not be repeated.
        if (failure.code === grpcStatus.deadlineExceeded) {
          this.#connections.moveOn(endpoint);
          throw this.#timedOut(action, timeoutMs, failure);
        }
        const isElsewhere = isLearnerRefusal(failure) && call.endpoint === undefined && this.#connections.count() > 1;
        if (!isTransient(failure) && !isElsewhere) throw toClientError(failure, action);
        this.#connections.moveOn(endpoint);
        if (!call.isRead && !isElsewhere && outcome.wasSent !== false && !neverSent(failure))
          throw toClientError(failure, action);
      } else {
        this.#connections.moveOn(endpoint);
      }
      const roundLength = call.endpoint === undefined ? this.#connections.count() : 1;
      if (attempt % roundLength === 0) await sleep(this.#clock, roundPauseMs, options.signal);
    }
  }

  #timedOut(action: string, timeoutMs: number, cause: grpc.ServiceError | undefined): KeelsonError {
    const last = cause && cause.code !== grpcStatus.deadlineExceeded ? `; last error: ${cause.details}` : '';
    return new KeelsonError('TIMEOUT', `${action}: no answer from the store within ${timeoutMs} ms${last}`, { cause });
  }

  async #send<Answer extends object>(
    endpoint: string,
    call: UnaryCall,
    untilMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Sent<Answer>> {
    const { session } = this.#connections;
    if (session === undefined)
      return this.#sendWith(endpoint, call, { metadata: new grpc.Metadata(), untilMs, signal });
    let metadata: grpc.Metadata;
    try {
      metadata = await session.metadata(this.#connections.get(endpoint), untilMs - this.#clock.monotonicMs());
    } catch (error) {
      return { error: error as grpc.ServiceError, wasSent: false };
    }
    const sent = await this.#sendWith<Answer>(endpoint, call, { metadata, untilMs, signal });
    return sent.error && session.isRefusal(sent.error.details, metadata) ? { ...sent, wantsToken: true } : sent;
  }

  #sendWith<Answer extends object>(
    endpoint: string,
    call: UnaryCall,
    { metadata, untilMs, signal }: SendOptions,
  ): Promise<Sent<Answer>> {
    const method = present(call.service[call.method], `method ${call.method}`);
    const deadline = this.#clock.wallMs() + (untilMs - this.#clock.monotonicMs());
    return new Promise((resolve) => {
      const onAbort = () => sent.cancel();
      const attendance = this.#connections.attend(endpoint, () => {
        if (!call.isRead) return;
        resolve({ error: silentMember(endpoint) });
        sent.cancel();
      });
      const sent = this.#connections
        .get(endpoint)
        .makeUnaryRequest(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          call.request,
          metadata,
          { deadline },
          (error, answer) => {
            signal?.removeEventListener('abort', onAbort);
            if (!error) attendance.heard();
            attendance.leave();
            resolve(error ? { error } : { answer: answer as Answer });
          },
        );
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}
