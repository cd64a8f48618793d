/**
 * One HTTP/2 connection, server side (RFC 9113), without a socket: bytes go in by `receive`, requests come out by
 * `onRequest`, and what is to be sent is taken by `produce`. Knows no clock: the caller says what time it is.
 *
 * The caller owes: `receive` in order, until `isFailed`; `produce` after `wake` was called, as long as it says that there
 * is more; `lost` exactly once when the socket is gone. Streams are told of their end exactly once.
 */
import { assert } from '../../env/assert.ts';
import { AbuseGuard } from './abuse-guard.ts';
import { ClosedStreams } from './closed-streams.ts';
import {
  checkGoAway,
  errorOfPriority,
  isSettingsAck,
  type ReceivedFrame,
  readPing,
  readRstStream,
  readWindowUpdate,
} from './control-frames.ts';
import { FrameReader } from './frame-reader.ts';
import {
  ConnectionError,
  encodeGoAway,
  encodePing,
  encodeRstStream,
  encodeSettings,
  encodeWindowUpdate,
  errorCode,
  frameFlag,
  frameType,
  int31Max,
  preface,
  settingId,
  settingsAck,
} from './frames.ts';
import { HeaderBlocks } from './header-blocks.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import { connectionWindowBytes, headerListBytesMax, orphansMax, streamWindowBytes, windowStepShare } from './limits.ts';
import type { OutputBuffer } from './output-buffer.ts';
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
  readonly #guard: AbuseGuard;
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
  /** The last stream of the final GOAWAY; -1: none was sent. */
  #goAwayId = -1;
  #isDraining = false;
  /** Why the connection must be closed once what `produce` gives has been written. */
  failure: ConnectionError | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs;
    this.#guard = new AbuseGuard(options.nowMs, options.pingIntervalMinMs);
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
    if (length === 0 && (flags & frameFlag.endStream) === 0) this.#guard.idleFrame(this.#nowMs);
  }

  /** The stream that DATA is for; undefined when it is over, which is told where the client should have known. */
  #streamOfData(streamId: number): Stream | undefined {
    const stream = this.#streams.get(streamId);
    if (stream !== undefined && !stream.isRemoteEnded) return stream;
    if (stream !== undefined) {
      this.reset(stream, errorCode.streamClosed);
    } else {
      this.#checkOpened(streamId);
      if (!this.#closed.isExcused(streamId) && !this.#isRefused(streamId)) {
        this.#guard.idleFrame(this.#nowMs);
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
    if (type === frameType.headers) {
      if (this.#blocks.begin(flags, streamId, bytes, start, end)) this.#onBlock();
    } else if (type === frameType.continuation) {
      if (this.#blocks.go(flags, streamId, bytes, start, end)) this.#onBlock();
    } else this.#onControl(type, { flags, streamId, bytes, start, end });
  }

  #onControl(type: number, frame: ReceivedFrame): void {
    switch (type) {
      case frameType.windowUpdate:
        return this.#onWindowUpdate(frame);
      case frameType.rstStream:
        return this.#onRstStream(frame);
      case frameType.settings:
        return this.#onSettings(frame);
      case frameType.ping:
        return this.#onPing(frame);
      case frameType.priority:
        return this.#onPriority(frame);
      case frameType.goAway:
        checkGoAway(frame);
        // The client closes the connection itself once its calls are answered.
        return this.#guard.idleFrame(this.#nowMs);
      case frameType.pushPromise:
        throw new ConnectionError(errorCode.protocolError, 'a client cannot push');
      default:
        this.#guard.idleFrame(this.#nowMs);
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

  /** Frames for streams that the client has not opened, or that are not for it to open, end the connection. */
  #checkOpened(streamId: number): void {
    if (streamId <= this.#lastStreamId && streamId % 2 === 1) return;
    throw new ConnectionError(errorCode.protocolError, `a frame for stream ${streamId}, which is not open`);
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
    this.#guard.reset(this.#nowMs);
    this.#control(encodeRstStream(streamId, code));
  }

  #onWindowUpdate(frame: ReceivedFrame): void {
    const { streamId } = frame;
    const increment = readWindowUpdate(frame);
    if (streamId === 0) {
      if (!this.#sender.widen(increment)) {
        throw new ConnectionError(errorCode.flowControlError, 'the window of the connection is too wide');
      }
      return this.#options.wake();
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) this.#checkOpened(streamId);
    else if (increment === 0) this.reset(stream, errorCode.protocolError);
    else if (stream.sendWindow + increment > int31Max) this.reset(stream, errorCode.flowControlError);
    else this.#widen(stream, increment);
  }

  #widen(stream: Stream, increment: number): void {
    stream.sendWindow += increment;
    if (stream.queuedBytes === 0 || stream.sendWindow <= 0) return;
    this.#sender.ready(stream);
    this.#options.wake();
  }

  #onRstStream(frame: ReceivedFrame): void {
    const code = readRstStream(frame);
    this.#checkOpened(frame.streamId);
    this.#guard.reset(this.#nowMs);
    const stream = this.#streams.get(frame.streamId);
    if (stream === undefined) return;
    this.#closed.add(stream.id, false);
    this.#finish(stream, code);
  }

  #onSettings(frame: ReceivedFrame): void {
    if (isSettingsAck(frame)) return this.#guard.idleFrame(this.#nowMs);
    if (this.#hasSettings) this.#guard.idleFrame(this.#nowMs);
    this.#hasSettings = true;
    for (const [id, value] of readSettings(frame.bytes, frame.start, frame.end)) {
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

  #onPing(frame: ReceivedFrame): void {
    const payload = readPing(frame);
    if ((frame.flags & frameFlag.ack) === 0) {
      this.#control(encodePing(payload, true));
      const { hasAnswered } = this.#sender;
      this.#sender.hasAnswered = false;
      this.#guard.ping(this.#nowMs, { hasAnswered, hasStreams: this.#streams.size > 0 });
    } else if (this.#isDraining && this.#goAwayId < 0 && payload.equals(drainPing)) {
      this.#goAwayId = this.#lastStreamId;
      this.#control(encodeGoAway(this.#goAwayId, errorCode.noError, ''));
    }
  }

  #onPriority(frame: ReceivedFrame): void {
    const code = errorOfPriority(frame);
    this.#guard.idleFrame(this.#nowMs);
    if (code === undefined) return;
    const stream = this.#streams.get(frame.streamId);
    if (stream) this.reset(stream, code);
    else this.#control(encodeRstStream(frame.streamId, code));
  }
}
