/**
 * Sockets around connections: bytes in and out, one write for all that a turn of the event loop has made, the time-outs.
 * A socket whose first bytes are not HTTP/2's preface is handed to `onOther`.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { assert } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import type { Log } from '../../env/log.ts';
import { Connection } from './connection.ts';
import type { Dispatcher } from './dispatch.ts';
import { errorCode, preface } from './frames.ts';
import type { CallScope } from './grpc-call.ts';
import { prefaceTimeoutMs } from './limits.ts';
import type { Flushable, Flusher } from './flusher.ts';
import type { OutputBuffer } from './output-buffer.ts';
import { keepalivePing, Silence } from './silence.ts';
import { SocketWriter } from './socket-writer.ts';
import type { Timed, Timers } from './timers.ts';

export interface HostOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly timers: Timers;
  readonly dispatcher: Dispatcher;
  readonly messageBytesMax: number;
  readonly concurrentStreamsMax: number;
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly pingIntervalMinMs?: number;
  /** A client that does not speak HTTP/2; nothing of the socket has been read. */
  readonly onOther: (socket: Socket) => void;
  readonly onClosed: (host: SocketHost) => void;
}

export class SocketHost implements Timed, Flushable {
  readonly #options: HostOptions;
  readonly #socket: Socket | TLSSocket;
  readonly #flusher: Flusher;
  readonly #writer: SocketWriter;
  #connection: Connection | undefined;
  #scope: CallScope | undefined;
  #sniffed: Buffer | undefined;
  #isWaiting = false;
  /** The socket has more than it can take: until it drains. */
  #isBlocked = false;
  #isEnded = false;
  readonly #silence: Silence;
  #isLookedAfter = false;
  dueMs: number;
  timerPlace = -1;

  constructor(options: HostOptions, socket: Socket | TLSSocket, flusher: Flusher) {
    this.#options = options;
    this.#socket = socket;
    this.#flusher = flusher;
    this.#writer = new SocketWriter(socket, flusher.output);
    const nowMs = options.clock.monotonicMs();
    this.#silence = new Silence(options, nowMs);
    this.dueMs = nowMs + prefaceTimeoutMs;
    options.timers.add(this);
    socket.on('error', ignore);
    socket.on('close', () => this.#closed());
    socket.on('readable', this.#sniff);
  }

  /** Takes bytes until it is clear what the client speaks. */
  readonly #sniff = (): void => {
    const read: Buffer | null = this.#socket.read();
    if (read === null) {
      if (this.#socket.readableEnded) this.#socket.destroy();
      return;
    }
    const bytes = this.#sniffed === undefined ? read : Buffer.concat([this.#sniffed, read]);
    const known = Math.min(bytes.length, preface.length);
    const isHttp2 = bytes.compare(preface, 0, known, 0, known) === 0;
    if (isHttp2 && known < preface.length) {
      // A few bytes may be the beginning of either.
      this.#sniffed = bytes;
      return;
    }
    this.#sniffed = undefined;
    this.#socket.off('readable', this.#sniff);
    if (isHttp2) this.#begin(bytes);
    else {
      this.#options.timers.remove(this);
      this.#socket.removeAllListeners('close');
      this.#socket.off('error', ignore);
      this.#socket.unshift(bytes);
      this.#options.onClosed(this);
      this.#options.onOther(this.#socket);
    }
  };

  #begin(bytes: Buffer): void {
    const { clock, concurrentStreamsMax, dispatcher, messageBytesMax, pingIntervalMinMs, timers } = this.#options;
    const connection = new Connection({
      nowMs: clock.monotonicMs(),
      concurrentStreamsMax,
      ...(pingIntervalMinMs === undefined ? {} : { pingIntervalMinMs }),
      onRequest: (stream, head) => dispatcher.dispatch(stream, head, this.#scope as CallScope, this.#silence.heardMs),
      wake: () => this.#wake(),
    });
    this.#connection = connection;
    this.#scope = { connection, timers, messageBytesMax, ...clientOf(this.#socket) };
    this.#wake();
    this.#received(bytes);
    this.#socket.on('data', (next: Buffer) => this.#received(next));
    this.#socket.on('drain', () => {
      this.#isBlocked = false;
      this.#wake();
    });
    // The client has closed its half: what it still awaits cannot be many calls, as it cannot widen windows any more.
    this.#socket.on('end', () => this.#socket.destroy());
  }

  #received(bytes: Buffer): void {
    const connection = this.#connection;
    if (connection === undefined || connection.isFailed || this.#isEnded) return;
    const nowMs = this.#options.clock.monotonicMs();
    this.#silence.heard(nowMs);
    connection.receive(bytes, nowMs);
    // The client may have cancelled the last call that was waited for.
    if (connection.isDrained) this.#wake();
    if (!this.#isLookedAfter && connection.isReady) {
      this.#isLookedAfter = true;
      const { keepaliveIntervalMs, timers } = this.#options;
      if (keepaliveIntervalMs > 0) this.#lookAfter(nowMs + keepaliveIntervalMs);
      else timers.remove(this);
    }
    if (connection.failure) {
      const { code, message } = connection.failure;
      this.#options.log.info('closed a connection that broke HTTP/2', {
        peer: this.#scope?.peer,
        code,
        reason: message,
      });
    }
  }

  #wake(): void {
    if (this.#isWaiting || this.#isEnded) return;
    if (this.#isBlocked) {
      // A client that does not read cannot be told why.
      if (this.#connection?.isFailed) this.#end();
      return;
    }
    this.#isWaiting = true;
    this.#flusher.add(this);
  }

  flush(output: OutputBuffer): void {
    this.#isWaiting = false;
    const connection = this.#connection;
    if (connection === undefined || this.#isEnded || this.#isBlocked) return;
    for (let hasMore = true; hasMore && !this.#isBlocked; ) {
      hasMore = connection.produce(output);
      if (!this.#writer.writeRun()) this.#isBlocked = true;
      connection.tellDrained();
    }
    if (connection.isFailed || connection.isDrained) this.#end();
  }

  /** Sends what was written, then closes. A client that does not read it is not waited for long. */
  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#socket.end();
    // Unread bytes of the client would turn the close into a reset, which may overtake the GOAWAY.
    this.#socket.resume();
    this.#lookAfter(this.#options.clock.monotonicMs() + closeTimeoutMs);
  }

  #lookAfter(dueMs: number): void {
    this.#options.timers.remove(this);
    this.dueMs = dueMs;
    this.#options.timers.add(this);
  }

  /** Time to look whether the client is still there. */
  due(nowMs: number): void {
    const connection = this.#connection;
    if (this.#isEnded || connection === undefined || !connection.isReady) {
      this.#socket.destroy();
      return;
    }
    const step = this.#silence.step(nowMs);
    if (step.kind === 'giveUp') {
      this.#options.log.info('closed a connection whose client does not answer', {
        peer: this.#scope?.peer,
        silentMs: Math.round(nowMs - this.#silence.heardMs),
      });
      this.#socket.destroy();
      return;
    }
    if (step.kind === 'ping') connection.ping(keepalivePing);
    this.#lookAfter(step.dueMs);
  }

  /** Takes no more calls and closes when those under way are done. */
  drain(): void {
    if (this.#connection === undefined) this.#socket.destroy();
    else this.#connection.drain();
  }

  destroy(): void {
    this.#connection?.fail(errorCode.noError, 'the server stops');
    this.flush(this.#flusher.output);
    this.#socket.destroy();
  }

  #closed(): void {
    this.#isEnded = true;
    this.#options.timers.remove(this);
    this.#connection?.lost();
    assert((this.#connection?.streamCount ?? 0) === 0, 'no stream outlives its socket');
    this.#options.onClosed(this);
  }
}

/** How long a client may take to read the last words. */
const closeTimeoutMs = 1_000;

function ignore(): void {
  // The socket's close tells it all.
}

function clientOf(socket: Socket | TLSSocket): {
  readonly peer: string;
  readonly clientCommonName: string | undefined;
} {
  const { remoteAddress, remotePort } = socket;
  const host = remoteAddress?.includes(':') ? `[${remoteAddress}]` : remoteAddress;
  const peer = host === undefined ? '' : `${host}:${remotePort}`;
  // A certificate counts only when it was verified.
  if (!('authorized' in socket) || !socket.authorized) return { peer, clientCommonName: undefined };
  const name: unknown = socket.getPeerCertificate()?.subject?.CN;
  return { peer, clientCommonName: Array.isArray(name) ? (name[0] as string) : (name as string | undefined) };
}
