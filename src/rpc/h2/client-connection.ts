/**
 * The client's end of an HTTP/2 connection: opens streams, and tells what the server answers on them. Everything that a
 * server's end does as well is in http2-end.ts, which also says what the caller owes. Streams may be opened before the
 * server has said anything: what they send waits for the socket and stays within the windows of the protocol's defaults.
 */
import { assert } from '../../env/assert.ts';
import type { ReceivedFrame } from './control-frames.ts';
import {
  ConnectionError,
  encodeRstStream,
  encodeSettings,
  encodeWindowUpdate,
  errorCode,
  int31Max,
  preface,
  readUint31,
  settingId,
} from './frames.ts';
import { type Field, fieldKind } from './hpack/field.ts';
import { type EndOptions, Http2End, type ReceivedHeaders } from './http2-end.ts';
import { connectionWindowBytes, headerListBytesMax, streamWindowBytes } from './limits.ts';
import { windowBytesDefault } from './sender.ts';
import { type FieldPair, Stream, type StreamHandler } from './stream.ts';

/** Who asked. Besides the body it is told the blocks of header fields. */
export interface ResponseHandler extends StreamHandler {
  /** A block of fields: the head, or the trailers when the server has ended the stream with it; `ended` follows then. */
  fields(fields: readonly Field[], isEnd: boolean): void;
}

export class ClientConnection extends Http2End {
  #nextId = 1;
  #concurrentStreamsMax = Number.POSITIVE_INFINITY;
  /** Why no stream may be opened any more. */
  #goneAway: { readonly code: number; readonly reason: string } | undefined;

  constructor(options: EndOptions) {
    super(options);
    // Waits for the socket together with what the first streams send.
    this.sender.control(preface);
    this.sender.control(
      encodeSettings([
        [settingId.enablePush, 0],
        [settingId.initialWindowSize, streamWindowBytes],
        [settingId.maxHeaderListSize, headerListBytesMax],
      ]),
    );
    this.sender.control(encodeWindowUpdate(0, connectionWindowBytes - windowBytesDefault));
  }

  /** What the server said when it took no more streams. */
  get goneAway(): { readonly code: number; readonly reason: string } | undefined {
    return this.#goneAway;
  }

  get mayOpen(): boolean {
    const hasRoom = this.streams.size < this.#concurrentStreamsMax && this.#nextId < int31Max;
    return hasRoom && this.#goneAway === undefined && !this.isFailed;
  }

  /** Begins a request; pseudo-fields come first. */
  open(head: readonly FieldPair[], handler: ResponseHandler): Stream {
    assert(this.mayOpen, 'a stream is opened where the server takes one');
    const stream = new Stream(this.#nextId, this, this.initialSendWindow);
    this.#nextId += 2;
    stream.handler = handler;
    this.streams.set(stream.id, stream);
    stream.sendHead(head);
    return stream;
  }

  override endWritten(): void {
    // The stream lives until the server has answered.
  }

  protected override remoteEnds(stream: Stream): void {
    assert(!stream.isRemoteEnded, 'the server ends a stream once');
    stream.isRemoteEnded = true;
    const isAllSent = stream.isEnding && stream.queuedBytes === 0 && !stream.isReady;
    this.closed.add(stream.id, true);
    // What is still to be sent is for nobody.
    if (!isAllSent) this.control(encodeRstStream(stream.id, errorCode.cancel));
    this.close(stream);
    stream.handler?.ended();
  }

  protected override onHeaders({ streamId, isEndStream, fields, isTooLarge }: ReceivedHeaders): void {
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      this.checkOpened(streamId);
      // It crossed with our end of the stream.
      return this.guard.idleFrame(this.nowMs);
    }
    if (isTooLarge) return this.reset(stream, errorCode.enhanceYourCalm);
    if (fields.some(({ kind }) => kind === fieldKind.malformed)) return this.reset(stream, errorCode.protocolError);
    (stream.handler as ResponseHandler).fields(fields, isEndStream);
    if (isEndStream && !stream.isOver) this.remoteEnds(stream);
    // Any number of them may come before the head.
    if (fields.some(({ kind, value }) => kind === fieldKind.status && value.startsWith('1')))
      this.guard.idleFrame(this.nowMs);
  }

  protected override get lastRemoteStreamId(): number {
    return 0;
  }

  protected override checkOpened(streamId: number): void {
    if (streamId < this.#nextId && streamId % 2 === 1) return;
    throw new ConnectionError(errorCode.protocolError, `a frame for stream ${streamId}, which is not open`);
  }

  protected override isLateDataExcused(): boolean {
    this.guard.idleFrame(this.nowMs);
    return true;
  }

  protected override onGoAway({ bytes, start, end }: ReceivedFrame): void {
    const lastStreamId = readUint31(bytes, start);
    const reason = bytes.toString('latin1', start + 8, Math.min(end, start + 8 + reasonBytesMax));
    this.#goneAway = { code: bytes.readUInt32BE(start + 4), reason };
    // The server has not looked at these and never will.
    for (const stream of this.streams.values()) {
      if (stream.id <= lastStreamId) continue;
      this.closed.add(stream.id, true);
      this.finish(stream, errorCode.refusedStream);
    }
  }

  protected override onPong(): void {
    // That something came is all that is wanted of it.
  }

  protected override onSetting(id: number, value: number): void {
    if (id === settingId.maxConcurrentStreams) this.#concurrentStreamsMax = value;
    if (id === settingId.enablePush && value !== 0) {
      throw new ConnectionError(errorCode.protocolError, 'a server cannot allow itself to push');
    }
  }
}

/** Of what a server says about its end, for logs. */
const reasonBytesMax = 1024;
