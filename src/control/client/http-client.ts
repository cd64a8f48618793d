/**
 * ApiClient over HTTP/2 and JSON.
 *
 * Promises: a call that could not be sent moves on to the next server. A write that may have been sent is never sent
 * again: it rejects with ApiUnavailableError and the caller looks at the state. A read is tried once more. A refusal
 * with 429 is waited out as long as the server asks, a few times. Every failure the server explained is an
 * ApiStatusError. The caller owes a `close()`.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, constants, type IncomingHttpHeaders } from 'node:http2';
import { type Clock, sleep } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { GroupVersionResource, JsonObject, KubeObject } from '../api/contract.ts';
import { ApiStatusError, ApiUnavailableError, isGone, statusOfResponse } from './api-error.ts';
import type { ApiClient, ApiClientOptions, ListQuery, Patch, RequestOptions, WatchListener } from './contract.ts';
import { apiVersionOf, describeResource, resourcePath } from './resources.ts';
import { ServerPool } from './server-pool.ts';
import { WatchDecoder } from './watch-decoder.ts';

const requestTimeoutMs = 30_000;
/** The largest list we take: far above what a cluster of this size holds, far below what fills the heap. */
const responseBytesMax = 256 << 20;
const throttledRetriesMax = 5;

const patchTypes: Readonly<Record<Patch['type'], string>> = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
};

interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  /** For messages: `get pods default/web`. */
  readonly action: string;
  readonly options: RequestOptions;
}

interface Answer {
  readonly httpStatus: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Opens no connection before the first call. */
export function createApiClient(options: ApiClientOptions & { readonly clock: Clock }): ApiClient {
  return new HttpApiClient(options);
}

class HttpApiClient implements ApiClient {
  readonly #clock: Clock;
  readonly #pool: ServerPool;
  readonly #options: ApiClientOptions;

  constructor(options: ApiClientOptions & { readonly clock: Clock }) {
    this.#clock = options.clock;
    this.#options = options;
    this.#pool = new ServerPool(options, options.clock);
  }

  get(resource: GroupVersionResource, namespace: string, name: string, options: RequestOptions = {}) {
    const action = `get ${describeResource(resource)} ${objectName(namespace, name)}`;
    return this.#json({ method: 'GET', path: resourcePath(resource, namespace, name), action, options });
  }

  async list(resource: GroupVersionResource, query: ListQuery = {}, options: RequestOptions = {}) {
    const { namespace, ...rest } = query;
    const list: JsonObject = await this.#json({
      method: 'GET',
      path: resourcePath(resource, namespace ?? ''),
      query: rest,
      action: `list ${describeResource(resource)}`,
      options,
    });
    // Items of a list carry no kind of their own.
    const kind = String(list.kind).replace(/List$/, '');
    const apiVersion = list.apiVersion ?? apiVersionOf(resource);
    return {
      items: ((list.items ?? []) as JsonObject[]).map(
        (item) => ({ apiVersion, kind, ...item }) as unknown as KubeObject,
      ),
      resourceVersion: String(list.metadata?.resourceVersion ?? ''),
      ...(list.metadata?.continue ? { continue: String(list.metadata.continue) } : {}),
    };
  }

  create(resource: GroupVersionResource, object: KubeObject | JsonObject, options: RequestOptions = {}) {
    const namespace = object.metadata?.namespace ?? '';
    const name = object.metadata?.name ?? object.metadata?.generateName ?? '';
    return this.#json({
      method: 'POST',
      path: resourcePath(resource, namespace),
      body: object,
      action: `create ${describeResource(resource)} ${objectName(namespace, name)}`,
      options,
    });
  }

  update(
    resource: GroupVersionResource,
    object: KubeObject,
    options: RequestOptions & { readonly subresource?: string; readonly fieldManager?: string } = {},
  ) {
    const { namespace = '', name } = object.metadata;
    return this.#json({
      method: 'PUT',
      path: resourcePath(resource, namespace, name, options.subresource),
      query: { fieldManager: options.fieldManager },
      body: object,
      action: `update ${describeResource(resource)} ${objectName(namespace, name, options.subresource)}`,
      options,
    });
  }

  patch(
    resource: GroupVersionResource,
    namespace: string,
    name: string,
    patch: Patch,
    options: RequestOptions & { readonly subresource?: string; readonly fieldManager?: string } = {},
  ) {
    return this.#json({
      method: 'PATCH',
      path: resourcePath(resource, namespace, name, options.subresource),
      query: {
        fieldManager: options.fieldManager ?? (patch.type === 'apply' ? this.#options.userAgent : undefined),
        force: patch.type === 'apply' && patch.force ? true : undefined,
      },
      body: patch.body,
      contentType: patchTypes[patch.type],
      action: `patch ${describeResource(resource)} ${objectName(namespace, name, options.subresource)}`,
      options,
    });
  }

  async delete(
    resource: GroupVersionResource,
    namespace: string,
    name: string,
    options: Parameters<ApiClient['delete']>[3] = {},
  ) {
    const { gracePeriodSeconds, propagationPolicy, preconditions } = options;
    await this.#json({
      method: 'DELETE',
      path: resourcePath(resource, namespace, name),
      body: {
        kind: 'DeleteOptions',
        apiVersion: 'v1',
        ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
        ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
        ...(preconditions === undefined ? {} : { preconditions }),
      },
      action: `delete ${describeResource(resource)} ${objectName(namespace, name)}`,
      options,
    });
  }

  createSubresource(
    resource: GroupVersionResource,
    namespace: string,
    name: string,
    subresource: string,
    body: JsonObject,
  ): Promise<JsonObject> {
    return this.#json({
      method: 'POST',
      path: resourcePath(resource, namespace, name, subresource),
      body,
      action: `create ${describeResource(resource)} ${objectName(namespace, name, subresource)}`,
      options: {},
    });
  }

  async raw(path: string, options: RequestOptions = {}): Promise<string> {
    return (await this.#call({ method: 'GET', path, accept: '*/*', action: `get ${path}`, options })).body;
  }

  watch(...[resource, query, listener, signal]: Parameters<ApiClient['watch']>): void {
    const { namespace, ...rest } = query;
    const path = resourcePath(resource, namespace ?? '');
    const search = searchOf({ ...rest, watch: true, allowWatchBookmarks: true });
    const action = `watch ${describeResource(resource)}`;
    if (signal.aborted) return;
    this.#pool.session().then(
      (session) => {
        if (signal.aborted) return;
        this.#startWatch(session, `${path}${search}`, action, listener, signal);
      },
      (error) => {
        if (!signal.aborted) listener.ended({ kind: 'error', error });
      },
    );
  }

  close(): void {
    this.#pool.close();
  }

  async #json(call: Call): Promise<KubeObject> {
    const { body } = await this.#call(call);
    try {
      return JSON.parse(body);
    } catch (error) {
      throw new ApiUnavailableError(`cannot ${call.action}: the server's answer is not JSON`, true, { cause: error });
    }
  }

  /** One answered request, whatever it takes within the promises above. */
  async #call(call: Call): Promise<Answer> {
    let throttled = 0;
    for (let attempt = 1; ; attempt++) {
      call.options.signal?.throwIfAborted();
      const session = await this.#pool.session();
      call.options.signal?.throwIfAborted();
      try {
        const answer = await this.#exchange(session, call);
        if (answer.httpStatus === 429 && throttled++ < throttledRetriesMax) {
          const seconds = Number(answer.headers['retry-after'] ?? 1);
          await sleep(this.#clock, Math.min(Number.isFinite(seconds) ? seconds : 1, 10) * 1000, call.options.signal);
          continue;
        }
        if (answer.httpStatus >= 400) {
          throw new ApiStatusError(statusOfResponse(answer.httpStatus, answer.body));
        }
        return answer;
      } catch (error) {
        const isRepeatable = error instanceof ApiUnavailableError && (!error.wasSent || call.method === 'GET');
        if (!isRepeatable || attempt >= 3) throw error;
      }
    }
  }

  #headers(call: Pick<Call, 'method' | 'accept' | 'contentType'>, path: string): Record<string, string> {
    const { credentials, userAgent } = this.#options;
    return {
      ':method': call.method,
      ':path': path,
      accept: call.accept ?? 'application/json',
      'user-agent': userAgent,
      ...(credentials.kind === 'token' ? { authorization: `Bearer ${credentials.token()}` } : {}),
      ...(call.contentType === undefined ? {} : { 'content-type': call.contentType }),
    };
  }

  #exchange(session: ClientHttp2Session, call: Call): Promise<Answer> {
    const payload = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
    const contentType = payload === undefined ? undefined : (call.contentType ?? 'application/json');
    const headers = this.#headers(
      { ...call, ...(contentType === undefined ? {} : { contentType }) },
      call.path + searchOf(call.query),
    );
    return new Promise((resolve, reject) => {
      let stream: ClientHttp2Stream;
      try {
        stream = session.request(headers, { endStream: payload === undefined });
      } catch (error) {
        return reject(
          new ApiUnavailableError(`cannot ${call.action}: connection lost: ${errorText(error)}`, false, {
            cause: error,
          }),
        );
      }
      const { signal, timeoutMs = requestTimeoutMs } = call.options;
      let answerHeaders: IncomingHttpHeaders = {};
      let httpStatus = 0;
      const chunks: Buffer[] = [];
      let bytes = 0;
      const finish = (action: () => void) => {
        cancelTimeout();
        signal?.removeEventListener('abort', onAbort);
        action();
      };
      const fail = (message: string, cause?: unknown) => {
        // A stream the server refused, or that never got a number, was certainly not worked on.
        const wasSent = !(stream.rstCode === constants.NGHTTP2_REFUSED_STREAM || stream.id === undefined);
        finish(() => reject(new ApiUnavailableError(`cannot ${call.action}: ${message}`, wasSent, { cause })));
      };
      const cancelTimeout = this.#clock.after(timeoutMs, () => {
        fail(`no answer from ${this.#pool.current() ?? 'the API server'} in ${timeoutMs} ms`);
        stream.close(constants.NGHTTP2_CANCEL);
      });
      const onAbort = () => {
        finish(() => reject(signal?.reason));
        stream.close(constants.NGHTTP2_CANCEL);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      stream.on('response', (received) => {
        answerHeaders = received;
        httpStatus = Number(received[':status']);
      });
      stream.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > responseBytesMax) {
          fail(`the answer is longer than ${responseBytesMax} bytes`);
          stream.close(constants.NGHTTP2_CANCEL);
        } else chunks.push(chunk);
      });
      stream.on('error', (error) => fail(`connection lost: ${errorText(error)}`, error));
      stream.on('close', () => {
        if (httpStatus === 0 || !stream.readableEnded)
          return fail('the connection was lost before the answer was complete');
        finish(() => resolve({ httpStatus, headers: answerHeaders, body: Buffer.concat(chunks).toString() }));
      });
      if (payload !== undefined) stream.end(payload);
    });
  }

  #startWatch(
    session: ClientHttp2Session,
    path: string,
    action: string,
    listener: WatchListener,
    signal: AbortSignal,
  ): void {
    let stream: ClientHttp2Stream;
    let isOver = false;
    const end = (reason: Parameters<WatchListener['ended']>[0]) => {
      if (isOver) return;
      isOver = true;
      signal.removeEventListener('abort', onAbort);
      stream?.close(constants.NGHTTP2_CANCEL);
      listener.ended(reason);
    };
    const onAbort = () => {
      isOver = true;
      stream?.close(constants.NGHTTP2_CANCEL);
    };
    try {
      stream = session.request(this.#headers({ method: 'GET' }, path), { endStream: true });
    } catch (error) {
      const cause = { cause: error };
      return end({
        kind: 'error',
        error: new ApiUnavailableError(`cannot ${action}: ${errorText(error)}`, false, cause),
      });
    }
    signal.addEventListener('abort', onAbort, { once: true });
    const decoder = new WatchDecoder();
    let httpStatus = 0;
    let refusal = '';
    stream.on('response', (headers) => {
      httpStatus = Number(headers[':status']);
    });
    stream.on('data', (chunk: Buffer) => {
      if (isOver) return;
      if (httpStatus !== 200) {
        refusal += chunk.toString().slice(0, 64 << 10);
        return;
      }
      try {
        for (const { type, object } of decoder.push(chunk)) {
          if (isOver) return;
          if (type === 'ERROR') {
            const error = new ApiStatusError(statusOfResponse(object.code ?? 500, JSON.stringify(object)));
            end(isGone(error) ? { kind: 'expired' } : { kind: 'error', error });
          } else listener.event(type as 'ADDED', object as KubeObject);
        }
      } catch (error) {
        end({ kind: 'error', error: error as Error });
      }
    });
    stream.on('error', (error) => {
      end({
        kind: 'error',
        error: new ApiUnavailableError(`cannot ${action}: ${errorText(error)}`, true, { cause: error }),
      });
    });
    stream.on('close', () => {
      if (httpStatus === 200) return end({ kind: 'closed' });
      if (httpStatus === 0) {
        return end({ kind: 'error', error: new ApiUnavailableError(`cannot ${action}: connection lost`, true) });
      }
      const error = new ApiStatusError(statusOfResponse(httpStatus, refusal));
      end(isGone(error) ? { kind: 'expired' } : { kind: 'error', error });
    });
  }
}

function objectName(namespace: string, name: string, subresource?: string): string {
  return `${namespace === '' ? '' : `${namespace}/`}${name}${subresource === undefined ? '' : `/${subresource}`}`;
}

function searchOf(query: Readonly<Record<string, string | number | boolean | undefined>> | undefined): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== '') search.set(name, String(value));
  }
  return search.size === 0 ? '' : `?${search}`;
}
