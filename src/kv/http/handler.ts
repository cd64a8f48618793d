/**
 * What plain HTTP requests get, on the client port and on the metrics URLs: health, version, metrics, and on the client
 * port what is given in `paths` (the JSON gateway, the old keys). Anything else is not found, in etcd's words.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { InvariantViolation } from '../../env/assert.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { KvServer } from '../server/contract.ts';
import type { MetricsText } from '../rpc/store-registry.ts';
import { type AccessRules, corsHeaders, hostRefusal, isHostAllowed } from './access.ts';
import { isMethodAllowed, send, sendNotFound, sendText } from './answers.ts';
import { changeLogLevel, type LogLevel, sendDebugVars } from './debug.ts';
import { sendChecks, sendHealth, sendVersion } from './probes.ts';

export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void;

export interface HttpHandlerOptions {
  readonly log: Log;
  readonly registry: MetricsText;
  readonly access: AccessRules;
  /** Counts answers to Prometheus. */
  readonly scrapes?: { underWay: number; answered: number };
  /** Undefined until the member runs: until then health says so. */
  readonly server: () => KvServer | undefined;
  /** Absent: the level stays as it is. */
  readonly setLogLevel?: (level: LogLevel) => void;
  /** Whole parts of the tree by how their paths begin, `/v3/` for one. */
  readonly paths?: Readonly<Record<string, PathHandler>>;
  readonly onFatal: (error: Error) => void;
}

export type PathHandler = (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void> | void;

const readMethods = ['GET', 'HEAD'];

export function createHttpHandler(options: HttpHandlerOptions): HttpHandler {
  return (request, response) => {
    // A client that goes away while it is answered is no event.
    response.on('error', () => undefined);
    answer(options, request, response).catch((error: unknown) => {
      if (error instanceof InvariantViolation) options.onFatal(error);
      options.log.error('an HTTP request failed for an unknown reason', { url: request.url, error: errorText(error) });
      if (!response.headersSent) sendText(response, 500, 'Internal Server Error\n');
      else response.destroy();
    });
  };
}

async function answer(options: HttpHandlerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { access, log } = options;
  const { host, origin } = request.headers;
  const isSecure = (request.socket as TLSSocket).encrypted === true;
  if (!isSecure && !isHostAllowed(access, host)) {
    log.warn('rejecting HTTP request to prevent DNS rebinding attacks', { host });
    return sendText(response, 421, hostRefusal(host));
  }
  for (const [name, value] of Object.entries(corsHeaders(access, origin))) response.setHeader(name, value);
  if (request.method === 'OPTIONS') {
    response.writeHead(200);
    response.end();
    return;
  }
  let url: URL;
  try {
    url = new URL(request.url ?? '/', 'http://localhost');
  } catch {
    return sendText(response, 400, 'Bad Request\n');
  }
  await route(options, request, response, url);
}

async function sendMetrics({ registry, scrapes }: HttpHandlerOptions, response: ServerResponse): Promise<void> {
  if (scrapes) scrapes.underWay += 1;
  try {
    send(response, 200, registry.contentType, await registry.metrics());
    if (scrapes) scrapes.answered += 1;
  } finally {
    if (scrapes) scrapes.underWay -= 1;
  }
}

async function route(
  options: HttpHandlerOptions,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const { pathname } = url;
  if (pathname === '/metrics') {
    if (!isMethodAllowed(request, response, readMethods)) return;
    return sendMetrics(options, response);
  }
  const server = options.server();
  const prefix = Object.keys(options.paths ?? {}).find((known) => pathname.startsWith(known));
  const probe = /^\/(version|health|livez|readyz)(\/|$)/.exec(pathname)?.[1];
  const isKnown = probe !== undefined || prefix !== undefined || pathname === '/debug/vars';
  if (isKnown && !server) return sendText(response, 503, 'the member is starting\n');
  if (prefix !== undefined) return options.paths?.[prefix]?.(request, response, url);
  if (pathname === '/config/local/log' && options.setLogLevel) {
    return changeLogLevel(request, response, options.setLogLevel);
  }
  if (!isKnown || !server) return sendNotFound(response);
  if (!isMethodAllowed(request, response, readMethods)) return;
  if (pathname === '/debug/vars') return sendDebugVars(server, response);
  if (probe === 'livez' || probe === 'readyz') return sendChecks(server, probe, url, response);
  if (pathname === '/version') return sendVersion(server, response);
  if (pathname === '/health') return sendHealth(server, url, response);
  sendNotFound(response);
}
