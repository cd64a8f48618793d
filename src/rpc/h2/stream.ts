/**
 * One stream of a connection: what may still be received, and what waits to be sent. Whoever answers the request is its
 * `handler`; the connection calls that, and the handler calls `send…`, `end` and `reset` here. Nothing is written before
 * the sender's turn (sender.ts).
 */
import { assert } from '../../env/assert.ts';
import { streamQueueBytesHigh, streamWindowBytes, windowStepShare } from './limits.ts';

export interface StreamHandler {
  /** Part of the request's body, valid during the call. The handler owes `stream.consumed` for it, now or later. */
  data(bytes: Buffer, start: number, end: number): void;
  /** The client sends no more. */
  ended(): void;
  /** The stream is over although its end was not written: cancelled, broken, or the connection is gone. */
  gone(code: number): void;
  /** There is room again after `isFull`. */
  drained(): void;
}

/** What a stream needs of its connection. */
export interface StreamOwner {
  readonly isFull: boolean;
  /** `bytes` more wait on `stream`, or just something that takes no bytes. */
  queued(stream: Stream, bytes: number): void;
  giveBack(stream: Stream, bytes: number): void;
  reset(stream: Stream, code: number): void;
  /** Tells `stream.handler.drained` once there is room. */
  awaitRoom(stream: Stream): void;
}

export type FieldPair = readonly [name: string, value: string];
/** `grpc`: the block that every good answer begins, or ends, with. */
export type HeaderBlock = 'grpc' | readonly FieldPair[];

/** In front of each gRPC message: whether it is compressed, and its length. */
export const messagePrefixBytes = 5;
const noChunks: Uint8Array[] = [];
const windowStepBytes = streamWindowBytes / windowStepShare;

export class Stream {
  readonly id: number;
  readonly owner: StreamOwner;
  handler: StreamHandler | undefined = undefined;

  isRemoteEnded = false;
  /** Reset by either end, or ended by both: nothing may be sent or told any more. */
  isOver = false;
  /** Bytes that the client may still send. */
  receiveWindow = streamWindowBytes;
  /** Taken by the handler and not yet given back to the client's window. */
  #owedBytes = 0;
  /** Of the body, where the request said how long it is; else -1. */
  contentLeft = -1;

  /** May be negative: the client can make its windows smaller while they are in use. */
  sendWindow: number;
  /** In the sender's queue. */
  isReady = false;
  /** Waits for the connection's window. */
  isBlocked = false;
  head: HeaderBlock | undefined = undefined;
  isHeadWritten = false;
  trailers: HeaderBlock | undefined = undefined;
  /** `end` was called: after what waits, the stream ends. */
  isEnding = false;
  /** Invariant: the sum of what waits, message prefixes included. */
  queuedBytes = 0;
  /** Whether each chunk is a message that goes out with a prefix. */
  hasPrefixes = false;
  #first: Uint8Array | undefined = undefined;
  /** Of the first chunk, prefix included, what has been written. */
  #offset = 0;
  #rest: Uint8Array[] = noChunks;
  #restAt = 0;

  constructor(id: number, owner: StreamOwner, sendWindow: number) {
    this.id = id;
    this.owner = owner;
    this.sendWindow = sendWindow;
  }

  /** True when it would be wise to wait for `drained`. */
  get isFull(): boolean {
    return this.queuedBytes >= streamQueueBytesHigh || this.owner.isFull;
  }

  sendHead(head: HeaderBlock): void {
    assert(this.head === undefined, 'an answer has one head');
    this.head = head;
    if (!this.isOver) this.owner.queued(this, 0);
  }

  /** A message of a gRPC answer; its prefix is added. The bytes must not change any more. */
  sendMessage(message: Uint8Array): void {
    this.hasPrefixes = true;
    this.#push(message, message.length + messagePrefixBytes);
  }

  /** Part of a body. The bytes must not change any more. */
  sendBytes(bytes: Uint8Array): void {
    assert(!this.hasPrefixes, 'an answer is either messages or bytes');
    if (bytes.length > 0) this.#push(bytes, bytes.length);
  }

  /** Nothing may be sent after this. Without trailers the last bytes end the stream. */
  end(trailers?: HeaderBlock): void {
    assert(!this.isEnding, 'an answer ends once');
    assert(this.head !== undefined, 'an answer begins with a head');
    this.trailers = trailers;
    this.isEnding = true;
    if (!this.isOver) this.owner.queued(this, 0);
  }

  /** Drops what waits and tells the client. */
  reset(code: number): void {
    if (!this.isOver) this.owner.reset(this, code);
  }

  /** `bytes` of the body are dealt with: the client may send as many again. */
  consumed(bytes: number): void {
    this.#owedBytes += bytes;
    if (this.#owedBytes < windowStepBytes || this.isRemoteEnded || this.isOver) return;
    this.owner.giveBack(this, this.#owedBytes);
    this.receiveWindow += this.#owedBytes;
    this.#owedBytes = 0;
  }

  #push(chunk: Uint8Array, bytes: number): void {
    assert(this.head !== undefined && !this.isEnding, 'bytes go between head and end');
    if (this.isOver) return;
    if (this.#first === undefined) this.#first = chunk;
    else {
      if (this.#rest === noChunks) this.#rest = [];
      this.#rest.push(chunk);
    }
    this.queuedBytes += bytes;
    this.owner.queued(this, bytes);
  }

  /** Moves `bytes` of what waits to `target`. */
  writeTo(target: Buffer, start: number, bytes: number): void {
    assert(bytes <= this.queuedBytes, 'only what waits can be written');
    let at = start;
    const end = start + bytes;
    const prefixBytes = this.hasPrefixes ? messagePrefixBytes : 0;
    while (at < end) {
      const chunk = this.#first as Uint8Array;
      for (; this.#offset < prefixBytes && at < end; this.#offset++) {
        target[at++] = this.#offset === 0 ? 0 : chunk.length >>> (8 * (prefixBytes - 1 - this.#offset));
      }
      const from = this.#offset - prefixBytes;
      const take = Math.min(end - at, chunk.length - from);
      if (take > 0) {
        copyBytes(chunk, from, take, target, at);
        at += take;
        this.#offset += take;
      }
      if (this.#offset < prefixBytes + chunk.length) break;
      this.#nextChunk();
    }
    this.queuedBytes -= bytes;
    assert(at === end, 'as much was written as was asked for');
  }

  #nextChunk(): void {
    this.#offset = 0;
    if (this.#restAt < this.#rest.length) {
      this.#first = this.#rest[this.#restAt];
      this.#rest[this.#restAt++] = noBytes;
      if (this.#restAt < 64 || this.#restAt * 2 < this.#rest.length) return;
      this.#rest = this.#rest.slice(this.#restAt);
      this.#restAt = 0;
    } else {
      this.#first = undefined;
      if (this.#restAt === 0) return;
      this.#rest = [];
      this.#restAt = 0;
    }
  }

  /** Forgets what waits; returns how many bytes that were. */
  drop(): number {
    const bytes = this.queuedBytes;
    this.queuedBytes = 0;
    this.#first = undefined;
    this.#rest = noChunks;
    this.#restAt = 0;
    return bytes;
  }
}

const noBytes = new Uint8Array(0);
/** Below it a loop is faster than a call out of JavaScript. */
const loopBytesMax = 48;

function copyBytes(source: Uint8Array, from: number, bytes: number, target: Buffer, at: number): void {
  if (bytes <= loopBytesMax) {
    for (let index = 0; index < bytes; index++) target[at + index] = source[from + index] as number;
  } else if (bytes === source.length) target.set(source, at);
  else target.set(source.subarray(from, from + bytes), at);
}
