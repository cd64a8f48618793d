/**
 * The store's own gRPC server: HTTP/2 frames straight on sockets, without Node's http2. Drop-in for grpc-server.ts, and
 * serves plain HTTP on the same port as well: HTTP/1 clients by Node's parser, HTTP/2 requests that are no gRPC by a
 * bridge to the same handler.
 */
import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { RpcServer, RpcServerOptions } from '../rpc-server.ts';
import { type Listener, openListener } from '../tls/listener.ts';
import { Dispatcher } from './dispatch.ts';
import { Flusher } from './flusher.ts';
import { type HostOptions, SocketHost } from './host.ts';
import { bridgeTo } from './http-bridge.ts';
import { connectionsMax, drainMs, httpHeadersTimeoutMs, httpIdleTimeoutMs } from './limits.ts';
import { Timers } from './timers.ts';

/** Serves connections that somebody else has accepted. */
export interface H2Acceptor {
  /** Takes over a socket whose first byte has not been read. */
  accept(socket: Socket | TLSSocket): void;
  /** Takes no more calls, lets those under way finish for at most `patienceMs`, then closes everything. */
  close(patienceMs: number): Promise<void>;
}

export type H2AcceptorOptions = Omit<RpcServerOptions, 'listenUrls' | 'listen'> & {
  /** Who comes here, for the log. */
  readonly endpoint: 'client' | 'peer';
  /** May be shared with clients. */
  readonly flusher?: Flusher;
};

/** Listens on all URLs or on none; rejects as `openListener` does. */
export async function startH2Server(options: RpcServerOptions): Promise<RpcServer> {
  const { clock, log } = options;
  const acceptor = createH2Acceptor({ ...options, endpoint: 'client' });
  const listener: Listener = await openListener({
    clock,
    log,
    endpoint: 'client',
    urls: options.listenUrls,
    ...options.listen,
    onConnection: (socket) => acceptor.accept(socket),
  });
  let closing: Promise<void> | undefined;
  const close = async () => {
    await listener.close();
    await acceptor.close(drainMs);
  };
  return { urls: listener.urls, close: () => (closing ??= close()) };
}

export function createH2Acceptor(options: H2AcceptorOptions): H2Acceptor {
  const { clock, http, log, endpoint } = options;
  const rejected = `rejected connection on ${endpoint} endpoint`;
  const timers = new Timers(clock);
  const hosts = new Set<SocketHost>();
  const others = new Set<Socket>();
  let onEmpty: (() => void) | undefined;
  const lookForEnd = () => {
    if (hosts.size + others.size === 0) onEmpty?.();
  };
  const httpServer = http && startHttp1(http);
  const hostOptions: HostOptions = {
    clock,
    log,
    timers,
    dispatcher: new Dispatcher(options.methods, http && bridgeTo(http)),
    messageBytesMax: options.messageBytesMax,
    concurrentStreamsMax: Math.min(options.concurrentStreamsMax, 2 ** 32 - 1),
    keepaliveIntervalMs: options.keepaliveIntervalMs,
    keepaliveTimeoutMs: options.keepaliveTimeoutMs,
    ...(options.pingIntervalMinMs === undefined ? {} : { pingIntervalMinMs: options.pingIntervalMinMs }),
    onOther: (socket) => {
      if (!httpServer) {
        log.warn(rejected, {
          'remote-addr': `${socket.remoteAddress}:${socket.remotePort}`,
          error: 'the client does not speak HTTP/2',
        });
        socket.destroy();
        return;
      }
      others.add(socket);
      socket.once('close', () => {
        others.delete(socket);
        lookForEnd();
      });
      httpServer.emit('connection', socket);
    },
    onClosed: (host) => {
      hosts.delete(host);
      lookForEnd();
    },
  };
  const flusher = options.flusher ?? new Flusher();
  return {
    accept: (socket) => {
      if (hosts.size + others.size < connectionsMax) {
        hosts.add(new SocketHost(hostOptions, socket, flusher));
        return;
      }
      log.warn(rejected, { error: `there are ${connectionsMax} connections already` });
      socket.destroy();
    },
    close: async (patienceMs) => {
      for (const host of hosts) host.drain();
      // Takes the time-outs of requests with it, and the connections that wait for one.
      httpServer?.close();
      if (hosts.size + others.size > 0) {
        await new Promise<void>((resolve) => {
          const cancel = clock.after(patienceMs, resolve);
          onEmpty = () => {
            cancel();
            resolve();
          };
        });
      }
      for (const host of hosts) host.destroy();
      for (const socket of others) socket.destroy();
      timers.close();
    },
  };
}

/** Never listens itself: it is given sockets. */
function startHttp1(handle: NonNullable<RpcServerOptions['http']>): Server {
  const server = createServer({ headersTimeout: httpHeadersTimeoutMs, keepAliveTimeout: httpIdleTimeoutMs }, handle);
  // Node looks after the time that requests take only from this event on.
  server.emit('listening');
  return server;
}
