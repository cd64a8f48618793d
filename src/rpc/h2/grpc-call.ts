/**
 * What unary and streaming calls have in common: the request's surroundings, its deadline, how it ends. Made for each
 * call, so it holds what nearly every call needs and makes the rest when asked.
 */
import { InvariantViolation } from '../../env/assert.ts';
import { errorText } from '../../env/errors.ts';
import { grpcStatus } from '../grpc-status.ts';
import { type Call, clientGone, type StatusError } from '../service.ts';
import type { Connection } from './connection.ts';
import { endWithStatus } from './grpc-wire.ts';
import { heldBytesMax } from './limits.ts';
import { MessageError, MessageReader } from './message-reader.ts';
import type { RequestHead } from './request-head.ts';
import type { Stream } from './stream.ts';
import type { Timed, Timers } from './timers.ts';

/** What the calls of one connection share. */
export interface CallScope {
  readonly connection: Connection;
  readonly timers: Timers;
  readonly messageBytesMax: number;
  readonly clientCommonName: string | undefined;
  readonly peer: string;
}

const deadlineExceeded: StatusError = { code: grpcStatus.deadlineExceeded, details: 'context deadline exceeded' };

export abstract class GrpcCall implements Call, Timed {
  readonly stream: Stream;
  readonly scope: CallScope;
  readonly reader: MessageReader;
  readonly #head: RequestHead;
  /** Nothing may be told to the handler, or sent for it, any more. */
  isOver = false;
  dueMs = 0;
  timerPlace = -1;
  #heldBytes = 0;
  #controller: AbortController | undefined = undefined;
  #abortReason: StatusError | undefined = undefined;

  constructor(stream: Stream, head: RequestHead, scope: CallScope) {
    this.stream = stream;
    this.scope = scope;
    this.#head = head;
    this.reader = new MessageReader(scope.messageBytesMax, head.encoding === 'gzip');
  }

  /** The stream has ended other than by `finish`. */
  protected abstract interrupted(): void;

  metadata(name: string): readonly string[] {
    const values: string[] = [];
    for (const field of this.#head.fields) if (field.name === name) values.push(field.value);
    if (!name.endsWith('-bin')) return values;
    return values.flatMap((value) => value.split(',')).map((value) => Buffer.from(value, 'base64').toString());
  }

  get clientCommonName(): string | undefined {
    return this.scope.clientCommonName;
  }

  get peer(): string {
    return this.scope.peer;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortReason) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  /** `dueMs` of the clock. */
  expireAt(dueMs: number): void {
    this.dueMs = dueMs;
    this.scope.timers.add(this);
  }

  due(): void {
    if (this.isOver) return;
    this.#interrupt(deadlineExceeded);
    endWithStatus(this.stream, deadlineExceeded.code, deadlineExceeded.details);
  }

  gone(): void {
    if (!this.isOver) this.#interrupt(clientGone);
  }

  #interrupt(reason: StatusError): void {
    this.finish();
    this.#abortReason = reason;
    this.#controller?.abort(reason);
    this.interrupted();
  }

  /** From here on the handler is done with. */
  protected finish(): void {
    this.isOver = true;
    this.hold(0);
    if (this.timerPlace !== -1) this.scope.timers.remove(this);
  }

  /** Keeps the connection's sum of bytes that wait; false: there are too many. */
  protected hold(bytes: number): boolean {
    const { connection } = this.scope;
    connection.heldBytes += bytes - this.#heldBytes;
    this.#heldBytes = bytes;
    return connection.heldBytes <= heldBytesMax;
  }

  /** Ends the call with what was thrown. A broken invariant is nobody's to answer. */
  protected failWith(error: unknown): void {
    if (error instanceof InvariantViolation) throw error;
    const { code, details, metadata } = statusOf(error);
    this.finish();
    endWithStatus(this.stream, code, details, metadata);
  }
}

export const tooMuchHeld: StatusError = {
  code: grpcStatus.resourceExhausted,
  details: 'too many bytes of unfinished requests on one connection',
};

export function statusOf(error: unknown): StatusError {
  if (error instanceof MessageError) return error.status;
  if (typeof error === 'object' && error !== null && 'code' in error && 'details' in error) {
    const { code, details } = error;
    if (typeof code === 'number' && typeof details === 'string') return error as StatusError;
  }
  return { code: grpcStatus.unknown, details: errorText(error) };
}
