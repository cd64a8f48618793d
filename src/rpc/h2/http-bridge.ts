/**
 * HTTP/2 requests that are no gRPC, as Node's own http server would give them to a handler. Just as much of
 * IncomingMessage and ServerResponse as handlers use: method, URL, headers and body in; status, headers and body out, with
 * backpressure both ways. No trailers, no informational answers.
 */
import { IncomingMessage, type OutgoingHttpHeader, type OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { errorCode } from './frames.ts';
import type { HttpHandler } from './dispatch.ts';
import type { CallScope } from './grpc-call.ts';
import type { RequestHead } from './request-head.ts';
import type { FieldPair, Stream, StreamHandler } from './stream.ts';

/** Fields of the connection, which HTTP/2 does not have. */
const connectionFields: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** Gives each such request to `handle`. */
export function bridgeTo(handle: (request: IncomingMessage, response: ServerResponse) => void): HttpHandler {
  return (stream, head, scope) => {
    const request = new BridgeRequest(stream, head, scope);
    const response = new BridgeResponse(request, stream);
    stream.handler = new BridgeHandler(stream, request, response);
    handle(request, response);
  };
}

class BridgeHandler implements StreamHandler {
  readonly #stream: Stream;
  readonly #request: BridgeRequest;
  readonly #response: BridgeResponse;

  constructor(stream: Stream, request: BridgeRequest, response: BridgeResponse) {
    this.#stream = stream;
    this.#request = request;
    this.#response = response;
  }

  data(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    // Nobody will read it: the answer is complete.
    if (this.#request.destroyed || this.#response.writableEnded) this.#stream.consumed(length);
    else if (this.#request.push(Buffer.from(bytes.subarray(start, end)))) this.#stream.consumed(length);
    else this.#request.owedBytes += length;
  }

  ended(): void {
    this.#request.complete = true;
    this.#request.push(null);
  }

  drained(): void {
    this.#response.emit('drain');
  }

  gone(): void {
    if (!this.#request.complete) this.#request.destroy();
    this.#response.emit('close');
  }
}

class BridgeRequest extends IncomingMessage {
  readonly #stream: Stream;
  /** Waits in this object: given back to the client once the handler reads on. */
  owedBytes = 0;

  constructor(stream: Stream, head: RequestHead, scope: CallScope) {
    // Only what handlers look at; nothing is ever sent or read on it.
    const socket = new Socket();
    const address = /^(.*):(\d+)$/.exec(scope.peer);
    Object.defineProperties(socket, {
      remoteAddress: { value: address?.[1]?.replace(/^\[|\]$/g, '') },
      remotePort: { value: address && Number(address[2]) },
      encrypted: { value: head.scheme === 'https' },
    });
    super(socket);
    this.#stream = stream;
    this.httpVersionMajor = 2;
    this.httpVersionMinor = 0;
    this.httpVersion = '2.0';
    this.method = head.method;
    this.url = head.path;
    if (head.authority !== undefined) this.headers.host = head.authority;
    for (const { name, value } of head.fields) {
      if (name.startsWith(':')) continue;
      this.rawHeaders.push(name, value);
      const before = this.headers[name];
      const separator = name === 'cookie' ? '; ' : ', ';
      if (name === 'set-cookie') this.headers[name] = (this.headers[name] ?? []).concat(value);
      else this.headers[name] = before === undefined ? value : `${String(before)}${separator}${value}`;
    }
  }

  override _read(): void {
    const owed = this.owedBytes;
    this.owedBytes = 0;
    if (owed > 0) this.#stream.consumed(owed);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    callback(error);
  }
}

class BridgeResponse extends ServerResponse {
  readonly #stream: Stream;

  constructor(request: IncomingMessage, stream: Stream) {
    super(request);
    this.#stream = stream;
    Object.defineProperty(this, 'headersSent', { get: () => stream.head !== undefined });
  }

  override writeHead(
    status: number,
    reasonOrHeaders?: string | OutgoingHttpHeaders | OutgoingHttpHeader[],
    headers?: OutgoingHttpHeaders | OutgoingHttpHeader[],
  ): this {
    const given = typeof reasonOrHeaders === 'object' ? reasonOrHeaders : headers;
    this.statusCode = status;
    if (Array.isArray(given)) {
      for (let at = 0; at + 1 < given.length; at += 2) this.setHeader(String(given[at]), given[at + 1] as string);
    } else {
      for (const [name, value] of Object.entries(given ?? {})) if (value !== undefined) this.setHeader(name, value);
    }
    this.flushHeaders();
    return this;
  }

  override flushHeaders(): void {
    if (this.#stream.head !== undefined || this.#stream.isOver) return;
    const fields: FieldPair[] = [[':status', String(this.statusCode)]];
    for (const [name, value] of Object.entries(this.getHeaders())) {
      if (connectionFields.has(name) || value === undefined) continue;
      for (const each of Array.isArray(value) ? value : [value]) fields.push([name, String(each)]);
    }
    this.#stream.sendHead(fields);
  }

  override write(chunk: unknown, encodingOrDone?: unknown, done?: unknown): boolean {
    this.flushHeaders();
    if (!this.#stream.isOver && this.req.method !== 'HEAD') this.#stream.sendBytes(bytesOf(chunk, encodingOrDone));
    const callback = typeof encodingOrDone === 'function' ? encodingOrDone : done;
    if (typeof callback === 'function') queueMicrotask(() => callback());
    if (!this.#stream.isFull) return true;
    this.#stream.owner.awaitRoom(this.#stream);
    return false;
  }

  override end(chunk?: unknown, encodingOrDone?: unknown, done?: unknown): this {
    if (this.finished) return this;
    if (chunk !== undefined && chunk !== null && typeof chunk !== 'function') this.write(chunk, encodingOrDone);
    this.flushHeaders();
    this.finished = true;
    if (!this.#stream.isOver) this.#stream.end();
    const callback = [chunk, encodingOrDone, done].find((each) => typeof each === 'function') as
      | (() => void)
      | undefined;
    queueMicrotask(() => {
      this.emit('finish');
      callback?.();
      this.emit('close');
    });
    return this;
  }

  override destroy(): this {
    this.#stream.reset(errorCode.internalError);
    return this;
  }
}

function bytesOf(chunk: unknown, encoding: unknown): Uint8Array {
  // A copy: the handler may use its buffer again.
  if (chunk instanceof Uint8Array) return Uint8Array.from(chunk);
  return Buffer.from(String(chunk), typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8');
}
