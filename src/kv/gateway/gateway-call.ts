/** What surrounds a request of the gateway: its headers as the metadata that gRPC would have brought. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import type { Call } from '../../rpc/service.ts';

/** `Grpc-Metadata-Foo: x` is the metadata `foo: x`. */
const metadataPrefix = 'grpc-metadata-';

export class GatewayCall implements Call {
  readonly clientCommonName = undefined;
  readonly peer: string;
  readonly #headers: IncomingMessage['headers'];
  readonly #gone = new AbortController();

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#headers = request.headers;
    this.peer = `${request.socket.remoteAddress ?? ''}:${request.socket.remotePort ?? ''}`;
    response.once('close', () => {
      if (!response.writableFinished) this.#gone.abort({ code: grpcStatus.cancelled, details: 'context canceled' });
    });
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  metadata(name: string): readonly string[] {
    const value = this.#headers[metadataPrefix + name] ?? (name === 'authorization' ? this.#headers[name] : undefined);
    return value === undefined ? [] : [value].flat();
  }
}
