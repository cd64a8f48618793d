/** etcdserverpb.Watch: the RPC side of WatchStream. */
import type { Face } from './call.ts';
import type { RpcMethod } from '../../rpc/service.ts';
import { EventBatches } from './event-batch.ts';
import { type FaceStream, stream } from './stream.ts';
import { WatchStream } from './watch-stream.ts';
import { watchService } from './services.ts';
import type { Out, WireWatchRequest, WireWatchResponse } from './wire.ts';

/** What gRPC itself may add to a message of the size limit, as etcd reckons. */
const grpcOverheadBytes = 512 * 1024;

export interface WatchFaceOptions {
  readonly progressEveryMs: number;
}

export function watchFace(face: Face, { progressEveryMs }: WatchFaceOptions): readonly RpcMethod[] {
  const { server } = face;
  const batches = new EventBatches(server);
  const open = (answers: FaceStream<Out<WireWatchResponse>>) => {
    const watches = new WatchStream({
      server,
      from: answers.call,
      hold: (work) => {
        answers.pause();
        work.then(
          () => answers.resume(),
          (error: unknown) => answers.fail(error),
        );
      },
      write: (response) => answers.write(response),
      writeShared: (response, watchId) => answers.writeShared(response, watchId),
      batches,
      progressEveryMs,
      fragmentBytes: server.limits.requestBytesMax + grpcOverheadBytes,
    });
    return {
      request: (request: Out<WireWatchRequest>) => watches.take(request),
      // Whoever has no more to ask still listens, until the stream is cancelled.
      ended: () => undefined,
      drained: () => watches.drained(),
      gone: () => watches.close(),
    };
  };
  return [stream(face, watchService['Watch'], open)];
}
