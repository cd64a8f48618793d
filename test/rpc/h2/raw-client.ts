/** A client of frames over a real socket that sends whatever it is told to. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { FrameReader } from '../../../src/rpc/h2/frame-reader.ts';
import { encodePing, encodeSettings, frameFlag, frameType, preface, settingsAck } from '../../../src/rpc/h2/frames.ts';
import { HpackDecoder } from '../../../src/rpc/h2/hpack/decoder.ts';
import { HpackEncoder } from '../../../src/rpc/h2/hpack/encoder.ts';
import { frameBytesMax } from '../../../src/rpc/h2/limits.ts';
import { data, frame } from './test-connection.ts';

export interface RawAnswer {
  /** `grpc-status`; empty when there was none. */
  readonly status: string;
  readonly httpStatus: string;
  /** Without the prefix of the message. */
  readonly body: Buffer;
}

interface OpenCall {
  readonly fields: Map<string, string>;
  readonly chunks: Buffer[];
  readonly done: (answer: RawAnswer) => void;
}

export class RawClient {
  readonly #socket: Socket;
  readonly #decoder = new HpackDecoder();
  readonly #calls = new Map<number, OpenCall>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #goAway = Promise.withResolvers<{ readonly code: number; readonly reason: string }>();
  readonly closed: Promise<void>;
  #nextId = 1;
  #tableBytes = 4096;
  #dataId = 0;
  #isDataLast = false;

  /** `sayHello` sends the preface in another way. Resolves once the server has answered. */
  static async open(url: string, sayHello?: (socket: Socket) => Promise<void>): Promise<RawClient> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    const client = new RawClient(socket);
    if (sayHello) await sayHello(socket);
    else socket.write(preface);
    socket.write(encodeSettings([]));
    await client.#ready.promise;
    return client;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    const reader = new FrameReader({
      dataBegins: (streamId, flags) => {
        this.#dataId = streamId;
        this.#isDataLast = (flags & frameFlag.endStream) !== 0;
      },
      dataBytes: (bytes, start, end) => this.#calls.get(this.#dataId)?.chunks.push(bytes.subarray(start, end)),
      dataEnds: () => {
        if (this.#isDataLast) this.#end(this.#dataId);
      },
      frame: (type, flags, streamId, bytes, start, end) => {
        if (type === frameType.settings && (flags & frameFlag.ack) === 0) {
          this.write(settingsAck);
          this.#ready.resolve();
        } else if (type === frameType.ping && (flags & frameFlag.ack) === 0) {
          this.write(encodePing(bytes.subarray(start, end), true));
        } else if (type === frameType.goAway) {
          this.#goAway.resolve({
            code: bytes.readUInt32BE(start + 4),
            reason: bytes.toString('latin1', start + 8, end),
          });
        } else if (type === frameType.headers) {
          // Every field must be understood, with the table that was agreed on.
          if (this.#tableBytes === 0 && bytes[start] === 0x20) start++;
          for (const { name, value } of this.#decoder.decode(bytes, start, end).fields) {
            this.#calls.get(streamId)?.fields.set(name, value);
          }
          if ((flags & frameFlag.endStream) !== 0) this.#end(streamId);
        }
      },
    });
    socket.on('data', (chunk: Buffer) => reader.read(chunk));
  }

  get goAway(): Promise<{ readonly code: number; readonly reason: string }> {
    return this.#goAway.promise;
  }

  limitTable(bytes: number): void {
    this.#tableBytes = bytes;
  }

  #end(streamId: number): void {
    const call = this.#calls.get(streamId);
    this.#calls.delete(streamId);
    call?.done({
      status: call.fields.get('grpc-status') ?? '',
      httpStatus: call.fields.get(':status') ?? '',
      body: Buffer.concat(call.chunks).subarray(5),
    });
  }

  /** A call whose client's half stays open. */
  open(path: string, message: Buffer): number {
    return this.#begin(path, message, [], false);
  }

  call(path: string, message: Buffer, more: readonly (readonly [string, string])[] = []): Promise<RawAnswer> {
    return new Promise((done) => {
      this.#calls.set(this.#nextId, { fields: new Map(), chunks: [], done });
      this.#begin(path, message, more, true);
    });
  }

  #begin(path: string, message: Buffer, more: readonly (readonly [string, string])[], isEnd: boolean): number {
    const streamId = this.#nextId;
    this.#nextId += 2;
    const authority = more.filter(([name]) => name.startsWith(':'));
    const block = new HpackEncoder().block([
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', path],
      ...authority,
      ['content-type', 'application/grpc'],
      ...more.filter(([name]) => !name.startsWith(':')),
    ]);
    for (let at = 0; at < block.length; at += frameBytesMax) {
      const part = block.subarray(at, at + frameBytesMax);
      const flags = at + part.length === block.length ? frameFlag.endHeaders : 0;
      this.write(frame(at === 0 ? frameType.headers : frameType.continuation, flags, streamId, part));
    }
    const framed = Buffer.alloc(5 + message.length);
    framed.writeUInt32BE(message.length, 1);
    message.copy(framed, 5);
    this.write(data(streamId, framed, isEnd));
    return streamId;
  }

  write(bytes: Buffer): boolean {
    return this.#socket.write(bytes);
  }

  async drained(): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.once('drain', () => resolve()));
  }

  stopReading(): void {
    this.#socket.pause();
  }

  goOnReading(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
