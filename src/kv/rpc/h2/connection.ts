/**
 * One HTTP/2 connection, server side (RFC 9113), without a socket: bytes go in by `receive`, requests come out by
 * `onRequest`, and what is to be sent is taken by `produce`. Knows no clock: the caller says what time it is.
 *
 * The caller owes: `receive` in order, until `isFailed`; `produce` after `wake` was called, as long as it says that there
 * is more; `lost` exactly once when the socket is gone. Streams are told of their end exactly once.
 */
import { assert } from '../../../env/assert.ts';
import { ClosedStreams } from './closed-streams.ts';
import {
  ConnectionError,
  encodeGoAway,
  encodePing,
  encodeRstStream,
  encodeSettings,
  encodeWindowUpdate,
  errorCode,
  FrameReader,
  frameFlag,
  frameType,
  int31Max,
  preface,
  readUint31,
  settingId,
  settingsAck,
} from './frames.ts';
import { HeaderBlocks } from './header-blocks.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import {
  connectionWindowBytes,
  headerListBytesMax,
  idleFrameBurst,
  idleFramesPerSecond,
  earlyPingsMax,
  idlePingIntervalMinMs,
  orphansMax,
  resetBurst,
  resetsPerSecond,
  streamWindowBytes,
  windowStepShare,
} from './limits.ts';
import type { OutputBuffer } from './output-buffer.ts';
import { RateLimit } from './rate-limit.ts';
import { areTrailersValid, type RequestHead, readRequestHead } from './request-head.ts';
import { Sender, windowBytesDefault } from './sender.ts';
import { readSettings } from './settings.ts';
import { Stream } from './stream.ts';

export interface ConnectionOptions {
  readonly nowMs: number;
  readonly concurrentStreamsMax: number;
  /** Pings of a client that come sooner after each other, and after no answer, are too many. Absent: none are. */
  readonly pingIntervalMinMs?: number;
  /** A request whose body follows, if any; sets `stream.handler`. */
  readonly onRequest: (stream: Stream, head: RequestHead) => void;
  /** There is something to produce. */
  readonly wake: () => void;
}

const windowStepBytes = connectionWindowBytes / windowStepShare;
/** In the first GOAWAY of a graceful end: no call is refused yet (RFC 9113, section 6.8). */
const drainPing = Buffer.from('draining');

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #reader: FrameReader;
  readonly #decoder = new HpackDecoder();
  readonly #sender: Sender;
  readonly #streams = new Map<number, Stream>();
  readonly #closed = new ClosedStreams();
  readonly #blocks = new HeaderBlocks();
  readonly #resets: RateLimit;
  readonly #idleFrames: RateLimit;
  #nowMs: number;
  #prefaceBytes = 0;
  #hasSettings = false;
  /** The highest identifier that the client has used. */
  #lastStreamId = 0;
  #initialSendWindow = windowBytesDefault;
  #receiveWindow = connectionWindowBytes;
  #owedBytes = 0;
  /** Of the DATA frame under way; undefined: its bytes are for nobody. */
  #dataStream: Stream | undefined;
  #dataFlags = 0;
  #dataPaddingBytes = 0;
  /** Calls that are over for the client and whose handlers still run. */
  orphans = 0;
  /** Bytes of requests that nobody has taken yet. */
  heldBytes = 0;
  #pingedMs = Number.NEGATIVE_INFINITY;
  #earlyPings = 0;
  /** The last stream of the final GOAWAY; -1: none was sent. */
  #goAwayId = -1;
  #isDraining = false;
  /** Why the connection must be closed once what `produce` gives has been written. */
  failure: ConnectionError | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs;
    this.#resets = new RateLimit(resetBurst, resetsPerSecond, options.nowMs);
    this.#idleFrames = new RateLimit(idleFrameBurst, idleFramesPerSecond, options.nowMs);
    this.#reader = new FrameReader(this);
    this.#sender = new Sender(this);
    this.#sender.control(
      encodeSettings([
        [settingId.maxConcurrentStreams, options.concurrentStreamsMax],
        [settingId.initialWindowSize, streamWindowBytes],
        [settingId.maxHeaderListSize, headerListBytesMax],
      ]),
    );
    this.#sender.control(encodeWindowUpdate(0, connectionWindowBytes - windowBytesDefault));
  }

  get streams(): number {
    return this.#streams.size;
  }

  get isFailed(): boolean {
    return this.failure !== undefined;
  }

  /** Streams should stop writing for now. */
  get isFull(): boolean {
    return this.#sender.isFull;
  }

  /** Draining, and nothing is left to do. */
  get isDrained(): boolean {
    return this.#goAwayId >= 0 && this.#streams.size === 0 && this.#sender.isEmpty;
  }

  /** The client's settings have come: it speaks HTTP/2. */
  get isReady(): boolean {
    return this.#hasSettings;
  }

  /** Takes the next bytes of the client. After a failure nothing may be received. */
  receive(bytes: Buffer, nowMs: number): void {
    assert(!this.isFailed, 'a failed connection receives nothing');
    this.#nowMs = nowMs;
    try {
      const rest = this.#prefaceBytes < preface.length ? this.#readPreface(bytes) : bytes;
      if (rest.length > 0) this.#reader.read(rest);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.#fail(error);
    }
  }

  /** Writes what is due into one run of `output`; true when there is more. */
  produce(output: OutputBuffer): boolean {
    return this.#sender.produce(output);
  }

  /** Tells the streams that there is room for more; call it after `produce`. */
  tellDrained(): void {
    for (const stream of this.#sender.takeDrained()) stream.handler?.drained();
  }

  ping(payload: Uint8Array): void {
    this.#control(encodePing(payload, false));
  }

  /** Takes no more calls: those that the client has begun before it hears of this are still served. */
  drain(): void {
    if (this.#isDraining || this.isFailed) return;
    this.#isDraining = true;
    this.#control(encodeGoAway(int31Max, errorCode.noError, ''));
    // The answer to the ping comes after every call that was begun before the client knew.
    this.#control(encodePing(drainPing, false));
  }

  /** The socket is gone. */
  lost(): void {
    for (const stream of this.#streams.values()) this.#finish(stream, errorCode.cancel);
    assert(this.#streams.size === 0, 'no stream outlives its connection');
  }

  /** Ends the connection with a GOAWAY that says why. */
  fail(code: number, reason: string): void {
    if (!this.isFailed) this.#fail(new ConnectionError(code, reason));
  }

  #fail(error: ConnectionError): void {
    this.failure = error;
    this.#control(encodeGoAway(this.#lastStreamId, error.code, error.message));
  }

  #control(frame: Buffer): void {
    this.#sender.control(frame);
    this.#options.wake();
  }

  // What streams ask for (StreamOwner).

  queued(stream: Stream, bytes: number): void {
    this.#sender.queued(stream, bytes);
    this.#options.wake();
  }

  giveBack(stream: Stream, bytes: number): void {
    this.#control(encodeWindowUpdate(stream.id, bytes));
  }

  reset(stream: Stream, code: number): void {
    this.#closed.add(stream.id, true);
    this.#control(encodeRstStream(stream.id, code));
    this.#finish(stream, code);
  }

  awaitRoom(stream: Stream): void {
    this.#sender.awaitRoom(stream);
  }

  // What the sender tells (SenderEvents).

  endWritten(stream: Stream): void {
    this.#closed.add(stream.id, !stream.isRemoteEnded);
    stream.isOver = true;
    this.#sender.forget(stream);
    this.#streams.delete(stream.id);
  }

  overrun(reason: string): void {
    this.fail(errorCode.enhanceYourCalm, reason);
  }

  #finish(stream: Stream, code: number): void {
    assert(!stream.isOver, 'a stream ends once');
    stream.isOver = true;
    this.#sender.forget(stream);
    this.#streams.delete(stream.id);
    if (this.#dataStream === stream) this.#dataStream = undefined;
    stream.handler?.gone(code);
  }

  #readPreface(bytes: Buffer): Buffer {
    const take = Math.min(bytes.length, preface.length - this.#prefaceBytes);
    if (bytes.compare(preface, this.#prefaceBytes, this.#prefaceBytes + take, 0, take) !== 0) {
      throw new ConnectionError(errorCode.protocolError, 'the preface of HTTP/2 is wrong');
    }
    this.#prefaceBytes += take;
    return bytes.subarray(take);
  }

  // What the reader tells (FrameSink).

  dataBegins(streamId: number, flags: number, length: number): void {
    this.#checkFirst(frameType.data);
    this.#receiveWindow -= length;
    if (this.#receiveWindow < 0) {
      throw new ConnectionError(errorCode.flowControlError, 'more DATA than the window of the connection');
    }
    this.#owedBytes += length;
    if (this.#owedBytes >= windowStepBytes) {
      this.#control(encodeWindowUpdate(0, this.#owedBytes));
      this.#receiveWindow += this.#owedBytes;
      this.#owedBytes = 0;
    }
    this.#dataFlags = flags;
    this.#dataPaddingBytes = length;
    this.#dataStream = this.#streamOfData(streamId);
    const stream = this.#dataStream;
    if (stream === undefined) return;
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) return this.reset(stream, errorCode.flowControlError);
    if (length === 0 && (flags & frameFlag.endStream) === 0) this.#countIdle();
  }

  /** The stream that DATA is for; undefined when it is over, which is told where the client should have known. */
  #streamOfData(streamId: number): Stream | undefined {
    const stream = this.#streams.get(streamId);
    if (stream !== undefined && !stream.isRemoteEnded) return stream;
    if (stream !== undefined) {
      this.reset(stream, errorCode.streamClosed);
    } else {
      if (this.#isIdle(streamId))
        throw new ConnectionError(errorCode.protocolError, 'DATA for a stream that is not open');
      if (!this.#closed.isExcused(streamId) && !this.#isRefused(streamId)) {
        this.#countIdle();
        this.#control(encodeRstStream(streamId, errorCode.streamClosed));
      }
    }
    return undefined;
  }

  dataBytes(bytes: Buffer, start: number, end: number): void {
    const stream = this.#dataStream;
    if (stream === undefined) return;
    this.#dataPaddingBytes -= end - start;
    if (stream.contentLeft >= 0) {
      stream.contentLeft -= end - start;
      if (stream.contentLeft < 0) return this.reset(stream, errorCode.protocolError);
    }
    stream.handler?.data(bytes, start, end);
  }

  dataEnds(): void {
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    if (stream === undefined) return;
    if (this.#dataPaddingBytes > 0) stream.consumed(this.#dataPaddingBytes);
    if ((this.#dataFlags & frameFlag.endStream) !== 0) this.#remoteEnds(stream);
  }

  #remoteEnds(stream: Stream): void {
    if (stream.contentLeft > 0) return this.reset(stream, errorCode.protocolError);
    stream.isRemoteEnded = true;
    stream.handler?.ended();
  }

  frame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    this.#checkFirst(type);
    switch (type) {
      case frameType.headers: {
        const isWhole = this.#blocks.begin(flags, streamId, bytes, start, end);
        if (isWhole) this.#onBlock();
        return;
      }
      case frameType.continuation: {
        const isWhole = this.#blocks.go(flags, streamId, bytes, start, end);
        if (isWhole) this.#onBlock();
        return;
      }
      case frameType.windowUpdate:
        return this.#onWindowUpdate(streamId, bytes, start, end);
      case frameType.rstStream:
        return this.#onRstStream(streamId, bytes, start, end);
      case frameType.settings:
        return this.#onSettings(flags, streamId, bytes, start, end);
      case frameType.ping:
        return this.#onPing(flags, streamId, bytes, start, end);
      case frameType.priority:
        return this.#onPriority(streamId, bytes, start, end);
      case frameType.goAway:
        if (streamId !== 0) throw new ConnectionError(errorCode.protocolError, 'GOAWAY belongs to no stream');
        if (end - start < 8) throw new ConnectionError(errorCode.frameSizeError, 'GOAWAY is too short');
        // The client closes the connection itself once its calls are answered.
        return this.#countIdle();
      case frameType.pushPromise:
        throw new ConnectionError(errorCode.protocolError, 'a client cannot push');
      default:
        this.#countIdle();
    }
  }

  #checkFirst(type: number): void {
    if (!this.#hasSettings && type !== frameType.settings) {
      throw new ConnectionError(errorCode.protocolError, 'the first frame must be SETTINGS');
    }
    if (this.#blocks.isOpen && type !== frameType.continuation) {
      throw new ConnectionError(errorCode.protocolError, 'only CONTINUATION may follow until the headers are whole');
    }
  }

  /** A frame without use: a few are legal, a flood of them is not. */
  #countIdle(): void {
    if (this.#idleFrames.take(this.#nowMs)) return;
    throw new ConnectionError(errorCode.enhanceYourCalm, 'too many frames without content');
  }

  /** Streams that the client has not opened, and those that are for servers to open. */
  #isIdle(streamId: number): boolean {
    return streamId > this.#lastStreamId || streamId % 2 === 0;
  }

  /** Beyond the last one that GOAWAY said would be served. */
  #isRefused(streamId: number): boolean {
    return this.#goAwayId >= 0 && streamId > this.#goAwayId;
  }

  #onBlock(): void {
    const { streamId, isEndStream, dependsOnItself } = this.#blocks;
    const { bytes, start, end } = this.#blocks.take();
    const { fields, isTooLarge } = this.#decoder.decode(bytes, start, end);
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) {
      if (stream.isRemoteEnded) this.reset(stream, errorCode.streamClosed);
      else if (!isEndStream || !areTrailersValid(fields)) this.reset(stream, errorCode.protocolError);
      else this.#remoteEnds(stream);
      return;
    }
    if (streamId % 2 === 0) throw new ConnectionError(errorCode.protocolError, 'clients open streams of odd numbers');
    if (streamId <= this.#lastStreamId) return this.#onLateBlock(streamId);
    this.#lastStreamId = streamId;
    if (this.#isRefused(streamId)) return;
    const head = dependsOnItself ? undefined : readRequestHead(fields, isTooLarge);
    if (head === undefined || (isEndStream && head.contentLength > 0)) {
      return this.#refuse(streamId, errorCode.protocolError);
    }
    if (this.#streams.size >= this.#options.concurrentStreamsMax || this.orphans >= orphansMax) {
      return this.#refuse(streamId, errorCode.refusedStream);
    }
    const opened = new Stream(streamId, this, this.#initialSendWindow);
    opened.contentLeft = head.contentLength;
    this.#streams.set(streamId, opened);
    this.#options.onRequest(opened, head);
    if (isEndStream && !opened.isOver) this.#remoteEnds(opened);
  }

  #onLateBlock(streamId: number): void {
    if (this.#closed.isExcused(streamId)) return;
    const code = this.#closed.has(streamId) ? errorCode.streamClosed : errorCode.protocolError;
    throw new ConnectionError(code, `headers for stream ${streamId}, which is closed`);
  }

  #refuse(streamId: number, code: number): void {
    this.#closed.add(streamId, true);
    this.#countReset();
    this.#control(encodeRstStream(streamId, code));
  }

  #countReset(): void {
    if (this.#resets.take(this.#nowMs)) return;
    throw new ConnectionError(errorCode.enhanceYourCalm, 'too many calls are reset');
  }

  #onWindowUpdate(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw new ConnectionError(errorCode.frameSizeError, 'WINDOW_UPDATE takes 4 bytes');
    const increment = readUint31(bytes, start);
    if (streamId === 0) {
      if (increment === 0) throw new ConnectionError(errorCode.protocolError, 'a window is widened by nothing');
      if (!this.#sender.widen(increment)) {
        throw new ConnectionError(errorCode.flowControlError, 'the window of the connection is too wide');
      }
      return this.#options.wake();
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (this.#isIdle(streamId)) {
        throw new ConnectionError(errorCode.protocolError, 'WINDOW_UPDATE for a stream that is not open');
      }
    } else if (increment === 0) this.reset(stream, errorCode.protocolError);
    else if (stream.sendWindow + increment > int31Max) this.reset(stream, errorCode.flowControlError);
    else this.#widen(stream, increment);
  }

  #widen(stream: Stream, increment: number): void {
    stream.sendWindow += increment;
    if (stream.queuedBytes === 0 || stream.sendWindow <= 0) return;
    this.#sender.ready(stream);
    this.#options.wake();
  }

  #onRstStream(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw new ConnectionError(errorCode.frameSizeError, 'RST_STREAM takes 4 bytes');
    if (this.#isIdle(streamId)) {
      throw new ConnectionError(errorCode.protocolError, 'RST_STREAM for a stream that is not open');
    }
    this.#countReset();
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    this.#closed.add(streamId, false);
    this.#finish(stream, bytes.readUInt32BE(start));
  }

  #onSettings(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw new ConnectionError(errorCode.protocolError, 'SETTINGS belong to no stream');
    if ((flags & frameFlag.ack) !== 0) {
      if (end > start) throw new ConnectionError(errorCode.frameSizeError, 'an acknowledgement of SETTINGS is empty');
      return this.#countIdle();
    }
    if (this.#hasSettings) this.#countIdle();
    this.#hasSettings = true;
    for (const [id, value] of readSettings(bytes, start, end)) {
      if (id === settingId.headerTableSize) this.#sender.encoder.limitTable(value);
      else if (id === settingId.initialWindowSize) this.#changeWindows(value);
    }
    this.#control(settingsAck);
  }

  #changeWindows(initialBytes: number): void {
    const change = initialBytes - this.#initialSendWindow;
    if (change === 0) return;
    this.#initialSendWindow = initialBytes;
    for (const stream of this.#streams.values()) {
      if (stream.sendWindow + change > int31Max) {
        throw new ConnectionError(errorCode.flowControlError, 'the window of a stream is too wide');
      }
      this.#widen(stream, change);
    }
  }

  #onPing(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw new ConnectionError(errorCode.protocolError, 'PING belongs to no stream');
    if (end - start !== 8) throw new ConnectionError(errorCode.frameSizeError, 'PING takes 8 bytes');
    if ((flags & frameFlag.ack) === 0) {
      this.#control(encodePing(bytes.subarray(start, end), true));
      this.#countPing();
      return;
    }
    if (this.#isDraining && this.#goAwayId < 0 && bytes.compare(drainPing, 0, 8, start, end) === 0) {
      this.#goAwayId = this.#lastStreamId;
      this.#control(encodeGoAway(this.#goAwayId, errorCode.noError, ''));
    }
  }

  /** As grpc-go counts: pings that follow an answer measure the way and are free. */
  #countPing(): void {
    const { pingIntervalMinMs } = this.#options;
    if (pingIntervalMinMs === undefined) return;
    if (this.#sender.hasAnswered) {
      this.#sender.hasAnswered = false;
      this.#earlyPings = 0;
      return;
    }
    const leastMs = this.#streams.size === 0 ? idlePingIntervalMinMs : pingIntervalMinMs;
    if (this.#nowMs - this.#pingedMs < leastMs) this.#earlyPings++;
    this.#pingedMs = this.#nowMs;
    if (this.#earlyPings > earlyPingsMax) throw new ConnectionError(errorCode.enhanceYourCalm, 'too_many_pings');
  }

  #onPriority(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId === 0) throw new ConnectionError(errorCode.protocolError, 'PRIORITY belongs to a stream');
    this.#countIdle();
    const stream = this.#streams.get(streamId);
    const isWrongSize = end - start !== 5;
    if (!isWrongSize && readUint31(bytes, start) !== streamId) return;
    const code = isWrongSize ? errorCode.frameSizeError : errorCode.protocolError;
    if (stream) this.reset(stream, code);
    else this.#control(encodeRstStream(streamId, code));
  }
}
