/** Which handler gets a request, and what is answered when none does. The texts are grpc-go's: clients match on them. */
import { grpcStatus } from '../grpc-status.ts';
import type { RpcMethod } from '../service.ts';
import type { CallScope } from './grpc-call.ts';
import { endWithStatus, endWithText, isGrpc, parseTimeout } from './grpc-wire.ts';
import type { RequestHead } from './request-head.ts';
import type { Stream } from './stream.ts';
import { StreamCall } from './stream-call.ts';
import { UnaryCall } from './unary-call.ts';

/** A request that is no gRPC. */
export type HttpHandler = (stream: Stream, head: RequestHead, scope: CallScope) => void;

export class Dispatcher {
  readonly #methods = new Map<string, RpcMethod>();
  readonly #services = new Set<string>();
  readonly #http: HttpHandler | undefined;

  constructor(methods: readonly RpcMethod[], http: HttpHandler | undefined) {
    this.#http = http;
    for (const method of methods) {
      this.#methods.set(method.path, method);
      this.#services.add(method.path.slice(1, method.path.lastIndexOf('/')));
    }
  }

  /** Sets `stream.handler`, or answers at once. */
  dispatch(stream: Stream, head: RequestHead, scope: CallScope, nowMs: number): void {
    if (head.isTooLarge) endWithText(stream, 431, 'the header fields of the request are too large');
    else if (!isGrpc(head.contentType)) this.#dispatchHttp(stream, head, scope);
    else if (head.method !== 'POST') endWithText(stream, 405, 'gRPC calls are POST requests');
    else this.#dispatchCall(stream, head, scope, nowMs);
  }

  #dispatchHttp(stream: Stream, head: RequestHead, scope: CallScope): void {
    if (this.#http) this.#http(stream, head, scope);
    else endWithText(stream, 415, `invalid gRPC request content-type ${JSON.stringify(head.contentType ?? '')}`);
  }

  #dispatchCall(stream: Stream, head: RequestHead, scope: CallScope, nowMs: number): void {
    const method = this.#methods.get(head.path);
    if (method === undefined) return endWithStatus(stream, grpcStatus.unimplemented, this.#unknown(head.path));
    const { encoding, timeout } = head;
    if (encoding !== undefined && encoding !== 'identity' && encoding !== 'gzip') {
      const details = `grpc: Decompressor is not installed for grpc-encoding ${JSON.stringify(encoding)}`;
      return endWithStatus(stream, grpcStatus.unimplemented, details, [['grpc-accept-encoding', 'identity,gzip']]);
    }
    if (scope.connection.isFull) {
      return endWithStatus(stream, grpcStatus.resourceExhausted, 'too many answers of this connection are not read');
    }
    const call =
      method.kind === 'unary'
        ? new UnaryCall(stream, head, method, scope)
        : new StreamCall(stream, head, method, scope);
    if (timeout !== undefined) {
      const timeoutMs = parseTimeout(timeout);
      if (timeoutMs === undefined) {
        return endWithStatus(stream, grpcStatus.internal, `malformed grpc-timeout: ${JSON.stringify(timeout)}`);
      }
      call.expireAt(nowMs + timeoutMs);
    }
    stream.handler = call;
    if (call instanceof StreamCall) call.open();
  }

  #unknown(path: string): string {
    const slash = path.lastIndexOf('/');
    if (!path.startsWith('/') || slash <= 0) return `malformed method name: ${JSON.stringify(path)}`;
    const service = path.slice(1, slash);
    if (!this.#services.has(service)) return `unknown service ${service}`;
    return `unknown method ${path.slice(slash + 1)} for service ${service}`;
  }
}
