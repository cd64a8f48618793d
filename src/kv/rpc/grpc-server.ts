/**
 * Methods over @grpc/grpc-js, on sockets that `openListener` has made ready. The reference that the store's own server is held against; gRPC only,
 * `http` is refused by the library.
 */
import type { Socket } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { addMethods } from './grpc-methods.ts';
import type { RpcServer, RpcServerOptions } from '../../rpc/rpc-server.ts';
import { type Listener, openListener } from '../../rpc/tls/listener.ts';

/** How long open calls may take to end once the server stops. */
const drainMs = 1_000;

/** Listens on all URLs or on none; rejects as `openListener` does. */
export async function startGrpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const server = new grpc.Server({
    'grpc.max_receive_message_length': options.messageBytesMax,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': options.concurrentStreamsMax,
    'grpc.keepalive_time_ms': options.keepaliveIntervalMs,
    'grpc.keepalive_timeout_ms': options.keepaliveTimeoutMs,
    'grpc.enable_channelz': 0,
    // Node's 10 MB per connection would refuse answers that the store allows.
    'grpc-node.max_session_memory': Number.MAX_SAFE_INTEGER,
  });
  addMethods(server, options.methods);
  // What comes in has its encryption behind it.
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  const sockets = new Set<Socket>();
  let listener: Listener;
  try {
    listener = await openListener({
      clock: options.clock,
      log: options.log,
      endpoint: 'client',
      urls: options.listenUrls,
      ...options.listen,
      onConnection: (socket) => {
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
        injector.injectConnection(socket);
      },
    });
  } catch (error) {
    server.forceShutdown();
    throw error;
  }
  return {
    urls: listener.urls,
    close: async () => {
      await listener.close();
      await new Promise<void>((resolve) => {
        const cancel = options.clock.after(drainMs, resolve);
        server.tryShutdown(() => {
          cancel();
          resolve();
        });
      });
      server.forceShutdown();
      for (const socket of sockets) socket.destroy();
    },
  };
}
