/** v3lockpb.Lock: locks that the server waits for, over the same keys that etcd's clients lock by themselves. */
import descriptor from '../../../proto/gen/etcd-lock.json' with { type: 'json' };
import { errorText } from '../../env/errors.ts';
import { loadService } from '../../proto/grpc-service.ts';
import { fromInt64, type Int64Like } from '../../proto/int64.ts';
import { type Bytes, noBytes } from '../api.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import { type Face, headerOf, unary } from './call.ts';
import { copied } from './codec-values.ts';
import type { Call, RpcMethod } from '../../rpc/service.ts';
import { prefixOf, Turns } from './turns.ts';

export const lockService = loadService(descriptor, 'v3lockpb.Lock');

interface LockRequest {
  readonly name: Bytes;
  readonly lease: Int64Like;
}

export function lockFace(face: Face): readonly RpcMethod[] {
  const { server } = face;
  return [
    unary(face, lockService['Lock'], (request: LockRequest, call) => lock(face, request, call)),
    unary(face, lockService['Unlock'], async (request: { readonly key: Bytes }, call) => {
      const gone = await server.deleteRange({ key: copied(request.key), rangeEnd: noBytes, prevKv: false }, call);
      return { header: headerOf(server, gone.revision) };
    }),
  ];
}

async function lock(face: Face, request: LockRequest, call: Call): Promise<object> {
  const { server, stopping } = face;
  const prefix = prefixOf(copied(request.name));
  const signal = AbortSignal.any([call.signal, stopping]);
  const turns = new Turns(server, call);
  const turn = await turns.take(prefix, await turns.lease(fromInt64(request.lease), signal), noBytes);
  try {
    await turns.untilOldest(prefix, turn.revision, signal);
  } catch (error) {
    // Who does not wait any longer must not be waited for.
    await turns.leave(turn).catch((failure: unknown) => {
      face.log.info('a place in a lock’s queue stays until its lease ends', { error: errorText(failure) });
    });
    throw error;
  }
  // The lease may have ended while the turn was waited for: then the turn is somebody else's.
  const revision = await turns.isHeld(turn.key);
  if (revision === undefined) throw { code: grpcStatus.unknown, details: 'mutex: session is expired' };
  return { header: headerOf(server, revision), key: turn.key };
}
