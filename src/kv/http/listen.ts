/** Plain HTTP on URLs of its own, `--listen-metrics-urls`: the same handler as on the client port. */
import { createServer } from 'node:http';
import { openListener, type ListenerOptions } from '../rpc/tls/listener.ts';
import type { HttpHandler } from './handler.ts';

/** A scrape or a probe is short; whoever says nothing for this long is not one. */
const headersTimeoutMs = 10_000;
const keepAliveTimeoutMs = 60_000;

export interface HttpFace {
  /** As asked for, with the ports that were taken. */
  readonly urls: readonly string[];
  close(): Promise<void>;
}

/** Listens on all URLs or on none; rejects as `openListener` does. */
export async function startHttpFace(
  listen: Omit<ListenerOptions, 'endpoint' | 'onConnection'>,
  handler: HttpHandler,
): Promise<HttpFace> {
  const server = createServer(handler);
  server.headersTimeout = headersTimeoutMs;
  server.keepAliveTimeout = keepAliveTimeoutMs;
  const sockets = new Set<{ destroy(): void }>();
  const listener = await openListener({
    ...listen,
    endpoint: 'client',
    onConnection: (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      server.emit('connection', socket);
    },
  });
  return {
    urls: listener.urls,
    close: async () => {
      await listener.close();
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
