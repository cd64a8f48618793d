/**
 * HTTP/2 frames (RFC 9113, sections 4 and 6): numbers, and a reader that cuts a stream of bytes into frames.
 *
 * The reader copies nothing that arrived in one piece: payloads are handed on as (bytes, start, end), valid only during
 * the call. DATA is passed on as it comes, in pieces, so that a large message is never kept twice; every other frame is
 * kept until it is whole, at most `frameBytesMax` bytes.
 */
import { frameBytesMax } from './limits.ts';

export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const frameFlag = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

export const errorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const;

export const settingId = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

export const frameHeaderBytes = 9;
/** What every end must be able to receive (RFC 9113, section 4.2); this server sends no larger frames. */
export const frameBytesLeast = 16_384;
export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
/** Of a window (RFC 9113, section 6.9.1), and of a stream's identifier. */
export const int31Max = 2 ** 31 - 1;

/** The client broke the protocol in a way that ends the connection. Thrown by the readers, answered with GOAWAY. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

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

/** A 32-bit number without its first bit, which is reserved. */
export function readUint31(bytes: Buffer, at: number): number {
  return (
    (((bytes[at] as number) & 0x7f) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  );
}

/** Writes the nine bytes of a frame's header at `at`; returns where the payload goes. */
export function writeFrameHeader(
  target: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  target[at] = length >>> 16;
  target[at + 1] = length >>> 8;
  target[at + 2] = length;
  target[at + 3] = type;
  target[at + 4] = flags;
  target[at + 5] = streamId >>> 24;
  target[at + 6] = streamId >>> 16;
  target[at + 7] = streamId >>> 8;
  target[at + 8] = streamId;
  return at + frameHeaderBytes;
}

function small(payloadBytes: number, type: number, flags: number, streamId: number): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + payloadBytes);
  writeFrameHeader(frame, 0, payloadBytes, type, flags, streamId);
  return frame;
}

export function encodeSettings(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const frame = small(settings.length * 6, frameType.settings, 0, 0);
  settings.forEach(([id, value], position) => {
    frame.writeUInt16BE(id, frameHeaderBytes + position * 6);
    frame.writeUInt32BE(value, frameHeaderBytes + position * 6 + 2);
  });
  return frame;
}

export const settingsAck: Buffer = small(0, frameType.settings, frameFlag.ack, 0);

/** `payload` is copied. */
export function encodePing(payload: Uint8Array, isAck: boolean): Buffer {
  const frame = small(8, frameType.ping, isAck ? frameFlag.ack : 0, 0);
  frame.set(payload, frameHeaderBytes);
  return frame;
}

export function encodeRstStream(streamId: number, code: number): Buffer {
  const frame = small(4, frameType.rstStream, 0, streamId);
  frame.writeUInt32BE(code, frameHeaderBytes);
  return frame;
}

export function encodeWindowUpdate(streamId: number, increment: number): Buffer {
  const frame = small(4, frameType.windowUpdate, 0, streamId);
  frame.writeUInt32BE(increment, frameHeaderBytes);
  return frame;
}

export function encodeGoAway(lastStreamId: number, code: number, reason: string): Buffer {
  const text = Buffer.from(reason, 'latin1');
  const frame = small(8 + text.length, frameType.goAway, 0, 0);
  frame.writeUInt32BE(lastStreamId, frameHeaderBytes);
  frame.writeUInt32BE(code, frameHeaderBytes + 4);
  text.copy(frame, frameHeaderBytes + 8);
  return frame;
}
