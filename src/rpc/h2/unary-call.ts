/** One request, one answer: the way of nearly all calls, and the one that must cost least. */
import { grpcStatus } from '../grpc-status.ts';
import type { UnaryMethod } from '../service.ts';
import { type CallScope, GrpcCall, tooMuchHeld } from './grpc-call.ts';
import { MessageError } from './message-reader.ts';
import type { RequestHead } from './request-head.ts';
import type { Stream, StreamHandler } from './stream.ts';

export class UnaryCall extends GrpcCall implements StreamHandler {
  readonly #method: UnaryMethod;
  #message: Buffer | undefined = undefined;
  #isRunning = false;

  constructor(stream: Stream, head: RequestHead, method: UnaryMethod, scope: CallScope) {
    super(stream, head, scope);
    this.#method = method;
  }

  data(bytes: Buffer, start: number, end: number): void {
    this.stream.consumed(end - start);
    if (this.isOver) return;
    try {
      this.reader.push(bytes, start, end);
      const message = this.reader.next();
      if (message !== undefined) {
        if (this.#message !== undefined) throw tooManyMessages();
        this.#message = message;
      } else if (this.#message !== undefined) throw tooManyMessages();
      if (!this.hold(this.reader.heldBytes + (this.#message?.length ?? 0))) throw tooMuchHeld;
    } catch (error) {
      this.failWith(error);
    }
  }

  ended(): void {
    if (this.isOver) return;
    this.hold(0);
    const message = this.#message;
    this.#message = undefined;
    try {
      if (this.reader.heldBytes > 0) throw message === undefined ? cutOff() : tooManyMessages();
      if (message === undefined) throw new MessageError(grpcStatus.internal, 'a unary call needs one request message');
      const request = this.#decode(message);
      const answered = this.#method.handle(request, this);
      this.#isRunning = true;
      answered.then(
        (answer) => this.#answer(answer),
        (error: unknown) => this.#fail(error),
      );
    } catch (error) {
      this.failWith(error);
    }
  }

  drained(): void {
    // An answer is sent at once, whatever waits.
  }

  #decode(message: Buffer): object {
    try {
      return this.#method.codec.decode(message);
    } catch (error) {
      throw unreadable(error);
    }
  }

  #answer(answer: object): void {
    if (!this.#isAnswerWanted()) return;
    let bytes: Uint8Array;
    try {
      bytes = this.#method.codec.encode(answer);
    } catch (error) {
      this.failWith(error);
      return;
    }
    this.finish();
    const { stream } = this;
    stream.sendHead('grpc');
    stream.sendMessage(bytes);
    stream.end('grpc');
  }

  #fail(error: unknown): void {
    if (this.#isAnswerWanted()) this.failWith(error);
  }

  #isAnswerWanted(): boolean {
    this.#isRunning = false;
    if (!this.isOver) return true;
    this.scope.connection.orphans--;
    return false;
  }

  protected override interrupted(): void {
    if (this.#isRunning) this.scope.connection.orphans++;
  }
}

function tooManyMessages(): MessageError {
  const details = 'cardinality violation: received multiple request messages for non-client-streaming RPC';
  return new MessageError(grpcStatus.internal, details);
}

function cutOff(): MessageError {
  return new MessageError(grpcStatus.internal, 'the request ends within a message');
}

/** The request's bytes are no such message. */
export function unreadable(error: unknown): unknown {
  const reason = error instanceof Error ? error.message : String(error);
  return new MessageError(grpcStatus.internal, `grpc: error unmarshalling request: ${reason}`);
}
