/** A call with several messages in either direction. */
import { assert } from '../../env/assert.ts';
import { grpcStatus } from '../grpc-status.ts';
import type { AnswerStream, Call, RequestSink, StatusError, StreamMethod } from '../service.ts';
import type { SharedMessage } from '../shared-message.ts';
import { type CallScope, GrpcCall, tooMuchHeld } from './grpc-call.ts';
import { endWithStatus } from './grpc-wire.ts';
import { MessageError } from './message-reader.ts';
import type { RequestHead } from './request-head.ts';
import type { FieldPair, Stream, StreamHandler } from './stream.ts';
import { unreadable } from './unary-call.ts';

export class StreamCall extends GrpcCall implements StreamHandler, AnswerStream<object> {
  readonly #method: StreamMethod;
  #sink: RequestSink<object> | undefined;
  #isPaused = false;
  /** Requests are being delivered: `resume` from inside only lifts the pause. */
  #isDelivering = false;
  #isRemoteEnded = false;
  #isEndTold = false;
  #requests = 0;
  /** Come and not yet given back to the client's window, as the handler is paused. */
  #owedBytes = 0;

  constructor(stream: Stream, head: RequestHead, method: StreamMethod, scope: CallScope) {
    super(stream, head, scope);
    this.#method = method;
  }

  open(): void {
    try {
      this.#sink = this.#method.open(this);
    } catch (error) {
      if (this.isOver) throw error;
      this.failWith(error);
    }
  }

  // What the stream tells.

  data(bytes: Buffer, start: number, end: number): void {
    if (this.isOver) return this.stream.consumed(end - start);
    this.#owedBytes += end - start;
    this.reader.push(bytes, start, end);
    this.#deliver();
    if (!this.isOver && !this.hold(this.reader.heldBytes)) this.#break(tooMuchHeld);
  }

  ended(): void {
    this.#isRemoteEnded = true;
    this.#deliver();
  }

  drained(): void {
    if (!this.isOver) this.#sink?.drained();
  }

  protected override interrupted(): void {
    this.#sink?.gone();
  }

  #deliver(): void {
    if (this.#isDelivering || this.isOver) return;
    this.#isDelivering = true;
    try {
      while (!this.#isPaused && !this.isOver && this.#deliverNext());
    } catch (error) {
      this.#break(error);
    } finally {
      this.#isDelivering = false;
    }
    if (this.#isPaused && !this.isOver) return;
    this.stream.consumed(this.#owedBytes);
    this.#owedBytes = 0;
  }

  /** False when there is nothing to deliver for now. */
  #deliverNext(): boolean {
    const sink = this.#sink;
    if (sink === undefined) return false;
    const message = this.reader.next();
    if (message === undefined) return this.#deliverEnd(sink);
    this.#requests++;
    if (this.#requests > 1 && !this.#method.isRequestStream) {
      const details = 'cardinality violation: received multiple request messages for non-client-streaming RPC';
      throw new MessageError(grpcStatus.internal, details);
    }
    sink.request(this.#decode(message));
    return true;
  }

  #deliverEnd(sink: RequestSink<object>): boolean {
    if (!this.#isRemoteEnded || this.#isEndTold) return false;
    if (this.reader.heldBytes > 0) throw new MessageError(grpcStatus.internal, 'the request ends within a message');
    if (this.#requests === 0 && !this.#method.isRequestStream) {
      throw new MessageError(grpcStatus.internal, 'this call needs one request message');
    }
    this.#isEndTold = true;
    sink.ended();
    return false;
  }

  #decode(message: Buffer): object {
    try {
      return this.#method.codec.decode(message);
    } catch (error) {
      throw unreadable(error);
    }
  }

  /** The call cannot go on: the client is answered, the handler is told that the stream is gone. */
  #break(error: unknown): void {
    if (this.isOver) throw error;
    this.failWith(error);
    this.#sink?.gone();
  }

  // What the handler does (AnswerStream).

  get call(): Call {
    return this;
  }

  accept(metadata: readonly FieldPair[]): void {
    if (this.isOver) return;
    this.stream.sendHead([[':status', '200'], ['content-type', 'application/grpc'], ...metadata]);
  }

  write(answer: object): boolean {
    if (this.isOver) return true;
    const { stream } = this;
    const bytes = this.#method.codec.encode(answer);
    if (stream.head === undefined) stream.sendHead('grpc');
    stream.sendMessage(bytes);
    return this.#hasRoom(stream);
  }

  writeShared(message: SharedMessage, number: number): boolean {
    if (this.isOver) return true;
    const { stream } = this;
    if (stream.head === undefined) stream.sendHead('grpc');
    stream.sendShared(message, number);
    return this.#hasRoom(stream);
  }

  #hasRoom(stream: Stream): boolean {
    if (!stream.isFull) return true;
    stream.owner.awaitRoom(stream);
    return false;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#deliver();
  }

  end(): void {
    if (this.isOver) return;
    this.finish();
    const { stream } = this;
    if (stream.head === undefined) stream.sendHead('grpc');
    stream.end('grpc');
  }

  fail(status: StatusError): void {
    if (this.isOver) return;
    assert(status.code !== grpcStatus.ok, 'a failure is not OK');
    this.finish();
    endWithStatus(this.stream, status.code, status.details, status.metadata);
  }
}
