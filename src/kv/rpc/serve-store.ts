/** One member's methods on its client URLs: puts faces and server together, and ends open streams before the server. */
import type { KvServer } from '../server/contract.ts';
import type { Face } from './call.ts';
import { startH2Server } from '../../rpc/h2/index.ts';
import { storeMethods } from './methods.ts';
import type { RpcMethod } from '../../rpc/service.ts';
import { messageOverheadBytes, type RpcServer, type RpcServerOptions } from '../../rpc/rpc-server.ts';

export interface ServeStoreOptions extends Omit<Face, 'server' | 'stopping'> {
  readonly watchProgressEveryMs: number;
  readonly rpc: Omit<RpcServerOptions, 'clock' | 'log' | 'methods' | 'messageBytesMax' | 'http'>;
  /** What plain HTTP requests get on the client URLs, over the same methods. */
  readonly http?: (server: KvServer, methods: readonly RpcMethod[]) => RpcServerOptions['http'];
}

/** Listens on all URLs or on none; rejects as RpcServer implementations do. */
export async function serveStore(server: KvServer, options: ServeStoreOptions): Promise<RpcServer> {
  const stopping = new AbortController();
  const { log, counters, onFatal, watchProgressEveryMs } = options;
  const face = { server, log, counters, onFatal, stopping: stopping.signal };
  const methods = storeMethods(face, { watch: { progressEveryMs: watchProgressEveryMs } });
  const http = options.http?.(server, methods);
  const rpc = await startH2Server({
    ...options.rpc,
    clock: server.clock,
    log,
    methods,
    ...(http ? { http } : {}),
    messageBytesMax: server.limits.requestBytesMax + messageOverheadBytes,
  });
  return {
    urls: rpc.urls,
    close: () => {
      stopping.abort();
      return rpc.close();
    },
  };
}
