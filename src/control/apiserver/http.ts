/**
 * HTTP as the handlers see it: values without sockets. server.ts turns sockets into these and back; tests call handlers
 * with them directly.
 */

export interface ApiRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Lower-case names; repeated headers are joined by a comma. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** The client certificate that TLS verified against the client CA. */
  readonly certificate: ClientCertificate | undefined;
  readonly remoteAddress: string;
  /** Aborted when the client has gone or the server stops. */
  readonly signal: AbortSignal;
  /** The whole body; rejects with a 413 Status above the limit. May be called once. */
  body(): Promise<Uint8Array>;
}

export interface ClientCertificate {
  readonly commonName: string;
  readonly organizations: readonly string[];
}

export type Headers = Record<string, string>;

export type ApiResponse =
  | { readonly kind: 'body'; readonly status: number; readonly headers: Headers; readonly body: Uint8Array }
  /** Written piece by piece; `start` is called once when the headers are out. */
  | {
      readonly kind: 'stream';
      readonly status: number;
      readonly headers: Headers;
      readonly start: (sink: Sink) => void;
    }
  /** A connection that leaves HTTP behind (exec, attach, port-forward): whoever answers gets the raw stream. */
  | { readonly kind: 'upgrade'; readonly tunnel: Tunnel };

/** Where a streamed answer goes. Nothing is written after `end`, or after `closed` is aborted. */
export interface Sink {
  write(chunk: Uint8Array): void;
  /** Bytes that the client has not taken yet. */
  readonly queuedBytes: number;
  /** Finishes the answer in order. */
  end(): void;
  /** Breaks the connection off: the client sees an error, not an end. */
  abort(): void;
  /** Aborted when the client has gone. */
  readonly closed: AbortSignal;
  /** Calls back once when everything queued has been taken. */
  whenDrained(callback: () => void): void;
}

/** The far side of an upgrade, described by values so that only the adapter touches sockets. */
export interface Tunnel {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly method: string;
  readonly headers: Headers;
}

const encoder = new TextEncoder();

export function textResponse(status: number, text: string, headers: Headers = {}): ApiResponse {
  return {
    kind: 'body',
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff', ...headers },
    body: encoder.encode(text),
  };
}

export function jsonResponse(status: number, value: unknown, headers: Headers = {}): ApiResponse {
  return {
    kind: 'body',
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: encoder.encode(`${JSON.stringify(value)}\n`),
  };
}

/** True for a query parameter that is given as `true`, `1` or without a value. */
export function isSet(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value !== 'false' && value !== '0';
}
