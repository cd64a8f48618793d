/**
 * The agent's HTTPS port (adapter): logs, exec, attach, port-forward, pods, metrics, health. The API server calls it
 * with its client certificate; kubectl's bytes go through to the runtime's streaming server untouched, which speaks
 * SPDY/3.1. WebSocket is refused before the upgrade, so that clients fall back to SPDY.
 */
import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import * as net from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Registry } from 'prom-client';
import type { KubeObject } from '../../control/api/contract.ts';
import { type ListeningServer, listenOn } from '../../control/client/index.ts';
import type { Env } from '../../env/env.ts';
import { errorText } from '../../env/errors.ts';
import type { Container, Cri } from '../cri/cri.ts';
import { labels } from './container-config.ts';
import { readLog } from './log-reader.ts';
import { flag, type KubeletRoute, parseRoute, routeSubresource, wholeNumber } from './server-routes.ts';
import { statsSummary } from './stats-summary.ts';

export interface Caller {
  readonly name: string;
  readonly groups: readonly string[];
}

export interface KubeletServerOptions {
  readonly address: string;
  readonly port: number;
  readonly cert: Uint8Array;
  readonly key: Uint8Array;
  readonly clientCa: Uint8Array;
  readonly env: Pick<Env, 'clock' | 'disk' | 'log'>;
  readonly cri: Cri;
  readonly registry: Registry;
  readonly nodeName: string;
  readonly pods: () => readonly KubeObject[];
  /** undefined = healthy. */
  readonly unhealthy: () => string | undefined;
  /** Asked for callers that are not cluster administrators; `subresource` is of the node. */
  readonly mayCall: (caller: Caller, method: string, subresource: string) => Promise<boolean>;
  /** Who a bearer token belongs to. */
  readonly callerOfToken: (token: string) => Promise<Caller | undefined>;
}

/** An answer that is not a success. */
class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

// As many at once as a busy node is asked for; each exec or followed log is one.
const connectionsMax = 512;
const connectTimeoutMs = 10_000;

export async function startKubeletServer(options: KubeletServerOptions): Promise<ListeningServer> {
  const server = createServer(
    {
      cert: Buffer.from(options.cert),
      key: Buffer.from(options.key),
      ca: Buffer.from(options.clientCa),
      requestCert: true,
      rejectUnauthorized: false,
      maxHeaderSize: 32 << 10,
    },
    (request, response) => {
      handle(options, request, response).catch((error) => refuse(options, request, response, error));
    },
  );
  server.maxConnections = connectionsMax;
  // The server no longer counts upgraded connections as its own; they must not hold up its end.
  const upgraded = new Set<Duplex>();
  server.on('upgrade', (request, socket, head) => {
    upgraded.add(socket);
    socket.on('close', () => upgraded.delete(socket));
    socket.on('error', () => socket.destroy());
    upgrade(options, request, socket, head).catch((error) => {
      const status = error instanceof HttpError ? error.status : 500;
      const text = `${errorText(error)}\n`;
      socket.end(
        `HTTP/1.1 ${status} ${status === 500 ? 'Internal Server Error' : 'Refused'}\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
      );
    });
  });
  const { address, port } = options;
  const listening = await listenOn(server, { address, port, hint: 'choose another --bind-address or --port' });
  return {
    port: listening.port,
    close: async () => {
      const closed = listening.close();
      for (const socket of upgraded) socket.destroy();
      await closed;
    },
  };
}

async function handle(
  options: KubeletServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'https://node');
  const route = parseRoute(url.pathname);
  if (route.kind === 'health') {
    const problem = options.unhealthy();
    response.writeHead(problem === undefined ? 200 : 500, { 'content-type': 'text/plain' });
    response.end(problem ?? 'ok');
    return;
  }
  await authorize(options, request, route);
  switch (route.kind) {
    case 'metrics':
      response.writeHead(200, { 'content-type': options.registry.contentType });
      response.end(await options.registry.metrics());
      return;
    case 'pods':
      sendJson(response, { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: options.pods() });
      return;
    case 'stats':
      sendJson(
        response,
        statsSummary(
          options.nodeName,
          options.pods(),
          await options.cri.listContainerStats(),
          options.env.clock.wallMs(),
        ),
      );
      return;
    case 'logs':
      await sendLogs(options, route, url.searchParams, request, response);
      return;
    case 'exec':
    case 'attach':
    case 'portForward':
      throw new HttpError(400, `${route.kind} needs an upgrade of the connection to SPDY/3.1`);
    case 'unknown':
      throw new HttpError(404, `404 page not found: ${url.pathname}`);
  }
}

function sendJson(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function refuse(
  options: KubeletServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
): void {
  const status = error instanceof HttpError ? error.status : 500;
  if (status === 500) options.env.log.warn('request failed', { path: request.url, error: errorText(error) });
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(status, { 'content-type': 'text/plain' });
  response.end(`${errorText(error)}\n`);
}

async function authorize(options: KubeletServerOptions, request: IncomingMessage, route: KubeletRoute): Promise<void> {
  const caller = await authenticate(options, request);
  if (caller === undefined) throw new HttpError(401, 'Unauthorized');
  if (caller.groups.includes('system:masters')) return;
  const subresource = routeSubresource(route);
  const method = request.method ?? 'GET';
  if (await options.mayCall(caller, method, subresource)) return;
  const what = `nodes/${subresource} of node ${options.nodeName}`;
  throw new HttpError(
    403,
    `Forbidden (user=${caller.name}, verb=${method === 'GET' ? 'get' : 'create'}, resource=${what})`,
  );
}

async function authenticate(options: KubeletServerOptions, request: IncomingMessage): Promise<Caller | undefined> {
  const socket = request.socket as TLSSocket;
  if (socket.authorized) {
    const { subject } = socket.getPeerCertificate();
    const organizations = subject?.O as string | string[] | undefined;
    const groups = organizations === undefined ? [] : [organizations].flat();
    return { name: String(subject?.CN ?? ''), groups: [...groups, 'system:authenticated'] };
  }
  const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  return token === undefined ? undefined : options.callerOfToken(token);
}

/** The newest run of a container; `previous` is the one before. */
async function findRun(
  options: KubeletServerOptions,
  route: { readonly namespace: string; readonly pod: string; readonly container: string },
  previous: boolean,
): Promise<Container> {
  const all = await options.cri.listContainers({
    labels: {
      [labels.podNamespace]: route.namespace,
      [labels.podName]: route.pod,
      [labels.containerName]: route.container,
    },
  });
  const pod = findPod(options, route.namespace, route.pod);
  const runs = all
    .filter((run) => pod === undefined || run.labels[labels.podUid] === pod.metadata.uid)
    .sort((a, b) => b.attempt - a.attempt || b.createdAtMs - a.createdAtMs);
  const run = runs[previous ? 1 : 0];
  if (run !== undefined) return run;
  if (pod === undefined) throw new HttpError(404, `pod "${route.namespace}/${route.pod}" not found`);
  const what = `container "${route.container}" in pod "${route.pod}"`;
  if (previous) throw new HttpError(400, `previous terminated ${what} not found`);
  throw new HttpError(400, `${what} is waiting to start: ${waitingReason(pod, route.container)}`);
}

function waitingReason(pod: KubeObject, container: string): string {
  const lists = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
  return lists.find((status) => status.name === container)?.state?.waiting?.reason ?? 'ContainerCreating';
}

function findPod(options: KubeletServerOptions, namespace: string, name: string): KubeObject | undefined {
  return options.pods().find((pod) => pod.metadata.namespace === namespace && pod.metadata.name === name);
}

async function sendLogs(
  options: KubeletServerOptions,
  route: { readonly namespace: string; readonly pod: string; readonly container: string },
  query: URLSearchParams,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { env, cri } = options;
  const number = (name: string): number | undefined => {
    const value = wholeNumber(query, name);
    if (value === 'malformed') throw new HttpError(400, `invalid ${name}: want a whole number, not ${query.get(name)}`);
    return value;
  };
  const tailLines = number('tailLines');
  const limitBytes = number('limitBytes');
  const sinceSeconds = number('sinceSeconds');
  const sinceTime = query.get('sinceTime');
  const sinceMs =
    sinceSeconds !== undefined
      ? env.clock.wallMs() - sinceSeconds * 1000
      : sinceTime === null
        ? undefined
        : Date.parse(sinceTime);
  if (Number.isNaN(sinceMs)) throw new HttpError(400, `invalid sinceTime: ${sinceTime}`);
  const run = await findRun(options, route, flag(query, 'previous'));
  const status = await cri.containerStatus(run.id);
  if (status === undefined || status.logPath === '')
    throw new HttpError(404, `container "${route.container}" has no log`);
  const abort = new AbortController();
  response.on('close', () => abort.abort());
  request.on('error', () => abort.abort());
  response.writeHead(200, { 'content-type': 'text/plain', 'transfer-encoding': 'chunked' });
  response.flushHeaders();
  const stream = query.get('stream');
  await readLog(
    status.logPath,
    {
      follow: flag(query, 'follow'),
      tailLines,
      timestamps: flag(query, 'timestamps'),
      sinceMs,
      limitBytes,
      stream: stream === 'Stdout' ? 'stdout' : stream === 'Stderr' ? 'stderr' : undefined,
    },
    {
      disk: env.disk,
      clock: env.clock,
      isRunning: async () => (await cri.containerStatus(run.id))?.state === 'running',
      write: (text) => writeAll(response, text, abort.signal),
      signal: abort.signal,
    },
  );
  response.end();
}

/** Waits for a slow reader instead of piling up. */
function writeAll(response: ServerResponse, text: string, signal: AbortSignal): Promise<void> {
  if (signal.aborted || response.write(text)) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    response.on('drain', done);
    signal.addEventListener('abort', done, { once: true });
  });
}

async function upgrade(
  options: KubeletServerOptions,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'https://node');
  const route = parseRoute(url.pathname);
  await authorize(options, request, route);
  if ((request.headers.upgrade ?? '').toLowerCase() !== 'spdy/3.1') {
    throw new HttpError(400, `upgrade to ${request.headers.upgrade} is not supported: want SPDY/3.1`);
  }
  const target = new URL(await streamingUrl(options, route, url.searchParams));
  await tunnel(request, socket, head, target);
}

async function streamingUrl(
  options: KubeletServerOptions,
  route: KubeletRoute,
  query: URLSearchParams,
): Promise<string> {
  const { cri } = options;
  if (route.kind === 'portForward') {
    const pod = findPod(options, route.namespace, route.pod);
    if (pod === undefined) throw new HttpError(404, `pod "${route.namespace}/${route.pod}" not found`);
    const sandboxes = await cri.listPodSandboxes({ labels: { [labels.podUid]: pod.metadata.uid } });
    const sandbox = sandboxes.find((each) => each.isReady);
    if (sandbox === undefined) throw new HttpError(400, `pod "${route.pod}" is not running`);
    // The ports come on the streams; the runtime needs none beforehand.
    return cri.portForward(sandbox.id, []);
  }
  if (route.kind !== 'exec' && route.kind !== 'attach') throw new HttpError(400, 'nothing here takes an upgrade');
  const run = await findRun(options, route, false);
  if (run.state !== 'running') throw new HttpError(400, `container "${route.container}" is not running`);
  const tty = flag(query, 'tty');
  const streams = {
    containerId: run.id,
    stdin: flag(query, 'input', 'stdin'),
    stdout: flag(query, 'output', 'stdout'),
    // A terminal has one output.
    stderr: flag(query, 'error', 'stderr') && !tty,
    tty,
  };
  if (!streams.stdin && !streams.stdout && !streams.stderr) {
    throw new HttpError(400, 'you must specify at least 1 of stdin, stdout, stderr');
  }
  if (route.kind === 'attach') return cri.attach(streams);
  return cri.exec({ ...streams, command: query.getAll('command') });
}

/** Sends the request to the runtime's streaming server as it came, and from then on copies bytes both ways. */
function tunnel(request: IncomingMessage, socket: Duplex, head: Buffer, target: URL): Promise<void> {
  return new Promise((resolve, reject) => {
    const upstream = net.connect({ host: target.hostname, port: Number(target.port), timeout: connectTimeoutMs });
    let isConnected = false;
    upstream.on('timeout', () => upstream.destroy(new Error('the streaming server did not answer in time')));
    upstream.on('error', (error) => {
      if (isConnected) socket.destroy();
      else reject(new HttpError(502, `cannot reach the runtime's streaming server: ${errorText(error)}`));
    });
    upstream.on('connect', () => {
      isConnected = true;
      upstream.setTimeout(0);
      upstream.setNoDelay(true);
      const headers: string[] = [];
      for (let at = 0; at < request.rawHeaders.length; at += 2) {
        const name = request.rawHeaders[at] as string;
        const skipped = ['host', 'authorization'].includes(name.toLowerCase());
        if (!skipped) headers.push(`${name}: ${request.rawHeaders[at + 1]}\r\n`);
      }
      const first = `${request.method} ${target.pathname}${target.search} HTTP/1.1\r\nHost: ${target.host}\r\n`;
      upstream.write(`${first}${headers.join('')}\r\n`);
      if (head.length > 0) upstream.write(head);
      socket.pipe(upstream);
      upstream.pipe(socket);
      resolve();
    });
    // Either end going away takes the other along; a half-closed side drains first.
    socket.on('close', () => upstream.destroy());
    upstream.on('close', () => socket.end());
  });
}
