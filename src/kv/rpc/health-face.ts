/** grpc.health.v1.Health: serving while there is a leader and nothing is corrupt. */
import { grpcStatus } from '../../rpc/grpc-status.ts';
import type { KvServer } from '../server/contract.ts';
import { type Face, unary } from './call.ts';
import type { RequestSink, RpcMethod } from '../../rpc/service.ts';
import { type FaceStream, stream } from './stream.ts';
import { healthService } from './services.ts';

const serving = 1;
const notServing = 2;
const serviceUnknown = 3;
/** Services that may be asked about; the empty name is the server as a whole. */
const services = ['', 'etcdserverpb.KV', 'etcdserverpb.Watch', 'etcdserverpb.Lease'];

interface HealthRequest {
  readonly service: string;
}

export function healthFace(face: Face): readonly RpcMethod[] {
  return [
    unary(face, healthService['Check'], async (request: HealthRequest) => {
      if (!services.includes(request.service)) throw { code: grpcStatus.notFound, details: 'unknown service' };
      return { status: statusOf(face.server) };
    }),
    stream(face, healthService['Watch'], (answers: FaceStream<object>) => watch(face.server, answers), {
      isForLearners: true,
    }),
  ];
}

function statusOf(server: KvServer): number {
  const isCorrupt = server.alarms().some((item) => item.alarm === 'corrupt');
  return server.position().leader !== 0 && !isCorrupt ? serving : notServing;
}

function watch(server: KvServer, answers: FaceStream<object>): RequestSink<HealthRequest> {
  let last: number | undefined;
  let stopWatching: () => void = () => undefined;
  return {
    request({ service }) {
      const isKnown = services.includes(service);
      const tell = () => {
        const status = isKnown ? statusOf(server) : serviceUnknown;
        if (status !== last) answers.write({ status });
        last = status;
      };
      tell();
      stopWatching();
      stopWatching = server.onSoftState(tell);
    },
    ended: () => undefined,
    drained: () => undefined,
    gone: () => stopWatching(),
  };
}
