/** Service definitions whose load-bearing messages go through the codecs of this folder instead of protobufjs. */
import type * as grpc from '@grpc/grpc-js';
import { assert } from '../../env/assert.ts';
import {
  encodeDeleteRangeResponse,
  encodePutResponse,
  encodeRangeResponse,
  encodeTxnResponse,
  encodeWatchResponse,
} from './codec-answers.ts';
import { decodeDeleteRangeRequest, decodePutRequest, decodeRangeRequest, decodeTxnRequest } from './codec-requests.ts';

type ServerSide = Partial<Pick<grpc.MethodDefinition<object, object>, 'requestDeserialize' | 'responseSerialize'>>;

/** The server's side of each method: what it reads, what it writes. Clients go on with protobufjs. */
export const leanKv: Readonly<Record<string, ServerSide>> = {
  Range: { requestDeserialize: decodeRangeRequest, responseSerialize: encodeRangeResponse },
  Put: { requestDeserialize: decodePutRequest, responseSerialize: encodePutResponse },
  DeleteRange: { requestDeserialize: decodeDeleteRangeRequest, responseSerialize: encodeDeleteRangeResponse },
  Txn: { requestDeserialize: decodeTxnRequest, responseSerialize: encodeTxnResponse },
};
export const leanWatch: Readonly<Record<string, ServerSide>> = {
  Watch: { responseSerialize: encodeWatchResponse },
};

/** `service` with the given methods' codecs exchanged. */
export function withLean(
  service: grpc.ServiceDefinition,
  lean: Readonly<Record<string, ServerSide>>,
): grpc.ServiceDefinition {
  const changed: Record<string, grpc.MethodDefinition<object, object>> = {};
  for (const [name, definition] of Object.entries(service)) changed[name] = { ...definition, ...lean[name] };
  assert(
    Object.keys(lean).every((name) => Object.hasOwn(changed, name)),
    'every exchanged method is one of the service',
  );
  return changed;
}
