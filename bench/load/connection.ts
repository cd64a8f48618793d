/**
 * A gRPC client connection for load: HTTP/2 over a plain or TLS socket with nothing but what a benchmark needs, because the
 * client shares the machine with the servers that it measures.
 *
 * Requests go out as prepared frames, gathered per turn into one write. Answers are not decoded: a call that brought a
 * message succeeded, one that ended without (trailers only) failed. Request headers use HPACK's dynamic table as real
 * clients do, so that servers pay what they pay for those. Flow control is honoured both ways; pings are answered.
 *
 * The caller owes: at most `callsMax` calls at a time, and it stops using a connection whose `onBroken` was called.
 */
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { assert } from '../../src/env/assert.ts';
import { HeaderWriter } from './header-writer.ts';
import { fill, type Template } from './messages.ts';

export interface ConnectionOptions {
  /** http(s)://host:port */
  readonly endpoint: string;
  readonly tls?: { readonly ca: Uint8Array; readonly cert: Uint8Array; readonly key: Uint8Array } | undefined;
  readonly onBroken: (error: Error) => void;
}

/** Told what becomes of a call. `onEnd` comes once; `isOk` = a message came. */
export interface CallSink {
  onMessage(message: Buffer): void;
  onEnd(isOk: boolean): void;
}

/** Our receive window, so large that servers never wait for it. */
const windowBytes = 2 ** 30;
const outBytes = 256 * 1024;
const frameHeaderBytes = 9;
const types = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8, continuation: 9 };
const endStream = 1;
const endHeaders = 4;

interface OpenCall {
  readonly sink: CallSink;
  hasMessage: boolean;
  /** Begun but unfinished message. */
  rest: Buffer | undefined;
}

interface Waiting {
  readonly streamId: number;
  readonly message: Buffer;
  readonly isLast: boolean;
}

export class LeanConnection {
  readonly #socket: Socket;
  readonly #headers: HeaderWriter;
  readonly #onBroken: (error: Error) => void;
  readonly #calls = new Map<number, OpenCall>();
  #out = Buffer.allocUnsafeSlow(outBytes);
  #outAt = 0;
  #isFlushDue = false;
  #isReading = false;
  #pending: Buffer | undefined;
  #nextStreamId = 1;
  #sendWindow = 65_535;
  #peerFrameBytes = 16_384;
  #consumed = 0;
  #waiting: Waiting[] = [];
  #isClosed = false;

  static open(options: ConnectionOptions): Promise<LeanConnection> {
    const url = new URL(options.endpoint);
    return new Promise((resolve, reject) => {
      const place = { host: url.hostname, port: Number(url.port) };
      const socket = options.tls
        ? connectTls({
            ...place,
            ca: Buffer.from(options.tls.ca),
            cert: Buffer.from(options.tls.cert),
            key: Buffer.from(options.tls.key),
            ALPNProtocols: ['h2'],
          })
        : connectPlain(place);
      socket.setNoDelay(true);
      socket.once('error', reject);
      socket.once(options.tls ? 'secureConnect' : 'connect', () => {
        socket.off('error', reject);
        resolve(new LeanConnection(socket, url, options));
      });
    });
  }

  private constructor(socket: Socket, url: URL, options: ConnectionOptions) {
    this.#socket = socket;
    this.#headers = new HeaderWriter(url.host, url.protocol === 'https:');
    this.#onBroken = options.onBroken;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', (error) => this.#broken(error));
    socket.on('close', () => this.#broken(new Error('the connection was closed')));
    this.#append(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'));
    const settings = Buffer.alloc(6);
    settings.writeUInt16BE(4, 0);
    settings.writeUInt32BE(windowBytes, 2);
    this.#frame(types.settings, 0, 0, settings);
    this.#windowUpdate(0, windowBytes - 65_535);
  }

  /** One message, one answer. `number` fills the digits of the message's key. */
  call(path: string, message: Template, number: number, sink: CallSink): void {
    const streamId = this.#begin(path, sink);
    const length = message.bytes.length;
    if (this.#sendWindow < length + 5 || this.#waiting.length > 0) {
      const copy = Buffer.allocUnsafe(length);
      fill(copy, 0, message, number);
      this.#waiting.push({ streamId, message: copy, isLast: true });
      return;
    }
    assert(length + 5 <= this.#peerFrameBytes, 'a request of the benchmark fits a frame');
    this.#room(frameHeaderBytes + 5 + length);
    this.#frameHeader(types.data, endStream, streamId, length + 5);
    this.#out[this.#outAt] = 0;
    this.#out.writeUInt32BE(length, this.#outAt + 1);
    fill(this.#out, this.#outAt + 5, message, number);
    this.#outAt += 5 + length;
    this.#sendWindow -= length + 5;
    this.#due();
  }

  /** Begins a stream of messages both ways. */
  stream(path: string, sink: CallSink): { send(message: Buffer): void; close(): void } {
    const streamId = this.#begin(path, sink);
    return {
      send: (message) => {
        this.#waiting.push({ streamId, message, isLast: false });
        this.#sendWaiting();
      },
      close: () => {
        this.#calls.delete(streamId);
        const code = Buffer.alloc(4);
        code.writeUInt32BE(8, 0);
        this.#frame(types.reset, 0, streamId, code);
      },
    };
  }

  /** From here on the server's bytes stay with the system, as with a client that hangs. */
  stopReading(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  #begin(path: string, sink: CallSink): number {
    const streamId = this.#nextStreamId;
    this.#nextStreamId += 2;
    this.#calls.set(streamId, { sink, hasMessage: false, rest: undefined });
    this.#frame(types.headers, endHeaders, streamId, this.#headers.block(path));
    return streamId;
  }

  #sendWaiting(): void {
    while (this.#waiting.length > 0) {
      const { streamId, message, isLast } = this.#waiting[0] as Waiting;
      const length = message.length + 5;
      if (this.#sendWindow < length) return;
      this.#waiting.shift();
      this.#sendWindow -= length;
      const prefixed = Buffer.allocUnsafe(length);
      prefixed[0] = 0;
      prefixed.writeUInt32BE(message.length, 1);
      message.copy(prefixed, 5);
      for (let at = 0; at < length; at += this.#peerFrameBytes) {
        const part = prefixed.subarray(at, at + this.#peerFrameBytes);
        this.#frame(types.data, isLast && at + part.length === length ? endStream : 0, streamId, part);
      }
    }
  }

  #read(chunk: Buffer): void {
    const bytes = this.#pending === undefined ? chunk : Buffer.concat([this.#pending, chunk]);
    this.#pending = undefined;
    this.#isReading = true;
    let at = 0;
    while (bytes.length - at >= frameHeaderBytes) {
      const length = bytes.readUIntBE(at, 3);
      if (bytes.length - at < frameHeaderBytes + length) break;
      const from = at + frameHeaderBytes;
      at = from + length;
      this.#take(bytes, { type: bytes[from - 6] as number, flags: bytes[from - 5] as number, from, to: at });
    }
    if (at < bytes.length) this.#pending = at === 0 ? bytes : Buffer.from(bytes.subarray(at));
    this.#isReading = false;
    this.#flush();
  }

  #take(bytes: Buffer, frame: { type: number; flags: number; from: number; to: number }): void {
    const { type, flags, from, to } = frame;
    const streamId = bytes.readUInt32BE(from - 4) & 0x7fffffff;
    if (type === types.data) this.#takeData(streamId, bytes.subarray(from, to), (flags & endStream) !== 0);
    else if (type === types.headers) {
      if ((flags & endStream) !== 0) this.#end(streamId);
    } else if (type === types.reset) this.#end(streamId, true);
    else if (type === types.settings && (flags & 1) === 0) {
      for (let at = from; at + 6 <= to; at += 6) {
        if (bytes.readUInt16BE(at) === 5) this.#peerFrameBytes = bytes.readUInt32BE(at + 2);
      }
      this.#frame(types.settings, 1, 0, Buffer.alloc(0));
    } else if (type === types.ping && (flags & 1) === 0) this.#frame(types.ping, 1, 0, bytes.subarray(from, to));
    else if (type === types.windowUpdate && streamId === 0) {
      this.#sendWindow += bytes.readUInt32BE(from);
      this.#sendWaiting();
    } else if (type === types.goAway) this.#broken(new Error('the server sent GOAWAY'));
  }

  #takeData(streamId: number, data: Buffer, isEnd: boolean): void {
    this.#consumed += data.length;
    if (this.#consumed >= windowBytes / 4) {
      this.#windowUpdate(0, this.#consumed);
      // Long streams get theirs at the same time, generously.
      for (const id of this.#calls.keys()) this.#windowUpdate(id, this.#consumed);
      this.#consumed = 0;
    }
    const call = this.#calls.get(streamId);
    if (call !== undefined && data.length > 0) {
      let rest = call.rest === undefined ? data : Buffer.concat([call.rest, data]);
      while (rest.length >= 5) {
        const length = rest.readUInt32BE(1);
        if (rest.length < 5 + length) break;
        call.hasMessage = true;
        call.sink.onMessage(rest.subarray(5, 5 + length));
        rest = rest.subarray(5 + length);
      }
      call.rest =
        rest.length === 0 ? undefined : rest === data || rest.buffer === data.buffer ? Buffer.from(rest) : rest;
    }
    if (isEnd) this.#end(streamId);
  }

  #end(streamId: number, isReset = false): void {
    const call = this.#calls.get(streamId);
    if (call === undefined) return;
    this.#calls.delete(streamId);
    call.sink.onEnd(call.hasMessage && !isReset);
  }

  #windowUpdate(streamId: number, bytes: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(bytes, 0);
    this.#frame(types.windowUpdate, 0, streamId, payload);
  }

  #frame(type: number, flags: number, streamId: number, payload: Buffer): void {
    this.#room(frameHeaderBytes + payload.length);
    this.#frameHeader(type, flags, streamId, payload.length);
    this.#append(payload);
  }

  #frameHeader(type: number, flags: number, streamId: number, length: number): void {
    const at = this.#outAt;
    this.#out.writeUIntBE(length, at, 3);
    this.#out[at + 3] = type;
    this.#out[at + 4] = flags;
    this.#out.writeUInt32BE(streamId, at + 5);
    this.#outAt = at + frameHeaderBytes;
  }

  #append(bytes: Buffer): void {
    this.#room(bytes.length);
    bytes.copy(this.#out, this.#outAt);
    this.#outAt += bytes.length;
    this.#due();
  }

  #room(bytes: number): void {
    assert(bytes <= outBytes, 'a frame fits the output buffer');
    if (this.#outAt + bytes > outBytes) this.#flush();
  }

  #due(): void {
    if (this.#isReading || this.#isFlushDue) return;
    this.#isFlushDue = true;
    queueMicrotask(() => {
      this.#isFlushDue = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#outAt === 0 || this.#isClosed) return;
    this.#socket.write(Buffer.from(this.#out.subarray(0, this.#outAt)));
    this.#outAt = 0;
  }

  #broken(error: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.destroy();
    this.#onBroken(error);
    for (const id of this.#calls.keys()) this.#end(id, true);
  }
}
