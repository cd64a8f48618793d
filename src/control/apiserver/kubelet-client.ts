/**
 * Adapter to the nodes' agents: logs are streamed through, exec, attach and port-forward are tunnelled. Opens sockets.
 *
 * The tunnel sends the client's upgrade request to the node and, when the node agrees, joins the two raw streams; so it
 * carries SPDY and WebSocket alike. What the node answers instead is passed back, so that a client can fall back.
 */
import { request as httpsRequest, Agent } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { errorText } from '../../env/errors.ts';
import { fail } from './errors.ts';
import type { ApiResponse, Tunnel } from './http.ts';

/** A node that does not accept a connection by then is taken for gone. */
const connectTimeoutMs = 10_000;
/** Unsent bytes of a log stream before the node is made to wait. */
const streamBufferBytes = 1024 * 1024;

export interface KubeletClientOptions {
  readonly cert: Uint8Array | undefined;
  readonly key: Uint8Array | undefined;
  /** Undefined = the node's certificate is not checked, as upstream without --kubelet-certificate-authority. */
  readonly ca: Uint8Array | undefined;
}

export interface NodeAddress {
  readonly host: string;
  readonly port: number;
  readonly nodeName: string;
}

export class KubeletClient {
  readonly #agent: Agent;
  constructor(options: KubeletClientOptions) {
    this.#agent = new Agent({
      keepAlive: true,
      // Idle connections kept per node; a log request seldom comes alone.
      maxFreeSockets: 4,
      ...(options.cert === undefined ? {} : { cert: Buffer.from(options.cert) }),
      ...(options.key === undefined ? {} : { key: Buffer.from(options.key) }),
      ...(options.ca === undefined ? { rejectUnauthorized: false } : { ca: Buffer.from(options.ca) }),
    });
  }

  /** GET, streamed as it comes. */
  get(node: NodeAddress, path: string, signal: AbortSignal): Promise<ApiResponse> {
    return new Promise((resolve, reject) => {
      const request = httpsRequest({
        agent: this.#agent,
        host: node.host,
        port: node.port,
        path,
        method: 'GET',
        signal,
      });
      request.setTimeout(connectTimeoutMs, () => request.destroy(new Error('timed out')));
      request.on('error', (error) => {
        reject(fail.internal(`Get "https://${node.host}:${node.port}${path}": ${errorText(error)}`));
      });
      request.on('response', (response) => {
        // Only the wait for an answer is bounded; a followed log may be silent for days.
        request.setTimeout(0);
        resolve({
          kind: 'stream',
          status: response.statusCode ?? 502,
          headers: { 'content-type': response.headers['content-type'] ?? 'text/plain' },
          start: (sink) => pump(response, sink),
        });
      });
      request.end();
    });
  }

  /** Joins `client` to the node. Answers on `client` itself, which is raw HTTP/1.1. */
  tunnel(tunnel: Tunnel, client: Duplex, head: Uint8Array): void {
    const request = httpsRequest({
      agent: this.#agent,
      host: tunnel.host,
      port: tunnel.port,
      path: tunnel.path,
      method: tunnel.method,
      headers: tunnel.headers,
      timeout: connectTimeoutMs,
    });
    request.on('timeout', () => request.destroy(new Error('timed out')));
    request.on('error', (error) => answerRaw(client, 502, `error dialing backend: ${errorText(error)}`));
    client.on('error', () => request.destroy());
    request.on('upgrade', (response, upstream, upstreamHead) => {
      upstream.setTimeout(0);
      client.write(rawHead(response));
      if (upstreamHead.length > 0) client.write(upstreamHead);
      if (head.length > 0) upstream.write(head);
      join(client, upstream);
    });
    request.on('response', (response) => {
      // The node did not switch protocols: its answer is the client's answer.
      client.write(rawHead(response, { connection: 'close' }));
      response.pipe(client);
      response.on('error', () => client.destroy());
    });
    request.end();
  }

  close(): void {
    this.#agent.destroy();
  }
}

function pump(response: IncomingMessage, sink: Parameters<Extract<ApiResponse, { kind: 'stream' }>['start']>[0]): void {
  sink.closed.addEventListener('abort', () => response.destroy(), { once: true });
  response.on('data', (chunk: Buffer) => {
    sink.write(chunk);
    if (sink.queuedBytes > streamBufferBytes) {
      response.pause();
      sink.whenDrained(() => response.resume());
    }
  });
  response.on('end', () => sink.end());
  response.on('error', () => sink.abort());
}

/** Status line and headers of a node's answer. */
function rawHead(response: IncomingMessage, extra: Readonly<Record<string, string>> = {}): string {
  const lines = [`HTTP/1.1 ${response.statusCode} ${response.statusMessage ?? ''}`];
  const overridden = new Set([...Object.keys(extra), 'transfer-encoding']);
  for (let index = 0; index + 1 < response.rawHeaders.length; index += 2) {
    const name = response.rawHeaders[index] as string;
    // The body is passed on without chunks: the end of the connection ends it.
    if (!overridden.has(name.toLowerCase())) lines.push(`${name}: ${response.rawHeaders[index + 1]}`);
  }
  for (const [name, value] of Object.entries(extra)) lines.push(`${name}: ${value}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** A short plain answer on a raw HTTP/1.1 stream, which it ends. */
export function answerRaw(client: Duplex, status: number, text: string, contentType = 'text/plain'): void {
  if (client.destroyed) return;
  const body = Buffer.from(text);
  client.end(
    `HTTP/1.1 ${status} \r\nContent-Type: ${contentType}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function join(a: Duplex, b: Duplex): void {
  a.pipe(b);
  b.pipe(a);
  // Either side gone is the end of both; half-closed streams are finished by pipe.
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
  }
}
