/**
 * One stream of a connection: what may still be received, and what waits to be sent. Whoever answers the request is its
 * `handler`; the connection calls that, and the handler calls `send…`, `end` and `reset` here. Nothing is written before
 * the sender's turn (sender.ts).
 */
import { assert } from '../../env/assert.ts';
import type { SharedMessage } from '../shared-message.ts';
import { SharedRun } from './shared-run.ts';
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
const noChunks: Chunk[] = [];
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
  #first: Chunk | undefined = undefined;
  /** Of the first chunk, prefix included, what has been written. */
  #offset = 0;
  #rest: Chunk[] = noChunks;
  #restAt = 0;
  /** The last chunk, if more receivers of its message may be added. */
  #lastRun: SharedRun | undefined = undefined;
  /** What is left of a run whose next message is the first chunk, as it did not fit in one piece. */
  #cutRun: SharedRun | undefined = undefined;

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

  /** The same for a message that goes to many: it is written where it is sent from, not before. */
  sendShared(message: SharedMessage, number: number): void {
    this.hasPrefixes = true;
    const bytes = message.length(number) + messagePrefixBytes;
    const run = this.#lastRun;
    if (run === undefined || run.message !== message) {
      const next = new SharedRun(message, number);
      this.#push(next, bytes);
      if (!this.isOver) this.#lastRun = next;
      return;
    }
    assert(!this.isEnding && !this.isOver, 'a stream that has ended holds no run');
    run.add(number);
    this.queuedBytes += bytes;
    this.owner.queued(this, bytes);
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

  #push(chunk: Chunk, bytes: number): void {
    assert(this.head !== undefined && !this.isEnding, 'bytes go between head and end');
    if (this.isOver) return;
    this.#lastRun = undefined;
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
      const chunk = this.#first as Chunk;
      if (chunk instanceof SharedRun) {
        at = this.#writeRun(chunk, target, at, end);
        continue;
      }
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

  /** Whole messages; one that does not fit becomes a chunk of its own. */
  #writeRun(run: SharedRun, target: Buffer, start: number, end: number): number {
    const { message } = run;
    let at = start;
    for (; !run.isOver; run.at++) {
      const { number } = run;
      const length = message.length(number);
      if (at + messagePrefixBytes + length > end) break;
      target[at] = 0;
      target[at + 1] = length >>> 24;
      target[at + 2] = length >>> 16;
      target[at + 3] = length >>> 8;
      target[at + 4] = length;
      at = message.writeTo(target, at + messagePrefixBytes, number);
    }
    if (!run.isOver) {
      if (at === end) return at;
      this.#first = run.bytes();
      run.at++;
      if (!run.isOver) {
        this.#cutRun = run;
        return at;
      }
    } else this.#nextChunk();
    // All its messages are on their way.
    if (this.#lastRun === run) this.#lastRun = undefined;
    return at;
  }

  #nextChunk(): void {
    this.#offset = 0;
    if (this.#cutRun !== undefined) {
      this.#first = this.#cutRun;
      this.#cutRun = undefined;
    } else if (this.#restAt < this.#rest.length) {
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
    this.#lastRun = undefined;
    this.#cutRun = undefined;
    this.#rest = noChunks;
    this.#restAt = 0;
    return bytes;
  }
}

/** The bytes of a message, or of part of a body, or several messages. */
type Chunk = Uint8Array | SharedRun;

const noBytes = new Uint8Array(0);
/** Below it a loop is faster than a call out of JavaScript. */
const loopBytesMax = 48;

function copyBytes(source: Uint8Array, from: number, bytes: number, target: Buffer, at: number): void {
  if (bytes <= loopBytesMax) {
    for (let index = 0; index < bytes; index++) target[at + index] = source[from + index] as number;
  } else if (bytes === source.length) target.set(source, at);
  else target.set(source.subarray(from, from + bytes), at);
}
