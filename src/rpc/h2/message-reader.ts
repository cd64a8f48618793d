/**
 * Cuts the body of a request into gRPC messages: a flag, a length of four bytes, the message. A message that came in one
 * piece is a view into it; one that came in several is put together once all of it is there, so that each byte is copied
 * once at most and a length alone reserves nothing.
 */
import { gunzipSync } from 'node:zlib';
import { assert, present } from '../../env/assert.ts';
import { errorText } from '../../env/errors.ts';
import { grpcStatus } from '../grpc-status.ts';
import type { StatusError } from '../service.ts';
import { messagePrefixBytes } from './stream.ts';

/**
 * A piece that has to wait holds all that the socket read with it: at most so many times its own length, else it is copied.
 * Small ones are copied behind others of their kind, so that a byte does not cost an object either.
 */
const heldTimesMax = 4;
const smallBytes = 1024;
const gatheredBytes = 2048;

/** `bytes[start, end)`; `isOwn`: this reader's, with room behind `end`. */
interface Piece {
  readonly bytes: Buffer;
  start: number;
  end: number;
  readonly isOwn: boolean;
}

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
  /** What has come and was not taken; empty pieces are not kept. */
  readonly #pieces: Piece[] = [];
  #held = 0;

  constructor(messageBytesMax: number, isGzip: boolean) {
    this.#messageBytesMax = messageBytesMax;
    this.#isGzip = isGzip;
  }

  get heldBytes(): number {
    return this.#held;
  }

  push(bytes: Buffer, start: number, end: number): void {
    if (start === end) return;
    this.#held += end - start;
    // Most often it is a whole message, or several.
    if (this.#pieces.length === 0) this.#pieces.push({ bytes, start, end, isOwn: false });
    else this.#keep(bytes, start, end);
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    const piece = { bytes, start, end, isOwn: false };
    const last = this.#pieces.at(-1);
    if (mayWait(piece)) this.#pieces.push(piece);
    else if (last?.isOwn && last.bytes.length - last.end >= end - start) {
      last.end += bytes.copy(last.bytes, last.end, start, end);
    } else this.#pieces.push(copied(piece));
  }

  /** The next message, undefined until it is whole. Throws MessageError; then the call is over. */
  next(): Buffer | undefined {
    if (this.#held < messagePrefixBytes) return this.#wait();
    let first = this.#first(messagePrefixBytes);
    const length = first.bytes.readUInt32BE(first.start + 1);
    if (length > this.#messageBytesMax) {
      const details = `grpc: received message larger than max (${length} vs. ${this.#messageBytesMax})`;
      throw new MessageError(grpcStatus.resourceExhausted, details);
    }
    const wholeBytes = messagePrefixBytes + length;
    if (this.#held < wholeBytes) return this.#wait();
    first = this.#first(wholeBytes);
    const flag = first.bytes[first.start] as number;
    const message = first.bytes.subarray(first.start + messagePrefixBytes, first.start + wholeBytes);
    first.start += wholeBytes;
    this.#held -= wholeBytes;
    assert(this.#held >= 0 && first.start <= first.end, 'a message ends within what has come');
    if (first.start === first.end) this.#pieces.shift();
    if (flag === 0) return message;
    if (flag !== 1) throw new MessageError(grpcStatus.internal, `grpc: received unexpected payload format ${flag}`);
    return this.#unzip(message);
  }

  /** The first piece, with `bytes` in it at least: put together of several if need be. */
  #first(bytes: number): Piece {
    const pieces = this.#pieces;
    const first = present(pieces[0], 'what is held lies in pieces');
    if (first.end - first.start >= bytes) return first;
    const whole = Buffer.allocUnsafeSlow(bytes);
    let at = 0;
    let emptied = 0;
    while (at < bytes) {
      const piece = present(pieces[emptied], 'what is held lies in pieces');
      const end = Math.min(piece.end, piece.start + bytes - at);
      at += piece.bytes.copy(whole, at, piece.start, end);
      piece.start = end;
      if (end === piece.end) emptied++;
    }
    const joined = { bytes: whole, start: 0, end: bytes, isOwn: false };
    pieces.splice(0, emptied, joined);
    return joined;
  }

  /** Nothing whole is there: the first piece, which was kept as it came, has to wait like the others. */
  #wait(): undefined {
    const [first] = this.#pieces;
    if (first !== undefined && !first.isOwn && !mayWait(first)) this.#pieces[0] = copied(first);
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

function mayWait({ bytes, start, end }: Piece): boolean {
  return end - start >= smallBytes && (end - start) * heldTimesMax >= bytes.buffer.byteLength;
}

function copied({ bytes, start, end }: Piece): Piece {
  const own = Buffer.allocUnsafeSlow(Math.max(gatheredBytes, end - start));
  return { bytes: own, start: 0, end: bytes.copy(own, 0, start, end), isOwn: true };
}
