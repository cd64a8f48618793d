/** A client's end of a Connection, in bytes: frames in, frames out, and what the requests were told. */
import assert from 'node:assert/strict';
import { Connection } from '../../../src/rpc/h2/connection.ts';
import { FrameReader } from '../../../src/rpc/h2/frame-reader.ts';
import { encodeSettings, frameFlag, frameType, preface, writeFrameHeader } from '../../../src/rpc/h2/frames.ts';
import { OutputBuffer } from '../../../src/rpc/h2/output-buffer.ts';
import type { RequestHead } from '../../../src/rpc/h2/request-head.ts';
import type { Stream } from '../../../src/rpc/h2/stream.ts';

export interface SentFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export interface TestRequest {
  readonly stream: Stream;
  readonly head: RequestHead;
  /** Pieces of the body, and `ended`. */
  readonly told: string[];
  gone: number | undefined;
  drained: number;
  readonly isOver: boolean;
}

export function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.set(payload, writeFrameHeader(bytes, 0, payload.length, type, flags, streamId));
  return bytes;
}

/** POST http /a, without the table. */
const block = Buffer.from([0x83, 0x86, 0x04, 2, 0x2f, 0x61]);

export function headers(streamId: number, isEnd = false): Buffer {
  return frame(frameType.headers, frameFlag.endHeaders | (isEnd ? frameFlag.endStream : 0), streamId, block);
}

export function data(streamId: number, payload: Uint8Array, isEnd = false): Buffer {
  return frame(frameType.data, isEnd ? frameFlag.endStream : 0, streamId, payload);
}

export interface TestConnectionOptions {
  readonly settings?: readonly (readonly [number, number])[];
  readonly concurrentStreamsMax?: number;
  readonly pingIntervalMinMs?: number;
}

export class TestConnection {
  readonly core: Connection;
  readonly requests: TestRequest[] = [];
  /** Whether requests give back windows at once. */
  isConsuming = true;
  nowMs = 0;
  readonly #output = new OutputBuffer();

  constructor({ settings = [], concurrentStreamsMax = 1000, ...rest }: TestConnectionOptions = {}) {
    this.core = new Connection({
      nowMs: this.nowMs,
      concurrentStreamsMax,
      ...rest,
      onRequest: (stream, head) => this.#onRequest(stream, head),
      wake: () => undefined,
    });
    this.receive(preface, encodeSettings(settings));
    this.take();
  }

  #onRequest(stream: Stream, head: RequestHead): void {
    const request: TestRequest = {
      stream,
      head,
      told: [],
      gone: undefined,
      drained: 0,
      get isOver() {
        return stream.isOver;
      },
    };
    this.requests.push(request);
    stream.handler = {
      data: (bytes, start, end) => {
        request.told.push(bytes.toString('latin1', start, end));
        if (this.isConsuming) stream.consumed(end - start);
      },
      ended: () => request.told.push('ended'),
      gone: (code) => {
        assert.equal(request.gone, undefined, 'told once');
        request.gone = code;
      },
      drained: () => request.drained++,
    };
  }

  receive(...pieces: readonly Buffer[]): void {
    for (const piece of pieces) if (!this.core.isFailed) this.core.receive(piece, this.nowMs);
  }

  /** What was sent since the last time. */
  take(): readonly SentFrame[] {
    const sent: SentFrame[] = [];
    let begun: { flags: number; streamId: number; parts: Buffer[] } | undefined;
    const reader = new FrameReader({
      dataBegins: (streamId, flags) => {
        begun = { flags, streamId, parts: [] };
      },
      dataBytes: (bytes, start, end) => begun?.parts.push(bytes.subarray(start, end)),
      dataEnds: () => {
        if (begun) sent.push({ ...begun, type: frameType.data, payload: Buffer.concat(begun.parts) });
      },
      frame: (type, flags, streamId, bytes, start, end) => {
        sent.push({ type, flags, streamId, payload: bytes.subarray(start, end) });
      },
    });
    for (let hasMore = true; hasMore; ) {
      hasMore = this.core.produce(this.#output);
      for (const part of this.#output.take()) reader.read(part);
      this.core.tellDrained();
    }
    return sent;
  }

  /** The frames of one stream, in words. */
  sentOn(streamId: number): readonly string[] {
    return this.take()
      .filter((each) => each.streamId === streamId)
      .map(({ type, flags, payload }) => {
        const end = (flags & frameFlag.endStream) !== 0 ? ' end' : '';
        if (type === frameType.data) return `data ${payload.toString('latin1')}${end}`;
        return type === frameType.headers ? `headers${end}` : `frame ${type}`;
      });
  }

  resets(): readonly (readonly [streamId: number, code: number])[] {
    return this.take()
      .filter(({ type }) => type === frameType.rstStream)
      .map(({ streamId, payload }) => [streamId, payload.readUInt32BE(0)] as const);
  }

  /** Bytes of DATA by stream. */
  dataBytes(): { get(streamId: number): number } {
    const bytes = new Map<number, number>();
    for (const { type, streamId, payload } of this.take()) {
      if (type === frameType.data) bytes.set(streamId, (bytes.get(streamId) ?? 0) + payload.length);
    }
    return { get: (streamId) => bytes.get(streamId) ?? 0 };
  }
}
