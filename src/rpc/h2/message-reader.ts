/**
 * Cuts the body of a request into gRPC messages: a flag, a length of four bytes, the message. A message that came in one
 * piece is a view into it; one that came in several is put together in a buffer that grows with what has really come, so
 * that a length alone reserves nothing.
 */
import { gunzipSync } from 'node:zlib';
import { assert } from '../../env/assert.ts';
import { errorText } from '../../env/errors.ts';
import { grpcStatus } from '../grpc-status.ts';
import type { StatusError } from '../service.ts';
import { messagePrefixBytes } from './stream.ts';

const nothing = Buffer.alloc(0);
/** The first buffer of a message in pieces; each next one doubles. */
const bufferBytesMin = 4096;

/** A message cannot be taken: the call ends with this. */
export class MessageError extends Error {
  override readonly name = 'MessageError';
  readonly status: StatusError;
  constructor(code: number, details: string) {
    super(details);
    this.status = { code, details };
  }
}

export class MessageReader {
  readonly #messageBytesMax: number;
  readonly #isGzip: boolean;
  /** What has come and was not taken is `#buffer[#start, #end)`. */
  #buffer: Buffer = nothing;
  #start = 0;
  #end = 0;
  /** The buffer is of this reader: there may be room behind `#end`. */
  #isOwn = false;

  constructor(messageBytesMax: number, isGzip: boolean) {
    this.#messageBytesMax = messageBytesMax;
    this.#isGzip = isGzip;
  }

  get heldBytes(): number {
    return this.#end - this.#start;
  }

  push(bytes: Buffer, start: number, end: number): void {
    const held = this.heldBytes;
    if (held === 0) {
      this.#buffer = bytes;
      this.#start = start;
      this.#end = end;
      this.#isOwn = false;
      return;
    }
    if (!this.#isOwn || this.#buffer.length - this.#end < end - start) this.#grow(held + end - start);
    this.#end += bytes.copy(this.#buffer, this.#end, start, end);
  }

  #grow(neededBytes: number): void {
    const held = this.heldBytes;
    const buffer = Buffer.allocUnsafeSlow(Math.max(bufferBytesMin, neededBytes, Math.min(held * 2, this.#whole())));
    this.#buffer.copy(buffer, 0, this.#start, this.#end);
    this.#buffer = buffer;
    this.#start = 0;
    this.#end = held;
    this.#isOwn = true;
  }

  /** What the message under way takes; more than any while that is unknown. */
  #whole(): number {
    if (this.heldBytes < messagePrefixBytes) return Number.POSITIVE_INFINITY;
    return messagePrefixBytes + this.#buffer.readUInt32BE(this.#start + 1);
  }

  /** The next message, undefined until it is whole. Throws MessageError; then the call is over. */
  next(): Buffer | undefined {
    const held = this.heldBytes;
    if (held < messagePrefixBytes) return undefined;
    const buffer = this.#buffer;
    const length = buffer.readUInt32BE(this.#start + 1);
    if (length > this.#messageBytesMax) {
      const details = `grpc: received message larger than max (${length} vs. ${this.#messageBytesMax})`;
      throw new MessageError(grpcStatus.resourceExhausted, details);
    }
    if (held < messagePrefixBytes + length) return undefined;
    const flag = buffer[this.#start] as number;
    const from = this.#start + messagePrefixBytes;
    this.#start = from + length;
    assert(this.#start <= this.#end, 'a message ends within what has come');
    const message = buffer.subarray(from, this.#start);
    if (this.#start === this.#end) this.#release();
    // What is behind the message must not be written into what was handed out.
    else this.#isOwn = false;
    if (flag === 0) return message;
    if (flag !== 1) throw new MessageError(grpcStatus.internal, `grpc: received unexpected payload format ${flag}`);
    return this.#unzip(message);
  }

  #release(): void {
    this.#buffer = nothing;
    this.#start = 0;
    this.#end = 0;
    this.#isOwn = false;
  }

  #unzip(message: Buffer): Buffer {
    if (!this.#isGzip) {
      throw new MessageError(grpcStatus.internal, 'grpc: compressed flag set with identity or empty encoding');
    }
    try {
      return gunzipSync(message, { maxOutputLength: Math.max(1, this.#messageBytesMax) });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
        const details = `grpc: received message after decompression larger than max (${this.#messageBytesMax + 1} vs. ${this.#messageBytesMax})`;
        throw new MessageError(grpcStatus.resourceExhausted, details);
      }
      throw new MessageError(
        grpcStatus.internal,
        `grpc: failed to decompress the received message: ${errorText(error)}`,
      );
    }
  }
}
