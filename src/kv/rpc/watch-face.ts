/** etcdserverpb.Watch: the gRPC side of WatchStream. */
import type * as grpc from '@grpc/grpc-js';
import { KvError } from '../errors.ts';
import { type Face, type StatusError, toStatus, wantsLeader, whileLeader } from './call.ts';
import { WatchStream } from './watch-stream.ts';
import type { Out, WireWatchRequest, WireWatchResponse } from './wire.ts';

const service = 'etcdserverpb.Watch';
/** What gRPC itself may add to a message of the size limit, as etcd reckons. */
const grpcOverheadBytes = 512 * 1024;

type WatchCall = grpc.ServerDuplexStream<Out<WireWatchRequest>, Out<WireWatchResponse>>;

export interface WatchFaceOptions {
  readonly progressEveryMs: number;
  /** Aborts when the server goes away: open streams end. */
  readonly stopping: AbortSignal;
}

export function watchFace(face: Face, options: WatchFaceOptions): grpc.UntypedServiceImplementation {
  return { Watch: (call: WatchCall) => serve(face, options, call) };
}

function serve(face: Face, options: WatchFaceOptions, call: WatchCall): void {
  const { server, counters } = face;
  counters.started(service, 'Watch', 'bidi_stream');
  const stream = new WatchStream({
    server,
    write: (response) => call.write(response),
    progressEveryMs: options.progressEveryMs,
    fragmentBytes: server.limits.requestBytesMax + grpcOverheadBytes,
  });
  let isOver = false;
  const finish = (status?: StatusError) => {
    if (isOver) return;
    isOver = true;
    stopWatching();
    options.stopping.removeEventListener('abort', onStopping);
    stream.close();
    counters.handled(service, 'Watch', 'bidi_stream', status?.code ?? 0);
    if (status) call.emit('error', status);
    else call.end();
  };
  const fail = (error: unknown) => finish(toStatus(face, error));
  const onStopping = () => fail(new KvError('stopped'));
  options.stopping.addEventListener('abort', onStopping, { once: true });
  const stopWatching = wantsLeader(call.metadata)
    ? whileLeader(server, () => fail(new KvError('noLeader')))
    : () => undefined;
  if (server.position().isLearner) return fail(new KvError('notSupportedForLearner'));
  call.on('data', (request: Out<WireWatchRequest>) => {
    if (isOver) return;
    try {
      stream.take(request);
    } catch (error) {
      fail(error);
    }
  });
  call.on('drain', () => {
    if (!isOver) stream.drained();
  });
  call.on('end', () => finish());
  call.on('cancelled', () => finish({ code: 1, details: 'context canceled' }));
  call.on('error', () => finish());
}
