/**
 * The streams of one end of an HTTP/2 connection and what it sends: on them, and beside them in control frames. What comes in
 * is the business of http2-end.ts.
 */
import { assert } from '../../env/assert.ts';
import { ClosedStreams } from './closed-streams.ts';
import { ConnectionError, encodeGoAway, encodePing, encodeRstStream, encodeWindowUpdate, errorCode } from './frames.ts';
import type { OutputBuffer } from './output-buffer.ts';
import { Sender } from './sender.ts';
import type { Stream } from './stream.ts';

export abstract class Http2Streams {
  protected readonly streams = new Map<number, Stream>();
  protected readonly closed = new ClosedStreams();
  protected readonly sender: Sender;
  /** There is something to produce. */
  protected readonly wake: () => void;
  /** Why the connection must be closed once what `produce` gives has been written. */
  failure: ConnectionError | undefined;

  constructor(wake: () => void) {
    this.wake = wake;
    this.sender = new Sender(this);
  }

  /** For our GOAWAY: the highest stream of the other side that was looked at. */
  protected abstract readonly lastRemoteStreamId: number;

  get streamCount(): number {
    return this.streams.size;
  }

  get isFailed(): boolean {
    return this.failure !== undefined;
  }

  /** Streams should stop writing for now. */
  get isFull(): boolean {
    return this.sender.isFull;
  }

  /** Writes what is due into one run of `output`; true when there is more. */
  produce(output: OutputBuffer): boolean {
    return this.sender.produce(output);
  }

  /** Tells the streams that there is room for more; call it after `produce`. */
  tellDrained(): void {
    for (const stream of this.sender.takeDrained()) stream.handler?.drained();
  }

  ping(payload: Uint8Array): void {
    this.control(encodePing(payload, false));
  }

  /** The socket is gone. */
  lost(): void {
    for (const stream of this.streams.values()) this.finish(stream, errorCode.cancel);
    assert(this.streams.size === 0, 'no stream outlives its connection');
  }

  /** Ends the connection with a GOAWAY that says why. */
  fail(code: number, reason: string): void {
    if (!this.isFailed) this.failBy(new ConnectionError(code, reason));
  }

  protected failBy(error: ConnectionError): void {
    this.failure = error;
    this.control(encodeGoAway(this.lastRemoteStreamId, error.code, error.message));
  }

  protected control(frame: Buffer): void {
    this.sender.control(frame);
    this.wake();
  }

  // What streams ask for (StreamOwner).

  queued(stream: Stream, bytes: number): void {
    this.sender.queued(stream, bytes);
    this.wake();
  }

  giveBack(stream: Stream, bytes: number): void {
    this.control(encodeWindowUpdate(stream.id, bytes));
  }

  reset(stream: Stream, code: number): void {
    this.closed.add(stream.id, true);
    this.control(encodeRstStream(stream.id, code));
    this.finish(stream, code);
  }

  awaitRoom(stream: Stream): void {
    this.sender.awaitRoom(stream);
  }

  // What the sender tells (SenderEvents).

  abstract endWritten(stream: Stream, output: OutputBuffer): void;

  overrun(reason: string): void {
    this.fail(errorCode.enhanceYourCalm, reason);
  }

  /** Forgets a stream whose end both sides have seen. */
  protected close(stream: Stream): void {
    assert(!stream.isOver, 'a stream ends once');
    stream.isOver = true;
    this.sender.forget(stream);
    this.streams.delete(stream.id);
  }

  /** Ends a stream that is cut off, and says so to its handler. */
  protected finish(stream: Stream, code: number): void {
    this.close(stream);
    stream.handler?.gone(code);
  }
}
