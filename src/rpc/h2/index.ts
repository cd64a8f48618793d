/**
 * The store's own gRPC server: HTTP/2 frames straight on sockets, without Node's http2. Drop-in for grpc-server.ts, and
 * serves plain HTTP on the same port as well: HTTP/1 clients by Node's parser, HTTP/2 requests that are no gRPC by a
 * bridge to the same handler.
 */
import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { RpcServer, RpcServerOptions } from '../rpc-server.ts';
import { type Listener, openListener } from '../tls/listener.ts';
import { Dispatcher } from './dispatch.ts';
import { Flusher, type HostOptions, SocketHost } from './host.ts';
import { bridgeTo } from './http-bridge.ts';
import { connectionsMax, drainMs, httpHeadersTimeoutMs, httpIdleTimeoutMs } from './limits.ts';
import { Timers } from './timers.ts';

/** Listens on all URLs or on none; rejects as `openListener` does. */
export async function startH2Server(options: RpcServerOptions): Promise<RpcServer> {
  const { clock, http, log } = options;
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
        log.warn('rejected connection on client endpoint', {
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
  const flusher = new Flusher();
  const listener: Listener = await openListener({
    clock,
    log,
    endpoint: 'client',
    urls: options.listenUrls,
    ...options.listen,
    onConnection: (socket) => {
      if (hosts.size + others.size < connectionsMax) hosts.add(new SocketHost(hostOptions, socket, flusher));
      else {
        log.warn('rejected connection on client endpoint', {
          error: `there are ${connectionsMax} connections already`,
        });
        socket.destroy();
      }
    },
  });
  const close = async (): Promise<void> => {
    await listener.close();
    for (const host of hosts) host.drain();
    // Takes the time-outs of requests with it, and the connections that wait for one.
    httpServer?.close();
    if (hosts.size + others.size > 0) {
      await new Promise<void>((resolve) => {
        const cancel = clock.after(drainMs, resolve);
        onEmpty = () => {
          cancel();
          resolve();
        };
      });
    }
    for (const host of hosts) host.destroy();
    for (const socket of others) socket.destroy();
    timers.close();
  };
  let closing: Promise<void> | undefined;
  return { urls: listener.urls, close: () => (closing ??= close()) };
}

/** Never listens itself: it is given sockets. */
function startHttp1(handle: NonNullable<RpcServerOptions['http']>): Server {
  const server = createServer({ headersTimeout: httpHeadersTimeoutMs, keepAliveTimeout: httpIdleTimeoutMs }, handle);
  // Node looks after the time that requests take only from this event on.
  server.emit('listening');
  return server;
}
