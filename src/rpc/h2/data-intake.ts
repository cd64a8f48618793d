/**
 * DATA frames of one connection on their way to their streams: the windows of the receiving side, padding, and the length
 * that a request has said. Throws ConnectionError when the connection's window is overrun.
 */
import { ConnectionError, errorCode, frameFlag } from './frames.ts';
import { connectionWindowBytes, windowStepShare } from './limits.ts';
import type { Stream } from './stream.ts';

export interface IntakeEvents {
  /** Undefined: the bytes are for nobody, which was told where it had to be. */
  streamOf(streamId: number): Stream | undefined;
  /** The other side may send as many bytes more on the connection. */
  widen(bytes: number): void;
  reset(stream: Stream, code: number): void;
  /** A frame without content that ends nothing. */
  nothing(): void;
  /** The other side sends no more on the stream. */
  ends(stream: Stream): void;
}

const windowStepBytes = connectionWindowBytes / windowStepShare;

export class DataIntake {
  readonly #events: IntakeEvents;
  #receiveWindow = connectionWindowBytes;
  #owedBytes = 0;
  /** Of the frame under way; undefined: its bytes are for nobody. */
  #stream: Stream | undefined;
  #flags = 0;
  #paddingBytes = 0;

  constructor(events: IntakeEvents) {
    this.#events = events;
  }

  begins(streamId: number, flags: number, length: number): void {
    this.#receiveWindow -= length;
    if (this.#receiveWindow < 0) {
      throw new ConnectionError(errorCode.flowControlError, 'more DATA than the window of the connection');
    }
    this.#owedBytes += length;
    if (this.#owedBytes >= windowStepBytes) {
      this.#events.widen(this.#owedBytes);
      this.#receiveWindow += this.#owedBytes;
      this.#owedBytes = 0;
    }
    this.#flags = flags;
    this.#paddingBytes = length;
    this.#stream = this.#events.streamOf(streamId);
    const stream = this.#stream;
    if (stream === undefined) return;
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) return this.#events.reset(stream, errorCode.flowControlError);
    if (length === 0 && (flags & frameFlag.endStream) === 0) this.#events.nothing();
  }

  bytes(bytes: Buffer, start: number, end: number): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    this.#paddingBytes -= end - start;
    if (stream.contentLeft >= 0) {
      stream.contentLeft -= end - start;
      if (stream.contentLeft < 0) return this.#events.reset(stream, errorCode.protocolError);
    }
    stream.handler?.data(bytes, start, end);
  }

  over(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream === undefined) return;
    if (this.#paddingBytes > 0) stream.consumed(this.#paddingBytes);
    if ((this.#flags & frameFlag.endStream) !== 0) this.#events.ends(stream);
  }

  forget(stream: Stream): void {
    if (this.#stream === stream) this.#stream = undefined;
  }
}
