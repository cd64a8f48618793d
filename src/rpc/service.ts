/**
 * What the store offers over RPC, apart from who carries it: methods, each with its codec and its handler. The servers
 * (grpc-server.ts over @grpc/grpc-js, and the store's own over HTTP/2 frames) carry any list of methods, and the JSON
 * gateway calls the same handlers.
 *
 * Promises of a server to a handler: requests of a stream come one at a time and in order; after `gone` nothing is
 * delivered any more; `gone` comes exactly once when the stream ends in any other way than by the handler's own `end` or
 * `fail`. A handler that rejects or fails with something else than a StatusError is answered as UNKNOWN.
 */
import type * as grpc from '@grpc/grpc-js';
import { assert } from '../env/assert.ts';
import { grpcStatus } from './grpc-status.ts';
import type { SharedMessage } from './shared-message.ts';

/** gRPC status: `code` of grpcStatus (src/kv/errors.ts), `details` its text. */
export interface StatusError {
  readonly code: number;
  readonly details: string;
  /** Sent along, names in lower case; only by the store's own server. */
  readonly metadata?: readonly (readonly [name: string, value: string])[];
}

/** The reason of aborted calls: one for all, as making an exception for each costs more than most calls. */
export const clientGone: StatusError = { code: grpcStatus.cancelled, details: 'context canceled' };

/** What surrounds the request. */
export interface Call {
  /** Values of one metadata field; `name` in lower case. Empty when it was not sent. */
  metadata(name: string): readonly string[];
  /** Common name of the client certificate that was verified; undefined without one, and for calls of the gateway. */
  readonly clientCommonName: string | undefined;
  /** `address:port` of the client, for logs. */
  readonly peer: string;
  /**
   * Aborts when the client has gone, with a StatusError as reason. Servers make it when it is first asked for, as most
   * calls never do.
   */
  readonly signal: AbortSignal;
}

export interface Codec<Request, Answer> {
  /** Throws on bytes that are no such message; bytes fields may be views into `bytes`. */
  decode(bytes: Uint8Array): Request;
  encode(answer: Answer): Uint8Array;
}

export interface UnaryMethod<Request = object, Answer = object> {
  readonly kind: 'unary';
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly codec: Codec<Request, Answer>;
  handle(request: Request, call: Call): Promise<Answer>;
}

/** Any method whose client, server or both send several messages. A single request is delivered, then `ended`. */
export interface StreamMethod<Request = object, Answer = object> {
  readonly kind: 'stream';
  readonly path: string;
  /** False: the client sends exactly one message. */
  readonly isRequestStream: boolean;
  readonly codec: Codec<Request, Answer>;
  open(answers: AnswerStream<Answer>): RequestSink<Request>;
}

export interface AnswerStream<Answer> {
  readonly call: Call;
  /** Accepts the call before there is an answer, and says this along; only the store's own server, and once. */
  accept?(metadata: readonly (readonly [name: string, value: string])[]): void;
  /** False when the buffer is full: it was taken all the same, and `drained` follows once there is room. */
  write(answer: Answer): boolean;
  /** The same for a message that goes to many; only where messages are sent as they are encoded. `number` >= 0. */
  writeShared?(message: SharedMessage, number: number): boolean;
  /** No requests are delivered, and the client is held back, until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends the stream with OK after what was written. */
  end(): void;
  fail(status: StatusError): void;
}

export interface RequestSink<Request> {
  request(message: Request): void;
  /** The client sends no more; answers may still follow. */
  ended(): void;
  drained(): void;
  gone(): void;
}

/** A list of methods holds different messages: each handler is only ever given what its own codec has decoded. */
export type RpcMethod = UnaryMethod | StreamMethod;

/** Path and codec of one method out of a service definition (src/proto/grpc-service.ts). */
export function codecOf<Request, Answer>(
  definition: grpc.MethodDefinition<object, object> | undefined,
): {
  readonly path: string;
  readonly isRequestStream: boolean;
  readonly codec: Codec<Request, Answer>;
} {
  assert(definition, 'the service has this method');
  const { path, requestStream, requestDeserialize, responseSerialize } = definition;
  return {
    path,
    isRequestStream: requestStream,
    codec: {
      decode: (bytes) => requestDeserialize(bytes as Buffer) as Request,
      encode: (answer) => responseSerialize(answer as object),
    },
  };
}
