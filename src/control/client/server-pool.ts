/**
 * HTTP/2 connections to one or several API servers. Adapter: the only file of the client that opens sockets.
 *
 * Promises: `session()` gives a live connection to the first server of the list that has one, and connects when there
 * is none; a server that does not answer costs at most `connectTimeoutMs` once per `retryDeadAfterMs`. A connection
 * with open streams is pinged every `pingPeriodMs`; when a ping is not answered in `pingTimeoutMs` the connection is
 * destroyed, so a master that vanished without closing is noticed within their sum. When an earlier server of the
 * list is reachable again, new requests go there while streams on the other connection run on.
 */
import { type ClientHttp2Session, connect, type SecureClientSessionOptions } from 'node:http2';
import { isIP } from 'node:net';
import { assert } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { ApiClientOptions } from './contract.ts';
import { ApiUnavailableError } from './api-error.ts';

export const connectTimeoutMs = 1000;
export const pingPeriodMs = 2000;
export const pingTimeoutMs = 2500;
const retryDeadAfterMs = 2000;
/** Receive windows: a list of a thousand objects fits without waiting for a window update. */
const streamWindowBytes = 1 << 20;
const connectionWindowBytes = 16 << 20;

interface Server {
  readonly origin: string;
  session: ClientHttp2Session | undefined;
  connecting: Promise<ClientHttp2Session> | undefined;
  /** Monotonic; connecting before that is the last resort. */
  deadUntilMs: number;
}

export class ServerPool {
  readonly #clock: Clock;
  readonly #servers: readonly Server[];
  readonly #tls: SecureClientSessionOptions;
  /** Of every server, with those that said GOAWAY and finish their streams. */
  readonly #sessions = new Set<ClientHttp2Session>();
  #isClosed = false;

  constructor(options: Pick<ApiClientOptions, 'servers' | 'ca' | 'credentials'>, clock: Clock) {
    assert(options.servers.length > 0, 'a client needs at least one server');
    this.#clock = clock;
    const origins = [...new Set(options.servers.map((server) => new URL(server).origin))];
    this.#servers = origins.map((origin) => ({
      origin,
      session: undefined,
      connecting: undefined,
      deadUntilMs: 0,
    }));
    this.#tls = {
      ...(options.ca.length === 0 ? {} : { ca: Buffer.from(options.ca) }),
      ...(options.credentials.kind === 'certificate'
        ? { cert: Buffer.from(options.credentials.cert), key: Buffer.from(options.credentials.key) }
        : {}),
      settings: { initialWindowSize: streamWindowBytes, enablePush: false },
    };
  }

  /** The server that answers now, for messages. */
  current(): string | undefined {
    return this.#servers.find((server) => isUsable(server.session))?.origin;
  }

  /** A live connection. Rejects with ApiUnavailableError when no server can be reached. */
  async session(): Promise<ClientHttp2Session> {
    if (this.#isClosed) throw new ApiUnavailableError('cannot call the API server: the client is closed', false);
    const live = this.#servers.findIndex((server) => isUsable(server.session));
    const now = this.#clock.monotonicMs();
    if (live >= 0) {
      for (const server of this.#servers.slice(0, live)) {
        // Failing keeps the server marked dead, which is all that matters here.
        if (server.deadUntilMs <= now) this.#connect(server).catch(() => undefined);
      }
      return this.#servers[live]?.session as ClientHttp2Session;
    }
    const order = [
      ...this.#servers.filter((server) => server.deadUntilMs <= now),
      ...this.#servers.filter((server) => server.deadUntilMs > now),
    ];
    const failures: string[] = [];
    for (const server of order) {
      try {
        return await this.#connect(server);
      } catch (error) {
        failures.push(`${server.origin}: ${errorText(error)}`);
      }
    }
    throw new ApiUnavailableError(`cannot reach any API server (${failures.join('; ')}); start one of them`, false);
  }

  close(): void {
    this.#isClosed = true;
    for (const session of this.#sessions) session.destroy();
  }

  async #connect(server: Server): Promise<ClientHttp2Session> {
    // Another call may have connected while this one waited for the servers before it.
    if (isUsable(server.session)) return server.session;
    server.connecting ??= this.#open(server).finally(() => {
      server.connecting = undefined;
    });
    return server.connecting;
  }

  #open(server: Server): Promise<ClientHttp2Session> {
    const host = new URL(server.origin).hostname.replace(/^\[|\]$/g, '');
    // A server name must not be an address; the certificate is then checked against the address itself.
    const session = connect(server.origin, { ...this.#tls, servername: isIP(host) ? '' : host });
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        cancel();
        server.deadUntilMs = this.#clock.monotonicMs() + retryDeadAfterMs;
        session.destroy();
        reject(error);
      };
      const cancel = this.#clock.after(connectTimeoutMs, () =>
        fail(new Error(`no connection in ${connectTimeoutMs} ms`)),
      );
      session.once('error', fail);
      session.once('close', () => fail(new Error('connection closed while connecting')));
      session.once('connect', () => {
        cancel();
        session.removeAllListeners('close');
        session.removeListener('error', fail);
        if (this.#isClosed) {
          session.destroy();
          return reject(new Error('the client was closed'));
        }
        this.#adopt(server, session);
        resolve(session);
      });
    });
  }

  #adopt(server: Server, session: ClientHttp2Session): void {
    assert(!isUsable(server.session), 'a server has one connection at a time');
    session.setLocalWindowSize(connectionWindowBytes);
    server.session = session;
    server.deadUntilMs = 0;
    this.#sessions.add(session);
    let pingSentMs: number | undefined;
    const stopPinging = this.#clock.every(pingPeriodMs / 2, () => {
      const now = this.#clock.monotonicMs();
      if (pingSentMs !== undefined && now - pingSentMs > pingTimeoutMs) {
        session.destroy(new Error(`no answer to a ping in ${Math.round(now - pingSentMs)} ms`));
      } else if (pingSentMs === undefined && !session.destroyed) {
        pingSentMs = now;
        session.ping((error) => {
          if (error === null || error === undefined) pingSentMs = undefined;
        });
      }
    });
    const drop = () => {
      if (server.session === session) server.session = undefined;
    };
    // After GOAWAY the open streams run to their end; new requests get a new connection.
    session.on('goaway', drop);
    // Every stream of the session reports the failure to its caller.
    session.on('error', drop);
    session.on('close', () => {
      stopPinging();
      this.#sessions.delete(session);
      drop();
    });
  }
}

function isUsable(session: ClientHttp2Session | undefined): session is ClientHttp2Session {
  return session !== undefined && !session.closed && !session.destroyed;
}
