/**
 * Cuts a stream of bytes into HTTP/2 frames.
 *
 * The reader copies nothing that arrived in one piece: payloads are handed on as (bytes, start, end). DATA is passed on as
 * it comes, in pieces, so that a large message is never kept twice; every other frame is kept until it is whole, at most
 * `frameBytesMax` bytes.
 */
import { ConnectionError, errorCode, frameFlag, frameHeaderBytes, frameType, readUint31 } from './frames.ts';
import { frameBytesMax } from './limits.ts';

export interface FrameSink {
  /** A DATA frame begins; `length` is what counts against the windows, padding included. */
  dataBegins(streamId: number, flags: number, length: number): void;
  dataBytes(bytes: Buffer, start: number, end: number): void;
  dataEnds(): void;
  /** Any other frame, whole. */
  frame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void;
}

export class FrameReader {
  readonly #sink: FrameSink;
  /** A frame that came in part: its header first, then all of it. */
  #held: Buffer | undefined;
  #heldBytes = 0;
  /** Of the DATA frame under way. Invariant: `#paddingLeft <= #payloadLeft` once the padding's length is known. */
  #isInData = false;
  #payloadLeft = 0;
  #paddingLeft = 0;
  #needsPaddingLength = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Takes the next bytes of the connection. Throws ConnectionError; nothing may be read after that. */
  read(bytes: Buffer): void {
    const end = bytes.length;
    let at = 0;
    while (at < end) {
      if (this.#isInData) at = this.#readData(bytes, at, end);
      else if (this.#held !== undefined) at = this.#fill(this.#held, bytes, at, end);
      else at = this.#readFrame(bytes, at, end);
    }
  }

  #readFrame(bytes: Buffer, at: number, end: number): number {
    if (end - at < frameHeaderBytes) return this.#hold(frameHeaderBytes, bytes, at, end);
    const length = frameLength(bytes, at);
    if (length > frameBytesMax) throw tooLong(length);
    const type = bytes[at + 3] as number;
    const payloadAt = at + frameHeaderBytes;
    if (type === frameType.data) {
      this.#beginData(bytes, at, length);
      return payloadAt;
    }
    const stop = payloadAt + length;
    if (stop > end) return this.#hold(frameHeaderBytes + length, bytes, at, end);
    this.#sink.frame(type, bytes[at + 4] as number, frameStreamId(bytes, at), bytes, payloadAt, stop);
    return stop;
  }

  #beginData(header: Buffer, at: number, length: number): void {
    const flags = header[at + 4] as number;
    const isPadded = (flags & frameFlag.padded) !== 0;
    if (isPadded && length === 0) {
      throw new ConnectionError(
        errorCode.frameSizeError,
        'a padded DATA frame has no room for the length of its padding',
      );
    }
    this.#sink.dataBegins(frameStreamId(header, at), flags, length);
    this.#isInData = true;
    this.#payloadLeft = length;
    this.#paddingLeft = 0;
    this.#needsPaddingLength = isPadded;
    if (length === 0) this.#endData();
  }

  #readData(bytes: Buffer, start: number, end: number): number {
    let at = start;
    if (this.#needsPaddingLength) {
      this.#needsPaddingLength = false;
      this.#paddingLeft = bytes[at] as number;
      this.#payloadLeft--;
      at++;
      if (this.#paddingLeft > this.#payloadLeft) {
        throw new ConnectionError(errorCode.protocolError, 'the padding of a DATA frame is longer than the frame');
      }
    }
    const take = Math.min(end - at, this.#payloadLeft - this.#paddingLeft);
    if (take > 0) {
      this.#payloadLeft -= take;
      this.#sink.dataBytes(bytes, at, at + take);
      at += take;
    }
    if (this.#payloadLeft === this.#paddingLeft) {
      const skip = Math.min(end - at, this.#paddingLeft);
      this.#paddingLeft -= skip;
      this.#payloadLeft -= skip;
      at += skip;
    }
    if (this.#payloadLeft === 0) this.#endData();
    return at;
  }

  #endData(): void {
    this.#isInData = false;
    this.#sink.dataEnds();
  }

  #hold(wantedBytes: number, bytes: Buffer, at: number, end: number): number {
    this.#held = Buffer.allocUnsafeSlow(wantedBytes);
    this.#heldBytes = bytes.copy(this.#held, 0, at, end);
    return end;
  }

  #fill(held: Buffer, bytes: Buffer, start: number, end: number): number {
    const copied = bytes.copy(held, this.#heldBytes, start, end);
    this.#heldBytes += copied;
    if (this.#heldBytes < held.length) return start + copied;
    const length = frameLength(held, 0);
    if (length > frameBytesMax) throw tooLong(length);
    const isHeaderOnly = held.length === frameHeaderBytes;
    const type = held[3] as number;
    this.#held = undefined;
    if (isHeaderOnly && type === frameType.data) this.#beginData(held, 0, length);
    else if (isHeaderOnly && length > 0) this.#hold(frameHeaderBytes + length, held, 0, frameHeaderBytes);
    else this.#sink.frame(type, held[4] as number, frameStreamId(held, 0), held, frameHeaderBytes, held.length);
    return start + copied;
  }
}

function tooLong(length: number): ConnectionError {
  return new ConnectionError(
    errorCode.frameSizeError,
    `a frame of ${length} bytes, at most ${frameBytesMax} are allowed`,
  );
}

function frameLength(bytes: Buffer, at: number): number {
  return ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
}

function frameStreamId(bytes: Buffer, at: number): number {
  return readUint31(bytes, at + 5);
}
