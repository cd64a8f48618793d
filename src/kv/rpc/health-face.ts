/** grpc.health.v1.Health: serving while there is a leader and nothing is corrupt. */
import type * as grpc from '@grpc/grpc-js';
import { grpcStatus } from '../errors.ts';
import type { KvServer } from '../server/contract.ts';
import { type Face, unary } from './call.ts';

const service = 'grpc.health.v1.Health';
const serving = 1;
const notServing = 2;
const serviceUnknown = 3;
/** Services that may be asked about; the empty name is the server as a whole. */
const services = ['', 'etcdserverpb.KV', 'etcdserverpb.Watch', 'etcdserverpb.Lease'];

interface HealthRequest {
  readonly service: string;
}

export function healthFace(face: Face): grpc.UntypedServiceImplementation {
  return {
    Check: unary(face, [service, 'Check'], async (request: HealthRequest) => {
      if (!services.includes(request.service)) throw { code: grpcStatus.notFound, details: 'unknown service' };
      return { status: statusOf(face.server) };
    }),
    Watch: (call: grpc.ServerWritableStream<HealthRequest, object>) => watch(face, call),
  };
}

function statusOf(server: KvServer): number {
  const isCorrupt = server.alarms().some((item) => item.alarm === 'corrupt');
  return server.position().leader !== 0 && !isCorrupt ? serving : notServing;
}

function watch(face: Face, call: grpc.ServerWritableStream<HealthRequest, object>): void {
  const { server, counters } = face;
  counters.started(service, 'Watch', 'server_stream');
  const isKnown = services.includes(call.request.service);
  let last = isKnown ? statusOf(server) : serviceUnknown;
  call.write({ status: last });
  const stopWatching = server.onSoftState(() => {
    const status = isKnown ? statusOf(server) : serviceUnknown;
    if (status === last) return;
    last = status;
    call.write({ status });
  });
  call.on('cancelled', () => {
    stopWatching();
    counters.handled(service, 'Watch', 'server_stream', grpcStatus.cancelled);
  });
}
