/**
 * One end of an HTTP/2 connection (RFC 9113), without a socket: what a server and a client have in common. Bytes go in by
 * `receive`, and what is to be sent is taken by `produce`. Knows no clock: the caller says what time it is.
 *
 * The caller owes: `receive` in order, until `isFailed`; `produce` after `wake` was called, as long as it says that there
 * is more; `lost` exactly once when the socket is gone. Streams are told of their end exactly once.
 */
import { assert } from '../../env/assert.ts';
import { AbuseGuard } from './abuse-guard.ts';
import {
  checkGoAway,
  errorOfPriority,
  isSettingsAck,
  type ReceivedFrame,
  readPing,
  readRstStream,
  readWindowUpdate,
} from './control-frames.ts';
import { DataIntake } from './data-intake.ts';
import { FrameReader } from './frame-reader.ts';
import {
  ConnectionError,
  encodePing,
  encodeRstStream,
  encodeWindowUpdate,
  errorCode,
  frameFlag,
  frameType,
  int31Max,
  settingId,
  settingsAck,
} from './frames.ts';
import { HeaderBlocks } from './header-blocks.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import type { Field } from './hpack/field.ts';
import { Http2Streams } from './http2-streams.ts';
import { windowBytesDefault } from './sender.ts';
import { readSettings } from './settings.ts';
import type { Stream } from './stream.ts';

export interface EndOptions {
  readonly nowMs: number;
  /** Pings of the other side that come sooner after each other, and after no answer, are too many. Absent: none are. */
  readonly pingIntervalMinMs?: number;
  /** There is something to produce. */
  readonly wake: () => void;
}

/** HEADERS with its CONTINUATIONs, decoded. */
export interface ReceivedHeaders {
  readonly streamId: number;
  readonly isEndStream: boolean;
  readonly dependsOnItself: boolean;
  readonly fields: readonly Field[];
  readonly isTooLarge: boolean;
}

export abstract class Http2End extends Http2Streams {
  protected readonly guard: AbuseGuard;
  protected nowMs: number;
  /** Of streams that are opened from now on. */
  protected initialSendWindow = windowBytesDefault;
  readonly #reader: FrameReader;
  readonly #decoder = new HpackDecoder();
  readonly #blocks = new HeaderBlocks();
  readonly #intake: DataIntake;
  #hasSettings = false;

  constructor(options: EndOptions) {
    super(options.wake);
    this.nowMs = options.nowMs;
    this.guard = new AbuseGuard(options.nowMs, options.pingIntervalMinMs);
    this.#intake = new DataIntake({
      streamOf: (streamId) => this.#streamOfData(streamId),
      widen: (bytes) => this.control(encodeWindowUpdate(0, bytes)),
      reset: (stream, code) => this.reset(stream, code),
      nothing: () => this.guard.idleFrame(this.nowMs),
      ends: (stream) => this.remoteEnds(stream),
    });
    this.#reader = new FrameReader({
      dataBegins: (streamId, flags, length) => {
        this.#checkFirst(frameType.data);
        this.#intake.begins(streamId, flags, length);
      },
      dataBytes: (bytes, start, end) => this.#intake.bytes(bytes, start, end),
      dataEnds: () => this.#intake.over(),
      frame: (type, flags, streamId, bytes, start, end) => this.#frame(type, { flags, streamId, bytes, start, end }),
    });
  }

  /** A whole block of header fields. */
  protected abstract onHeaders(headers: ReceivedHeaders): void;
  /** Throws ConnectionError for a stream that was never open. */
  protected abstract checkOpened(streamId: number): void;
  /** Data for a stream that is over may still be on its way. */
  protected abstract isLateDataExcused(streamId: number): boolean;
  protected abstract onGoAway(frame: ReceivedFrame): void;
  protected abstract onPong(payload: Buffer): void;
  protected abstract onSetting(id: number, value: number): void;

  /** The other side's settings have come: it speaks HTTP/2. */
  get isReady(): boolean {
    return this.#hasSettings;
  }

  /** Takes the next bytes of the other side. After a failure nothing may be received. */
  receive(bytes: Buffer, nowMs: number): void {
    assert(!this.isFailed, 'a failed connection receives nothing');
    this.nowMs = nowMs;
    try {
      const rest = this.beforeFrames(bytes);
      if (rest.length > 0) this.#reader.read(rest);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.failBy(error);
    }
  }

  /** What is left of the bytes for the frame reader. */
  protected beforeFrames(bytes: Buffer): Buffer {
    return bytes;
  }

  protected override close(stream: Stream): void {
    super.close(stream);
    this.#intake.forget(stream);
  }

  protected remoteEnds(stream: Stream): void {
    if (stream.contentLeft > 0) return this.reset(stream, errorCode.protocolError);
    stream.isRemoteEnded = true;
    stream.handler?.ended();
  }

  /** The stream that DATA is for; undefined when it is over, which is told where the other side should have known. */
  #streamOfData(streamId: number): Stream | undefined {
    const stream = this.streams.get(streamId);
    if (stream !== undefined && !stream.isRemoteEnded) return stream;
    if (stream !== undefined) {
      this.reset(stream, errorCode.streamClosed);
    } else {
      this.checkOpened(streamId);
      if (!this.isLateDataExcused(streamId)) {
        this.guard.idleFrame(this.nowMs);
        this.control(encodeRstStream(streamId, errorCode.streamClosed));
      }
    }
    return undefined;
  }

  #frame(type: number, frame: ReceivedFrame): void {
    this.#checkFirst(type);
    const { flags, streamId, bytes, start, end } = frame;
    if (type === frameType.headers) {
      if (this.#blocks.begin(flags, streamId, bytes, start, end)) this.#onBlock();
    } else if (type === frameType.continuation) {
      if (this.#blocks.go(flags, streamId, bytes, start, end)) this.#onBlock();
    } else this.#onControl(type, frame);
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
        this.guard.idleFrame(this.nowMs);
        return this.onGoAway(frame);
      case frameType.pushPromise:
        throw new ConnectionError(errorCode.protocolError, 'nobody may push');
      default:
        this.guard.idleFrame(this.nowMs);
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

  #onBlock(): void {
    const { streamId, isEndStream, dependsOnItself } = this.#blocks;
    const { bytes, start, end } = this.#blocks.take();
    const { fields, isTooLarge } = this.#decoder.decode(bytes, start, end);
    this.onHeaders({ streamId, isEndStream, dependsOnItself, fields, isTooLarge });
  }

  #onWindowUpdate(frame: ReceivedFrame): void {
    const { streamId } = frame;
    const increment = readWindowUpdate(frame);
    if (streamId === 0) {
      if (!this.sender.widen(increment)) {
        throw new ConnectionError(errorCode.flowControlError, 'the window of the connection is too wide');
      }
      return this.wake();
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) this.checkOpened(streamId);
    else if (increment === 0) this.reset(stream, errorCode.protocolError);
    else if (stream.sendWindow + increment > int31Max) this.reset(stream, errorCode.flowControlError);
    else this.#widen(stream, increment);
  }

  #widen(stream: Stream, increment: number): void {
    stream.sendWindow += increment;
    if (stream.queuedBytes === 0 || stream.sendWindow <= 0) return;
    this.sender.ready(stream);
    this.wake();
  }

  #onRstStream(frame: ReceivedFrame): void {
    const code = readRstStream(frame);
    this.checkOpened(frame.streamId);
    this.guard.reset(this.nowMs);
    const stream = this.streams.get(frame.streamId);
    if (stream === undefined) return this.closed.blame(frame.streamId);
    this.closed.add(stream.id, false);
    this.finish(stream, code);
  }

  #onSettings(frame: ReceivedFrame): void {
    if (isSettingsAck(frame)) return this.guard.idleFrame(this.nowMs);
    if (this.#hasSettings) this.guard.idleFrame(this.nowMs);
    this.#hasSettings = true;
    for (const [id, value] of readSettings(frame.bytes, frame.start, frame.end)) {
      if (id === settingId.headerTableSize) this.sender.encoder.limitTable(value);
      else if (id === settingId.initialWindowSize) this.#changeWindows(value);
      else this.onSetting(id, value);
    }
    this.control(settingsAck);
  }

  #changeWindows(initialBytes: number): void {
    const change = initialBytes - this.initialSendWindow;
    if (change === 0) return;
    this.initialSendWindow = initialBytes;
    for (const stream of this.streams.values()) {
      if (stream.sendWindow + change > int31Max) {
        throw new ConnectionError(errorCode.flowControlError, 'the window of a stream is too wide');
      }
      this.#widen(stream, change);
    }
  }

  #onPing(frame: ReceivedFrame): void {
    const payload = readPing(frame);
    if ((frame.flags & frameFlag.ack) !== 0) return this.onPong(payload);
    this.control(encodePing(payload, true));
    const { hasAnswered } = this.sender;
    this.sender.hasAnswered = false;
    this.guard.ping(this.nowMs, { hasAnswered, hasStreams: this.streams.size > 0 });
  }

  #onPriority(frame: ReceivedFrame): void {
    const code = errorOfPriority(frame);
    this.guard.idleFrame(this.nowMs);
    if (code === undefined) return;
    const stream = this.streams.get(frame.streamId);
    if (stream) this.reset(stream, code);
    else this.control(encodeRstStream(frame.streamId, code));
  }
}
