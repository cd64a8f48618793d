/**
 * What one connection has to send, and in which order: control frames first, then the streams in turn, one DATA frame
 * each, within the client's windows. Frames are encoded only when the socket takes them, into one run for all streams;
 * until then a stream keeps its chunks.
 */
import { assert } from '../../env/assert.ts';
import { frameFlag, frameHeaderBytes, frameType, int31Max, writeFrameHeader } from './frames.ts';
import { HpackEncoder } from './hpack/encoder.ts';
import {
  connectionQueueBytesHigh,
  connectionQueueBytesLow,
  connectionQueueBytesMax,
  controlFramesMax,
  frameBytesMax,
  streamQueueBytesLow,
} from './limits.ts';
import type { OutputBuffer } from './output-buffer.ts';
import type { HeaderBlock, Stream } from './stream.ts';

/** Windows before the client's settings say otherwise (RFC 9113, section 6.9.2). */
export const windowBytesDefault = 65_535;
/** One turn of a stream: head, one frame of data, trailers; long header blocks find room by themselves. */
const turnBytesMax = frameBytesMax + 1024;
/** Streams in the queue that are over, before it is looked through for them. */
const staleReadyMax = 256;

export interface SenderEvents {
  /** The end of what the stream sends is in the output, to which a frame may be added. */
  endWritten(stream: Stream, output: OutputBuffer): void;
  /** More waits than a limit allows: the connection must end. */
  overrun(reason: string): void;
}

export class Sender {
  readonly encoder = new HpackEncoder();
  /** Of the connection. Invariant: 0 <= window <= int31Max. */
  window = windowBytesDefault;
  queuedBytes = 0;
  /** Part of an answer was written; whoever asks sets it back. */
  hasAnswered = false;
  #control: Buffer[] = [];
  /** Streams with something to send, the next one at `#readyAt`; those that are over by then are passed by. */
  #ready: Stream[] = [];
  #readyAt = 0;
  #staleReady = 0;
  /** Streams whose data waits for the connection's window. */
  readonly #blocked = new Set<Stream>();
  readonly #waitingForRoom = new Set<Stream>();
  /** Those of them that have room of their own: looked at instead of all that wait, as a slow client may have many. */
  readonly #withRoom = new Set<Stream>();
  readonly #events: SenderEvents;

  constructor(events: SenderEvents) {
    this.#events = events;
  }

  get isFull(): boolean {
    return this.queuedBytes >= connectionQueueBytesHigh;
  }

  get isEmpty(): boolean {
    return this.#control.length === 0 && this.#readyAt === this.#ready.length;
  }

  control(frame: Buffer): void {
    this.#control.push(frame);
    if (this.#control.length === controlFramesMax) {
      this.#events.overrun('the other side does not read the answers to its control frames');
    }
  }

  queued(stream: Stream, bytes: number): void {
    this.queuedBytes += bytes;
    // One answer may be of any size; what counts is that more come on top.
    if (this.queuedBytes > connectionQueueBytesMax && this.queuedBytes > bytes) {
      this.#events.overrun('the other side does not read what it is sent');
    }
    this.ready(stream);
  }

  ready(stream: Stream): void {
    if (stream.isReady || stream.isBlocked) return;
    stream.isReady = true;
    this.#ready.push(stream);
  }

  awaitRoom(stream: Stream): void {
    this.#waitingForRoom.add(stream);
    // It is the connection that is full.
    if (stream.queuedBytes <= streamQueueBytesLow) this.#withRoom.add(stream);
  }

  /** The stream is over: what waits on it is dropped. */
  forget(stream: Stream): void {
    this.queuedBytes -= stream.drop();
    if (this.#waitingForRoom.delete(stream)) this.#withRoom.delete(stream);
    if (stream.isBlocked) this.#blocked.delete(stream);
    if (!stream.isReady) return;
    // A client that does not read, opens and cancels must not make the queue grow.
    this.#staleReady++;
    if (this.#staleReady < staleReadyMax || this.#staleReady * 2 < this.#ready.length) return;
    this.#ready = this.#ready.slice(this.#readyAt).filter(({ isOver }) => !isOver);
    this.#readyAt = 0;
    this.#staleReady = 0;
  }

  widen(bytes: number): boolean {
    if (this.window + bytes > int31Max) return false;
    this.window += bytes;
    for (const stream of this.#blocked) {
      stream.isBlocked = false;
      this.ready(stream);
    }
    this.#blocked.clear();
    return true;
  }

  /** Writes what is due into one run of `output`. True: there is more, for another run. */
  produce(output: OutputBuffer): boolean {
    output.begin(turnBytesMax);
    if (this.#control.length > 0) {
      for (const frame of this.#control) output.append(frame);
      this.#control = [];
    }
    while (this.#readyAt < this.#ready.length) {
      if (output.room < turnBytesMax) return true;
      const stream = this.#ready[this.#readyAt++] as Stream;
      stream.isReady = false;
      if (!stream.isOver) this.#turn(stream, output);
    }
    this.#ready.length = 0;
    this.#readyAt = 0;
    this.#staleReady = 0;
    return false;
  }

  /** Streams that may write again; call it after `produce`. */
  takeDrained(): readonly Stream[] {
    if (this.#withRoom.size === 0 || this.queuedBytes > connectionQueueBytesLow) return [];
    const drained = [...this.#withRoom];
    for (const stream of drained) this.#waitingForRoom.delete(stream);
    this.#withRoom.clear();
    return drained;
  }

  #turn(stream: Stream, output: OutputBuffer): void {
    this.hasAnswered = true;
    if (!stream.isHeadWritten) {
      assert(stream.head !== undefined, 'a stream that sends has a head');
      stream.isHeadWritten = true;
      const block = stream.head === 'grpc' ? this.encoder.grpcHead() : this.encoder.block(stream.head);
      const isAll = stream.isEnding && stream.queuedBytes === 0 && stream.trailers === undefined;
      this.#writeBlock(output, stream.id, block, isAll);
      if (isAll) return this.#onEnd(stream, output);
      // A long head may have used up the room for data.
      if (output.room < turnBytesMax - 512) return this.ready(stream);
    }
    if (stream.queuedBytes > 0) {
      const bytes = Math.min(stream.queuedBytes, frameBytesMax, stream.sendWindow, this.window);
      if (bytes <= 0) return this.#block(stream);
      const isAll = stream.isEnding && stream.trailers === undefined && bytes === stream.queuedBytes;
      const flags = isAll ? frameFlag.endStream : 0;
      const at = writeFrameHeader(output.block, output.at, bytes, frameType.data, flags, stream.id);
      stream.writeTo(output.block, at, bytes);
      output.at = at + bytes;
      stream.sendWindow -= bytes;
      this.window -= bytes;
      this.queuedBytes -= bytes;
      if (this.#waitingForRoom.size > 0 && stream.queuedBytes <= streamQueueBytesLow) this.#hasRoomNow(stream);
      if (isAll) return this.#onEnd(stream, output);
      if (stream.queuedBytes > 0) return this.ready(stream);
    }
    if (stream.isEnding) this.#writeEnd(stream, output);
  }

  #hasRoomNow(stream: Stream): void {
    if (this.#waitingForRoom.has(stream)) this.#withRoom.add(stream);
  }

  /** Until the window that is used up is widened again. */
  #block(stream: Stream): void {
    if (this.window > 0) return;
    stream.isBlocked = true;
    this.#blocked.add(stream);
  }

  #writeEnd(stream: Stream, output: OutputBuffer): void {
    const { trailers } = stream;
    if (trailers === undefined) {
      output.at = writeFrameHeader(output.block, output.at, 0, frameType.data, frameFlag.endStream, stream.id);
    } else {
      const block: Buffer = trailers === 'grpc' ? this.encoder.grpcTrailers() : this.encoder.block(trailers as Fields);
      this.#writeBlock(output, stream.id, block, true);
    }
    this.#onEnd(stream, output);
  }

  #onEnd(stream: Stream, output: OutputBuffer): void {
    this.#events.endWritten(stream, output);
  }

  #writeBlock(output: OutputBuffer, streamId: number, block: Buffer, isEnd: boolean): void {
    const endFlag = isEnd ? frameFlag.endStream : 0;
    if (block.length <= frameBytesMax && output.room >= block.length + frameHeaderBytes) {
      const flags = endFlag | frameFlag.endHeaders;
      const at = writeFrameHeader(output.block, output.at, block.length, frameType.headers, flags, streamId);
      output.at = at;
      for (let index = 0; index < block.length; index++) output.block[output.at++] = block[index] as number;
      return;
    }
    for (let at = 0; at < block.length; at += frameBytesMax) {
      const part = block.subarray(at, at + frameBytesMax);
      const header = Buffer.allocUnsafe(frameHeaderBytes);
      const type = at === 0 ? frameType.headers : frameType.continuation;
      const isLast = at + part.length === block.length;
      const flags = (at === 0 ? endFlag : 0) | (isLast ? frameFlag.endHeaders : 0);
      writeFrameHeader(header, 0, part.length, type, flags, streamId);
      output.append(header);
      output.append(part);
    }
  }
}

type Fields = Exclude<HeaderBlock, 'grpc'>;
