/** Health, version and metrics over plain HTTP on `--listen-metrics-urls`. The only file of the store that speaks HTTP/1. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { present } from '../../env/assert.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { KvServer } from '../server/contract.ts';
import { etcdVersion } from '../server/version.ts';
import { type CheckName, healthOf, livezChecks, readyzChecks, runCheck } from './health.ts';

export interface HttpOptions {
  readonly listenUrls: readonly string[];
  readonly registry: Registry;
  /** Undefined until the member runs: until then health says so. */
  readonly server: () => KvServer | undefined;
}

export interface HttpFace {
  readonly urls: readonly string[];
  close(): Promise<void>;
}

/** Listens on all URLs or on none; rejects with KeelsonError `LISTEN`. */
export async function startHttpFace(options: HttpOptions): Promise<HttpFace> {
  const servers: Server[] = [];
  const urls: string[] = [];
  try {
    for (const url of options.listenUrls) {
      const server = createServer((request, response) => void answer(options, request, response));
      // A scrape or a probe is short; whoever says nothing for this long is not one.
      server.headersTimeout = 10_000;
      server.keepAliveTimeout = 60_000;
      urls.push(await listen(server, url));
      servers.push(server);
    }
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
  return {
    urls,
    close: async () => {
      for (const server of servers) {
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        server.closeAllConnections();
        await closed;
      }
    },
  };
}

function listen(server: Server, url: string): Promise<string> {
  const { hostname, port, protocol } = new URL(url);
  if (protocol !== 'http:') {
    throw new KeelsonError(
      'BAD_FLAGS',
      `--listen-metrics-urls: ${url}: want http://host:port (https is not supported here)`,
    );
  }
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new KeelsonError(
          'LISTEN',
          `listen on ${url} for metrics: ${error.message}: free the address or choose another one`,
          {
            cause: error,
          },
        ),
      ),
    );
    const host = hostname.replace(/^\[|\]$/g, '');
    server.listen(Number(port || 80), host, () => {
      const address = present(server.address() as AddressInfo | null, 'address of a listening server');
      resolve(`http://${hostname}:${address.port}`);
    });
  });
}

async function answer(options: HttpOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  try {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return send(response, 405, 'text/plain', 'Method Not Allowed\n');
    if (url.pathname === '/metrics') {
      return send(response, 200, options.registry.contentType, await options.registry.metrics());
    }
    const server = options.server();
    if (!server) return send(response, 503, 'text/plain', 'the member is starting\n');
    if (url.pathname === '/version') return sendVersion(server, response);
    if (url.pathname === '/health') return await sendHealth(server, url, response);
    const [, group, check] = /^\/(livez|readyz)(?:\/(\w+))?$/.exec(url.pathname) ?? [];
    if (group === undefined) return send(response, 404, 'text/plain', '404 page not found\n');
    const checks = group === 'livez' ? livezChecks : readyzChecks;
    if (check !== undefined && !checks.includes(check as CheckName)) {
      return send(response, 404, 'text/plain', '404 page not found\n');
    }
    const excluded = url.searchParams.getAll('exclude');
    const wanted = check === undefined ? checks.filter((name) => !excluded.includes(name)) : [check as CheckName];
    await sendChecks(server, group as 'livez' | 'readyz', wanted, url.searchParams.has('verbose'), response);
  } catch (error) {
    send(response, 500, 'text/plain', `${errorText(error)}\n`);
  }
}

function sendVersion(server: KvServer, response: ServerResponse): void {
  const { clusterVersion } = server.status();
  const etcdcluster = clusterVersion === '' ? 'not_decided' : clusterVersion;
  send(
    response,
    200,
    'application/json',
    JSON.stringify({ etcdserver: etcdVersion, etcdcluster, storage: etcdcluster }),
  );
}

async function sendHealth(server: KvServer, url: URL, response: ServerResponse): Promise<void> {
  const { isHealthy, reason } = await healthOf(server, {
    isSerializable: url.searchParams.get('serializable') === 'true',
    excluded: url.searchParams.getAll('exclude'),
  });
  const body = JSON.stringify({ health: String(isHealthy), reason });
  send(response, isHealthy ? 200 : 503, 'application/json', body);
}

async function sendChecks(
  server: KvServer,
  group: 'livez' | 'readyz',
  checks: readonly CheckName[],
  isVerbose: boolean,
  response: ServerResponse,
): Promise<void> {
  const results = await Promise.all(checks.map(async (name) => ({ name, failure: await runCheck(server, name) })));
  const isFine = results.every(({ failure }) => failure === undefined);
  const lines = results.map(({ name, failure }) =>
    failure === undefined ? `[+]${name} ok` : `[-]${name} failed: ${failure}`,
  );
  if (!isFine) return send(response, 503, 'text/plain', `${lines.join('\n')}\n${group} check failed\n`);
  send(response, 200, 'text/plain', isVerbose ? `${lines.join('\n')}\n${group} check passed\n` : 'ok\n');
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'x-content-type-options': 'nosniff' });
  response.end(body);
}
