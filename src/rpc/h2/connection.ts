/**
 * The server's end of an HTTP/2 connection: requests come out by `onRequest`. Everything that a client's end does as well
 * is in http2-end.ts, which also says what the caller owes.
 */
import {
  ConnectionError,
  encodeGoAway,
  encodePing,
  encodeRstStream,
  encodeSettings,
  encodeWindowUpdate,
  errorCode,
  int31Max,
  preface,
  settingId,
} from './frames.ts';
import { type EndOptions, Http2End, type ReceivedHeaders } from './http2-end.ts';
import { connectionWindowBytes, headerListBytesMax, orphansMax, streamWindowBytes } from './limits.ts';
import type { OutputBuffer } from './output-buffer.ts';
import { areTrailersValid, type RequestHead, readRequestHead } from './request-head.ts';
import { windowBytesDefault } from './sender.ts';
import { Stream } from './stream.ts';

export interface ConnectionOptions extends EndOptions {
  readonly concurrentStreamsMax: number;
  /** A request whose body follows, if any; sets `stream.handler`. */
  readonly onRequest: (stream: Stream, head: RequestHead) => void;
}

/** In the first GOAWAY of a graceful end: no call is refused yet (RFC 9113, section 6.8). */
const drainPing = Buffer.from('draining');

export class Connection extends Http2End {
  readonly #options: ConnectionOptions;
  #prefaceBytes = 0;
  /** The highest identifier that the client has used. */
  #lastStreamId = 0;
  /** Calls that are over for the client and whose handlers still run. */
  orphans = 0;
  /** Bytes of requests that nobody has taken yet. */
  heldBytes = 0;
  /** The last stream of the final GOAWAY; -1: none was sent. */
  #goAwayId = -1;
  #isDraining = false;

  constructor(options: ConnectionOptions) {
    super(options);
    this.#options = options;
    this.sender.control(
      encodeSettings([
        [settingId.maxConcurrentStreams, options.concurrentStreamsMax],
        [settingId.initialWindowSize, streamWindowBytes],
        [settingId.maxHeaderListSize, headerListBytesMax],
      ]),
    );
    this.sender.control(encodeWindowUpdate(0, connectionWindowBytes - windowBytesDefault));
  }

  /** Draining, and nothing is left to do. */
  get isDrained(): boolean {
    return this.#goAwayId >= 0 && this.streams.size === 0 && this.sender.isEmpty;
  }

  /** Takes no more calls: those that the client has begun before it hears of this are still served. */
  drain(): void {
    if (this.#isDraining || this.isFailed) return;
    this.#isDraining = true;
    this.control(encodeGoAway(int31Max, errorCode.noError, ''));
    // The answer to the ping comes after every call that was begun before the client knew.
    this.control(encodePing(drainPing, false));
  }

  override endWritten(stream: Stream, output: OutputBuffer): void {
    // The client must not go on sending what nobody reads; with this code it keeps the answer (RFC 9113, section 8.1).
    if (!stream.isRemoteEnded) output.append(encodeRstStream(stream.id, errorCode.noError));
    this.closed.add(stream.id, !stream.isRemoteEnded);
    this.close(stream);
  }

  protected override beforeFrames(bytes: Buffer): Buffer {
    if (this.#prefaceBytes === preface.length) return bytes;
    const take = Math.min(bytes.length, preface.length - this.#prefaceBytes);
    if (bytes.compare(preface, this.#prefaceBytes, this.#prefaceBytes + take, 0, take) !== 0) {
      throw new ConnectionError(errorCode.protocolError, 'the preface of HTTP/2 is wrong');
    }
    this.#prefaceBytes += take;
    return bytes.subarray(take);
  }

  protected override get lastRemoteStreamId(): number {
    return this.#lastStreamId;
  }

  /** Frames for streams that the client has not opened, or that are not for it to open, end the connection. */
  protected override checkOpened(streamId: number): void {
    if (streamId <= this.#lastStreamId && streamId % 2 === 1) return;
    throw new ConnectionError(errorCode.protocolError, `a frame for stream ${streamId}, which is not open`);
  }

  protected override isLateDataExcused(streamId: number): boolean {
    return this.closed.isExcused(streamId) || this.#isRefused(streamId);
  }

  /** Beyond the last one that GOAWAY said would be served. */
  #isRefused(streamId: number): boolean {
    return this.#goAwayId >= 0 && streamId > this.#goAwayId;
  }

  protected override onGoAway(): void {
    // The client closes the connection itself once its calls are answered.
  }

  protected override onSetting(): void {
    // What is left says what a server may push, or send in larger frames, which this one does not.
  }

  protected override onHeaders(headers: ReceivedHeaders): void {
    const { streamId, isEndStream, dependsOnItself, fields, isTooLarge } = headers;
    const stream = this.streams.get(streamId);
    if (stream !== undefined) {
      if (stream.isRemoteEnded) this.reset(stream, errorCode.streamClosed);
      else if (!isEndStream || !areTrailersValid(fields)) this.reset(stream, errorCode.protocolError);
      else this.remoteEnds(stream);
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
    if (this.streams.size >= this.#options.concurrentStreamsMax || this.orphans >= orphansMax) {
      return this.#refuse(streamId, errorCode.refusedStream);
    }
    const opened = new Stream(streamId, this, this.initialSendWindow);
    opened.contentLeft = head.contentLength;
    this.streams.set(streamId, opened);
    this.#options.onRequest(opened, head);
    if (isEndStream && !opened.isOver) this.remoteEnds(opened);
  }

  #onLateBlock(streamId: number): void {
    if (this.closed.isExcused(streamId)) return;
    const code = this.closed.has(streamId) ? errorCode.streamClosed : errorCode.protocolError;
    throw new ConnectionError(code, `headers for stream ${streamId}, which is closed`);
  }

  #refuse(streamId: number, code: number): void {
    this.closed.add(streamId, true);
    this.guard.reset(this.nowMs);
    this.control(encodeRstStream(streamId, code));
  }

  protected override onPong(payload: Buffer): void {
    if (!this.#isDraining || this.#goAwayId >= 0 || !payload.equals(drainPing)) return;
    this.#goAwayId = this.#lastStreamId;
    this.control(encodeGoAway(this.#goAwayId, errorCode.noError, ''));
  }
}
