/**
 * Serves the metrics of a run for Prometheus, at `/metrics`. Adapter: opens a port on the loopback address and nowhere else,
 * because a run of faults is nobody else's business.
 */
import { createServer } from 'node:http';
import { type ListeningServer, listenOn } from '../../src/control/client/health-server.ts';
import { errorText } from '../../src/env/errors.ts';
import type { RunMetrics } from './run-metrics.ts';

/** One Prometheus and a person with curl; whoever opens more is not one of them. */
const connectionsMax = 16;

/** Resolves when it listens; port 0 lets the system choose. Rejects with KeelsonError LISTEN_FAILED. */
export function serveRunMetrics(metrics: RunMetrics, port: number): Promise<ListeningServer> {
  const limits = { headersTimeout: 5_000, requestTimeout: 5_000, maxHeaderSize: 8 << 10 };
  const server = createServer(limits, (request, response) => {
    const send = (status: number, body: string, contentType = 'text/plain; charset=utf-8') => {
      response.writeHead(status, { 'content-type': contentType, 'x-content-type-options': 'nosniff' });
      response.end(request.method === 'HEAD' ? undefined : body);
    };
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'only GET is allowed\n');
    if (request.url?.split('?')[0] !== '/metrics') return send(404, 'not found: want /metrics\n');
    metrics.registry.metrics().then(
      (text) => send(200, text, metrics.registry.contentType),
      (error: unknown) => send(500, `${errorText(error)}\n`),
    );
  });
  server.maxConnections = connectionsMax;
  return listenOn(server, { address: '127.0.0.1', port, hint: 'choose another port for the metrics' });
}
