/** The client against a server that answers progress requests too early, as etcd 3.4.23 does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { realClock } from '../../../src/env/real.ts';
import { createKvClient } from '../../../src/kv/index.ts';
import { watchService } from '../../../src/kv/rpc/services.ts';
import type { Out, WireWatchRequest, WireWatchResponse } from '../../../src/kv/rpc/wire.ts';
import { safeNumberFromInt64 } from '../../../src/proto/int64.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const header = (revision: number) => ({ clusterId: 1, memberId: 1, revision, raftTerm: 1 });
const event = (revision: number) => ({
  type: 0,
  kv: { key: bytes('k'), value: bytes('v'), createRevision: revision, modRevision: revision, version: 1, lease: 0 },
});

test('events that come after a premature progress answer are handed out and not lost to a reconnection', async () => {
  const starts: number[] = [];
  const secondStream = Promise.withResolvers<void>();
  const server = new grpc.Server();
  server.addService(watchService, {
    Watch: (call: grpc.ServerDuplexStream<WireWatchRequest, Out<WireWatchResponse>>) => {
      call.on('data', (request: WireWatchRequest) => {
        if (request.createRequest) {
          starts.push(safeNumberFromInt64(request.createRequest.startRevision));
          call.write({ header: header(5), watchId: 0, created: true });
          if (starts.length === 2) secondStream.resolve();
        } else if (request.progressRequest) {
          // Revision 9 is the store's; 7 is still on its way to this watch, and 8 is lost with the stream.
          call.write({ header: header(9), watchId: -1 });
          call.write({ header: header(9), watchId: 0, events: [event(7)] } as never);
          setImmediate(() => call.emit('error', { code: grpc.status.UNAVAILABLE, details: 'going away' }));
        }
      });
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  const client = createKvClient({ clock: realClock, endpoints: [`http://127.0.0.1:${port}`] });
  try {
    const seen: number[] = [];
    const created = Promise.withResolvers<void>();
    const watch = client.watch(
      {
        key: bytes('k'),
        rangeEnd: new Uint8Array(),
        startRevision: 6,
        prevKv: false,
        noPut: false,
        noDelete: false,
      },
      {
        created: () => created.resolve(),
        events: (events) => seen.push(...events.map(({ kv }) => kv.modRevision)),
        progress: () => undefined,
        ended: (reason) => secondStream.reject(new Error(reason.kind)),
      },
    );
    await created.promise;
    watch.requestProgress();
    await secondStream.promise;
    assert.deepEqual(seen, [7]);
    assert.deepEqual(starts, [6, 8]);
  } finally {
    client.close();
    server.forceShutdown();
  }
});
