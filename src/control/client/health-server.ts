/**
 * The health and metrics port of a component. Adapter: opens an HTTPS port.
 *
 * `/livez`, `/readyz` and `/healthz` answer everyone (`?verbose` lists the checks, `/readyz/<check>` asks one);
 * `/metrics` answers clients with a certificate of the client CA only. One request is small and short: headers and
 * time are limited, bodies are not read.
 */
import { createServer, type ServerOptions } from 'node:https';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { errorText, KeelsonError } from '../../env/errors.ts';

export interface HealthCheck {
  readonly name: string;
  /** Undefined when all is well, else what is wrong. */
  readonly check: () => string | undefined;
}

export interface HealthServerOptions {
  readonly address: string;
  readonly port: number;
  readonly cert: Uint8Array;
  readonly key: Uint8Array;
  /** Authority of the clients that may read metrics. Absent = nobody may. */
  readonly clientCa?: Uint8Array;
  readonly live: readonly HealthCheck[];
  readonly ready: readonly HealthCheck[];
  /** prom-client's Registry. */
  readonly metrics: { readonly contentType: string; metrics(): Promise<string> };
  /** More paths under `/`, for the node agent and the like. True when it answered. */
  readonly handle?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** A port that is open. `close` cuts off whoever is connected. */
export interface ListeningServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Resolves when it listens; rejects with KeelsonError LISTEN_FAILED. */
export function startHealthServer(options: HealthServerOptions): Promise<ListeningServer> {
  const tls: ServerOptions = {
    cert: Buffer.from(options.cert),
    key: Buffer.from(options.key),
    ...(options.clientCa === undefined ? {} : { ca: Buffer.from(options.clientCa) }),
    requestCert: options.clientCa !== undefined,
    rejectUnauthorized: false,
    headersTimeout: 10_000,
    requestTimeout: 10_000,
    maxHeaderSize: 16 << 10,
  };
  const server = createServer(tls, (request, response) => {
    answer(options, request, response).catch((error) => {
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' });
      response.end(`${errorText(error)}\n`);
    });
  });
  server.maxConnections = 256;
  const { address, port } = options;
  return listenOn(server, { address, port, hint: 'choose another --bind-address or port' });
}

/** Resolves when it listens; rejects with KeelsonError LISTEN_FAILED, which ends with the hint. */
export function listenOn(
  server: Server,
  where: { readonly address: string; readonly port: number; readonly hint: string },
): Promise<ListeningServer> {
  const { address, port, hint } = where;
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const text = `cannot listen on ${address}:${port}: ${errorText(error)}; ${hint}, or stop what listens there`;
      reject(new KeelsonError('LISTEN_FAILED', text, { cause: error }));
    });
    server.listen(port, address, () => {
      resolve({
        port: (server.address() as AddressInfo).port,
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            server.closeAllConnections();
          }),
      });
    });
  });
}

async function answer(options: HealthServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'https://localhost');
  const send = (status: number, body: string, contentType = 'text/plain; charset=utf-8') => {
    response.writeHead(status, { 'content-type': contentType, 'x-content-type-options': 'nosniff' });
    response.end(request.method === 'HEAD' ? undefined : body);
  };
  if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'only GET is allowed\n');
  if (url.pathname === '/metrics') {
    if (!(request.socket as TLSSocket).authorized)
      return send(401, 'metrics need a client certificate of the cluster\n');
    return send(200, await options.metrics.metrics(), options.metrics.contentType);
  }
  const [, endpoint, only] = url.pathname.split('/');
  if (endpoint === 'livez' || endpoint === 'readyz' || endpoint === 'healthz') {
    const all = endpoint === 'readyz' ? [...options.live, ...options.ready] : options.live;
    const checks = only ? all.filter((check) => check.name === only) : all;
    if (only && checks.length === 0) return send(404, `no check named ${JSON.stringify(only)}\n`);
    const results = checks.map((check) => ({ name: check.name, failure: check.check() }));
    const isWell = results.every((result) => result.failure === undefined);
    if (isWell && !url.searchParams.has('verbose')) return send(200, 'ok');
    const lines = results.map(({ name, failure }) =>
      failure === undefined ? `[+]${name} ok` : `[-]${name} failed: ${failure}`,
    );
    lines.push(`${endpoint} check ${isWell ? 'passed' : 'failed'}`);
    return send(isWell ? 200 : 500, `${lines.join('\n')}\n`);
  }
  if (options.handle?.(request, response)) return;
  return send(404, 'not found\n');
}
