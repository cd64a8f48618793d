/**
 * The adapter between sockets and the dispatcher: TLS with optional client certificates, HTTP/2 and HTTP/1.1 on one port
 * (ALPN), upgrades. Opens sockets; everything it decides about requests is in the files it calls.
 */
import { constants } from 'node:crypto';
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Clock } from '../../env/clock.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import { fail } from './errors.ts';
import type { ApiRequest, ApiResponse, ClientCertificate, Sink } from './http.ts';
import { answerRaw, type KubeletClient } from './kubelet-client.ts';
import { statusResponse } from './responses.ts';

/** etcd's and kube-apiserver's usual bound for one object, doubled for encodings. */
export const bodyBytesMax = 3 * 1024 * 1024;
/** Smaller answers cost more in time than they save in bytes. */
const gzipBytesMin = 128 * 1024;
/** Streams per HTTP/2 connection; a controller watches some dozens of resources on one. */
const streamsPerConnectionMax = 1000;
/** Upload window per stream, so that a body of usual size needs no round trip of window updates. */
const windowBytes = 256 * 1024;
/** Idle HTTP/1.1 connections are closed after this, above what usual load balancers keep them. */
const keepAliveMs = 90_000;
/** A handshake takes some round trips; whoever has not finished by then only holds a connection. */
const handshakeMs = 10_000;

type AnyRequest = IncomingMessage | Http2ServerRequest;
type AnyResponse = ServerResponse | Http2ServerResponse;

export interface HttpServerOptions {
  readonly cert: Uint8Array;
  readonly key: Uint8Array;
  readonly clientCa: Uint8Array;
  readonly clock: Clock;
  readonly log: Log;
  readonly handle: (request: ApiRequest) => Promise<ApiResponse>;
  readonly streamOver: (request: ApiRequest) => void;
  readonly kubelet: KubeletClient;
  /** A broken invariant: the process must stop. */
  readonly onFatal: (error: unknown) => void;
}

const gzipAsync = promisify(gzip);

export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #server: Http2SecureServer;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #sockets = new Set<TLSSocket>();
  readonly #stopping = new AbortController();
  readonly #open = new Set<AnyResponse>();

  constructor(options: HttpServerOptions) {
    this.#options = options;
    try {
      this.#server = createSecureServer({
        cert: Buffer.from(options.cert),
        key: Buffer.from(options.key),
        ca: Buffer.from(options.clientCa),
        requestCert: true,
        // Clients without a certificate may have a token, or be nobody.
        rejectUnauthorized: false,
        minVersion: 'TLSv1.2',
        allowHTTP1: true,
        // A resumed session would come without the client's certificate.
        secureOptions: constants.SSL_OP_NO_TICKET,
        settings: { maxConcurrentStreams: streamsPerConnectionMax, initialWindowSize: windowBytes },
        maxSessionMemory: 256,
        handshakeTimeout: handshakeMs,
      });
    } catch (error) {
      throw new KeelsonError('BAD_CERTIFICATE', `cannot use the serving certificate: ${errorText(error)}`, {
        cause: error,
      });
    }
    this.#server.on('session', (session) => {
      this.#sessions.add(session);
      session.on('close', () => this.#sessions.delete(session));
      session.on('error', () => session.destroy());
    });
    this.#server.on('secureConnection', (socket: TLSSocket) => {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.setKeepAlive(true, 30_000);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => socket.destroy());
    });
    this.#server.on('tlsClientError', (_error, socket) => socket.destroy());
    this.#server.on('request', (request: AnyRequest, response: AnyResponse) => {
      this.#serve(request, response).catch(options.onFatal);
    });
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#upgrade(request, socket, head).catch(options.onFatal);
    });
    Object.assign(this.#server, { keepAliveTimeout: keepAliveMs });
  }

  /** Listens; the port, for when 0 was asked for. Rejects with KeelsonError LISTEN. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) => {
        reject(new KeelsonError('LISTEN', `cannot listen on ${host}:${port}: ${errorText(error)}`, { cause: error }));
      });
      this.#server.listen(port, host, () => {
        this.#server.removeAllListeners('error');
        this.#server.on('error', (error) => this.#options.log.error('server error', { error: errorText(error) }));
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  /** Stops accepting, ends streams in order, waits for requests under way, then cuts off what is left. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#stopping.abort(new KeelsonError('STOPPING', 'the server is stopping'));
    for (const session of this.#sessions) session.close();
    for (const response of this.#open) response.end();
    let cancel = () => {};
    const late = new Promise<void>((resolve) => {
      cancel = this.#options.clock.after(graceMs, resolve);
    });
    // Keep-alive connections of HTTP/1.1 without a request would hold close() back.
    (this.#server as { closeIdleConnections?: () => void }).closeIdleConnections?.();
    await Promise.race([closed, late]);
    cancel();
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #serve(incoming: AnyRequest, response: AnyResponse): Promise<void> {
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    response.on('error', () => gone.abort());
    const request = toApiRequest(incoming, AbortSignal.any([gone.signal, this.#stopping.signal]));
    if (request === undefined) {
      this.#sendBody(request, response, statusResponse(undefined, fail.unauthorized().status)).catch(() =>
        gone.abort(),
      );
      return;
    }
    const answer = await this.#options.handle(request);
    if (gone.signal.aborted) {
      if (answer.kind === 'stream') this.#options.streamOver(request);
      return;
    }
    if (answer.kind === 'stream') this.#sendStream(request, response, answer, gone.signal);
    else await this.#sendBody(request, response, answer);
  }

  async #sendBody(request: ApiRequest | undefined, response: AnyResponse, answer: ApiResponse): Promise<void> {
    if (answer.kind !== 'body') {
      const refusal = statusResponse(undefined, fail.badRequest('the connection cannot be upgraded').status);
      return this.#sendBody(request, response, refusal);
    }
    let { body } = answer;
    const headers: Record<string, string | number> = { ...answer.headers };
    if (body.length > gzipBytesMin && /\bgzip\b/.test(request?.headers['accept-encoding'] ?? '')) {
      body = await gzipAsync(body, { level: 1 });
      headers['content-encoding'] = 'gzip';
      headers['vary'] = headers['vary'] === undefined ? 'Accept-Encoding' : `${headers['vary']}, Accept-Encoding`;
    }
    if (answer.status !== 304) headers['content-length'] = body.length;
    if (response.destroyed) return;
    const plain = response as ServerResponse;
    plain.writeHead(answer.status, headers);
    if (request?.method === 'HEAD' || answer.status === 304) plain.end();
    else plain.end(body);
  }

  #sendStream(
    request: ApiRequest,
    response: AnyResponse,
    answer: Extract<ApiResponse, { kind: 'stream' }>,
    gone: AbortSignal,
  ): void {
    this.#open.add(response);
    const over = () => {
      if (!this.#open.delete(response)) return;
      this.#options.streamOver(request);
    };
    gone.addEventListener('abort', over, { once: true });
    // HTTP/2's answer has the same methods; only the types cannot say so.
    const plain = response as ServerResponse;
    plain.writeHead(answer.status, answer.headers);
    plain.flushHeaders();
    const sink: Sink = {
      write: (chunk) => {
        if (!response.writableEnded && !response.destroyed) plain.write(chunk);
      },
      get queuedBytes() {
        return 'stream' in response ? (response.stream?.writableLength ?? 0) : response.writableLength;
      },
      end: () => {
        response.end();
      },
      abort: () => {
        if ('stream' in response && response.stream !== undefined) response.stream.close(http2InternalError);
        else (response as ServerResponse).destroy();
      },
      closed: AbortSignal.any([gone, this.#stopping.signal]),
      whenDrained: (callback) => {
        response.once('drain', callback);
      },
    };
    answer.start(sink);
  }

  async #upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const gone = new AbortController();
    socket.on('close', () => gone.abort());
    socket.on('error', () => socket.destroy());
    const request = toApiRequest(incoming, AbortSignal.any([gone.signal, this.#stopping.signal]));
    const answer =
      request === undefined
        ? statusResponse(undefined, fail.unauthorized().status)
        : await this.#options.handle(request);
    if (answer.kind === 'upgrade') {
      this.#options.kubelet.tunnel(answer.tunnel, socket, head);
    } else if (answer.kind === 'body') {
      const text = Buffer.from(answer.body).toString();
      answerRaw(socket, answer.status, text, answer.headers['content-type']);
    } else {
      answerRaw(socket, 400, 'this request cannot be upgraded');
      if (request !== undefined) this.#options.streamOver(request);
    }
  }
}

/** HTTP/2's INTERNAL_ERROR: the client sees a broken stream and not an end. */
const http2InternalError = 2;

/** Undefined when the client showed a certificate that is not good. */
function toApiRequest(incoming: AnyRequest, signal: AbortSignal): ApiRequest | undefined {
  const socket = socketOf(incoming);
  const certificate = certificateOf(socket);
  if (certificate === 'bad') return undefined;
  const url = incoming.url ?? '/';
  const question = url.indexOf('?');
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(incoming.headers)) {
    headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  headers['host'] ??= headers[':authority'];
  return {
    method: incoming.method ?? 'GET',
    path: question < 0 ? url : url.slice(0, question),
    query: new URLSearchParams(question < 0 ? '' : url.slice(question + 1)),
    headers,
    certificate,
    remoteAddress: socket.remoteAddress ?? '',
    signal,
    body: () => readBody(incoming),
  };
}

function socketOf(incoming: AnyRequest): TLSSocket {
  return ('stream' in incoming ? incoming.stream.session?.socket : incoming.socket) as TLSSocket;
}

const certificates = new WeakMap<object, ClientCertificate | 'bad' | 'none'>();

/** Verified by TLS against the client CA; read once per connection. */
function certificateOf(socket: TLSSocket): ClientCertificate | 'bad' | undefined {
  const known = certificates.get(socket);
  if (known !== undefined) return known === 'none' ? undefined : known;
  const found = readCertificate(socket);
  certificates.set(socket, found ?? 'none');
  return found;
}

function readCertificate(socket: TLSSocket): ClientCertificate | 'bad' | undefined {
  const peer = socket.getPeerCertificate?.();
  const subject = peer?.subject as { readonly CN?: string; readonly O?: string | string[] } | undefined;
  if (subject === undefined) return undefined;
  if (!socket.authorized || typeof subject.CN !== 'string' || subject.CN === '') return 'bad';
  const organizations = subject.O === undefined ? [] : Array.isArray(subject.O) ? subject.O : [subject.O];
  return { commonName: subject.CN, organizations };
}

/**
 * The whole body. Above the limit the rest is thrown away unread by us but taken from the socket, so that a client that is
 * still sending gets the answer instead of a broken connection.
 */
function readBody(incoming: AnyRequest): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    incoming.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= bodyBytesMax) chunks.push(chunk);
      else if (chunks.length > 0) {
        chunks.length = 0;
        reject(fail.tooLarge(bodyBytesMax));
      }
    });
    incoming.on('end', () => resolve(Buffer.concat(chunks)));
    incoming.on('error', (error) => reject(fail.badRequest(`cannot read the body: ${errorText(error)}`)));
    incoming.on('close', () => reject(fail.badRequest('the connection was closed before the body had come')));
  });
}
