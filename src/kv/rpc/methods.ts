/** All methods of the store, for whichever server carries them. */
import { authFace } from './auth-face.ts';
import { type Face, type MessageCounts, namesOf } from './call.ts';
import { clusterFace } from './cluster-face.ts';
import { electionFace } from './election-face.ts';
import { healthFace } from './health-face.ts';
import { kvFace } from './kv-face.ts';
import { leaseFace } from './lease-face.ts';
import { lockFace } from './lock-face.ts';
import { maintenanceFace } from './maintenance-face.ts';
import { quorumFace } from './quorum-face.ts';
import { reflectionFace } from './reflection-face.ts';
import type { RpcMethod } from '../../rpc/service.ts';
import { watchFace, type WatchFaceOptions } from './watch-face.ts';

export interface StoreMethodsOptions {
  readonly watch: WatchFaceOptions;
}

export function storeMethods(face: Face, options: StoreMethodsOptions): readonly RpcMethod[] {
  const methods = [
    ...kvFace(face),
    ...watchFace(face, options.watch),
    ...leaseFace(face),
    ...clusterFace(face),
    ...maintenanceFace(face),
    ...authFace(face),
    ...electionFace(face),
    ...lockFace(face),
    ...healthFace(face),
  ];
  // What is ours alone is not told by reflection, which describes etcd's services.
  const all = [...methods, ...reflectionFace(face, methods), ...quorumFace(face)];
  const { messages } = face.counters;
  if (messages === undefined) return all;
  return all.map((method) => {
    const [service, name] = namesOf(method.path);
    const streamType = method.kind === 'stream' && method.isRequestStream ? 'bidi_stream' : 'server_stream';
    return withCountedMessages(method, messages(service, name, method.kind === 'unary' ? 'unary' : streamType));
  });
}

/** The same method, whose messages are counted as they pass its codec. */
function withCountedMessages(method: RpcMethod, counts: MessageCounts): RpcMethod {
  const { decode, encode } = method.codec;
  return {
    ...method,
    codec: {
      decode(message) {
        counts.received += 1;
        counts.receivedBytes += message.length;
        return decode(message);
      },
      encode(answer) {
        const message = encode(answer);
        counts.sent += 1;
        counts.sentBytes += message.length;
        return message;
      },
    },
  };
}
