/**
 * Services whose handlers are written for @grpc/grpc-js, carried by the peer port beside Raft: unary calls alone. Of the
 * call a handler sees what these handlers use: the request, and the event that the caller has gone.
 */
import type * as grpc from '@grpc/grpc-js';
import { assert, present } from '../../env/assert.ts';
import { codecOf, type RpcMethod, type StatusError } from '../../rpc/service.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';

export type PlainService = readonly [grpc.ServiceDefinition, grpc.UntypedServiceImplementation];

export function methodsOfService([definition, implementation]: PlainService): readonly RpcMethod[] {
  return Object.entries(definition).map(([name, method]) => {
    assert(!method.requestStream && !method.responseStream, `${name} has one request and one answer`);
    const handler = present(implementation[name], `handler of ${name}`) as grpc.handleUnaryCall<object, object>;
    const { path, codec } = codecOf<object, object>(method);
    return {
      kind: 'unary',
      path,
      codec,
      handle: (request, call) =>
        new Promise((resolve, reject) => {
          const seen = {
            request,
            on: (event: string, listener: () => void) => {
              assert(event === 'cancelled', `no handler waits for "${event}"`);
              call.signal.addEventListener('abort', listener, { once: true });
            },
          };
          handler(seen as unknown as grpc.ServerUnaryCall<object, object>, (error, answer) => {
            if (error) reject(statusOf(error));
            else resolve(present(answer, 'an answer'));
          });
        }),
    };
  });
}

function statusOf({ code, details }: { readonly code?: number; readonly details?: string }): StatusError {
  return { code: code ?? grpcStatus.unknown, details: details ?? '' };
}
