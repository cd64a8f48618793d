/**
 * A gRPC client over one connection: the socket or TLS socket around a ClientConnection, one write for all that a turn of
 * the event loop has made, and pings to a server that is silent. A connection that is lost stays lost: making a new one,
 * when and where to, is left to the caller.
 *
 * Promises: calls may be made at once, before the socket is connected; `onClosed` comes exactly once unless the caller
 * closes the client, after all its calls have ended.
 */
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectSecure, type ConnectionOptions as SecureOptions, type TLSSocket } from 'node:tls';
import type { Clock } from '../../env/clock.ts';
import { ClientCall, type CallHandler } from './client-call.ts';
import { ClientConnection } from './client-connection.ts';
import type { Flushable, Flusher } from './flusher.ts';
import { errorCode } from './frames.ts';
import { keepalivePing, Silence } from './silence.ts';
import { SocketWriter } from './socket-writer.ts';
import type { FieldPair } from './stream.ts';
import type { Timed, Timers } from './timers.ts';
import type { OutputBuffer } from './output-buffer.ts';

/** `host` may be a name; a path is a socket file. */
export type ServerAddress = { readonly host: string; readonly port: number } | { readonly path: string };

export interface H2ClientOptions {
  readonly clock: Clock;
  /** May be shared by many clients, as may the flusher. */
  readonly timers: Timers;
  readonly flusher: Flusher;
  readonly address: ServerAddress;
  /** Absent: plain text. What TLS needs beside the address; ALPN is added. */
  readonly tls?: Pick<
    SecureOptions,
    'ca' | 'cert' | 'key' | 'servername' | 'checkServerIdentity' | 'rejectUnauthorized'
  >;
  /** From the beginning to the server's settings. */
  readonly connectTimeoutMs: number;
  /** Of that, until the machine at the other end has answered: the kernel asks ever more seldom. Absent: all of it. */
  readonly reachTimeoutMs?: number;
  /** A server that says nothing for so long is pinged, … */
  readonly keepaliveIntervalMs: number;
  /** … and given up when it says nothing for as long again. */
  readonly keepaliveTimeoutMs: number;
  /** Of one message of the server. */
  readonly messageBytesMax: number;
  readonly onClosed: (reason: string) => void;
}

export class H2Client implements Timed, Flushable {
  readonly #options: H2ClientOptions;
  readonly #socket: Socket | TLSSocket;
  readonly #writer: SocketWriter;
  readonly #connection: ClientConnection;
  readonly #authority: string;
  /** The machine at the other end has answered; its program may not have. */
  #isReached = false;
  #isConnected = false;
  #isWaiting = false;
  /** The socket has more than it can take: until it drains. */
  #isBlocked = false;
  /** Why there is no connection any more; empty while there is. */
  #lostReason = '';
  readonly #silence: Silence;
  dueMs: number;
  timerPlace = -1;

  constructor(options: H2ClientOptions) {
    const { address, clock, timers, tls } = options;
    this.#options = options;
    const nowMs = clock.monotonicMs();
    this.#silence = new Silence(options, nowMs);
    this.#authority = 'path' in address ? 'localhost' : authorityOf(address);
    this.#connection = new ClientConnection({ nowMs, wake: () => this.#wake() });
    const socket = tls ? connectSecure({ ...address, ...tls, ALPNProtocols: ['h2'] }) : connectPlain({ ...address });
    this.#socket = socket;
    this.#writer = new SocketWriter(socket, options.flusher.output);
    // Answers are waited for: a small write must not wait for the confirmation of the one before.
    socket.setNoDelay(true);
    socket.on('error', (error: Error) => this.#lost(error.message));
    socket.on('close', () => this.#lost('the server has closed the connection'));
    socket.on('end', () => this.#lost('the server has closed the connection'));
    socket.once(tls ? 'secureConnect' : 'connect', () => this.#connected());
    socket.once('connect', () => this.#reached(nowMs + options.connectTimeoutMs));
    this.dueMs = nowMs + (options.reachTimeoutMs ?? options.connectTimeoutMs);
    timers.add(this);
  }

  /** Whether a call would get a stream of its own now. */
  get mayCall(): boolean {
    return this.#lostReason === '' && this.#connection.mayOpen;
  }

  /** Undefined when the server takes no more calls on this connection, for now or for ever. */
  call(path: string, metadata: readonly FieldPair[], handler: CallHandler): ClientCall | undefined {
    if (!this.mayCall) return undefined;
    const { messageBytesMax, tls } = this.#options;
    const scheme = tls ? 'https' : 'http';
    const options = { path, metadata, scheme, authority: this.#authority, messageBytesMax } as const;
    return new ClientCall(this.#connection, options, handler, () => this.#lostReason);
  }

  /** Cuts off all calls, which are told so. */
  close(): void {
    if (this.#lostReason !== '') return;
    this.#connection.fail(errorCode.noError, '');
    this.flush(this.#options.flusher.output);
    this.#end('the client was closed');
  }

  #reached(dueMs: number): void {
    this.#isReached = true;
    if (this.#lostReason === '') this.#lookAfter(dueMs);
  }

  #connected(): void {
    const socket = this.#socket;
    if (this.#lostReason !== '') return;
    if ('alpnProtocol' in socket && socket.alpnProtocol !== 'h2') {
      return this.#lost('the server does not speak HTTP/2 behind TLS: check that the address is a peer’s');
    }
    this.#isConnected = true;
    socket.on('data', (bytes: Buffer) => this.#received(bytes));
    socket.on('drain', () => {
      this.#isBlocked = false;
      this.#wake();
    });
    this.flush(this.#options.flusher.output);
  }

  #received(bytes: Buffer): void {
    const connection = this.#connection;
    if (this.#lostReason !== '' || connection.isFailed) return;
    const wasReady = connection.isReady;
    const nowMs = this.#options.clock.monotonicMs();
    this.#silence.heard(nowMs);
    connection.receive(bytes, nowMs);
    if (!wasReady && connection.isReady) this.#lookAfter(nowMs + this.#options.keepaliveIntervalMs);
    // What a blocked socket does not take need not be waited for.
    if (connection.failure && this.#isBlocked) this.#lost(brokenReason(connection.failure));
    if (connection.goneAway !== undefined && connection.streamCount === 0) this.#lost(this.#goneAwayReason());
  }

  #wake(): void {
    if (this.#isWaiting || this.#isBlocked || !this.#isConnected || this.#lostReason !== '') return;
    this.#isWaiting = true;
    this.#options.flusher.add(this);
  }

  /** Writes what would be written at the end of this turn. */
  writeNow(): void {
    if (this.#isWaiting) this.flush(this.#options.flusher.output);
  }

  flush(output: OutputBuffer): void {
    this.#isWaiting = false;
    if (!this.#isConnected || this.#lostReason !== '') return;
    const connection = this.#connection;
    for (let hasMore = true; hasMore && !this.#isBlocked; ) {
      hasMore = connection.produce(output);
      if (!this.#writer.writeRun()) this.#isBlocked = true;
      connection.tellDrained();
    }
    if (connection.failure) this.#lost(brokenReason(connection.failure));
  }

  #lookAfter(dueMs: number): void {
    this.#options.timers.remove(this);
    this.dueMs = dueMs;
    this.#options.timers.add(this);
  }

  /** Time to look whether the server is still there. */
  due(nowMs: number): void {
    const { keepaliveTimeoutMs, connectTimeoutMs, reachTimeoutMs = connectTimeoutMs } = this.#options;
    if (!this.#connection.isReady) {
      return this.#lost(`the server did not answer within ${this.#isReached ? connectTimeoutMs : reachTimeoutMs} ms`);
    }
    const step = this.#silence.step(nowMs);
    if (step.kind === 'giveUp') return this.#lost(`the server did not answer a ping within ${keepaliveTimeoutMs} ms`);
    if (step.kind === 'ping') this.#connection.ping(keepalivePing);
    this.#lookAfter(step.dueMs);
  }

  #goneAwayReason(): string {
    const { code, reason } = this.#connection.goneAway ?? { code: 0, reason: '' };
    return `the server takes no more calls (HTTP/2 error ${code}${reason === '' ? '' : `, ${reason}`})`;
  }

  #lost(reason: string): void {
    if (this.#lostReason !== '') return;
    this.#end(this.#connection.goneAway === undefined ? reason : this.#goneAwayReason());
    this.#options.onClosed(this.#lostReason);
  }

  #end(reason: string): void {
    this.#lostReason = reason;
    this.#options.timers.remove(this);
    this.#connection.lost();
    // What was written still goes out; a server that does not read it is not waited for.
    if (this.#isConnected && !this.#isBlocked) this.#socket.destroySoon();
    else this.#socket.destroy();
  }
}

function brokenReason(failure: Error): string {
  return `the server broke HTTP/2: ${failure.message}`;
}

function authorityOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
