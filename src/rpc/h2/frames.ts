/** HTTP/2 frames (RFC 9113, sections 4 and 6): their numbers, and how those that are made here are written. */
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
