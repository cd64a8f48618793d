/** HTTP on URLs of its own, `--listen-metrics-urls` and `--listen-client-http-urls`: HTTP/1.1 and HTTP/2, no gRPC. */
import type { Clock } from '../../env/clock.ts';
import { startH2Server } from '../../rpc/h2/index.ts';
import type { RpcServer } from '../../rpc/rpc-server.ts';
import type { ListenerOptions } from '../../rpc/tls/listener.ts';
import type { HttpHandler } from './handler.ts';

/** Requests of one connection at a time, as HTTP/2 servers usually allow. */
const concurrentStreamsMax = 250;

export type HttpFace = RpcServer;

/** Listens on all URLs or on none; rejects as `openListener` does. */
export function startHttpFace(
  {
    clock,
    log,
    urls,
    ...listen
  }: Omit<ListenerOptions, 'endpoint' | 'onConnection' | 'clock'> & { readonly clock: Clock },
  handler: HttpHandler,
): Promise<HttpFace> {
  return startH2Server({
    clock,
    log,
    methods: [],
    http: handler,
    listenUrls: urls,
    listen,
    // Without methods there are no messages.
    messageBytesMax: 0,
    concurrentStreamsMax,
    keepaliveIntervalMs: 0,
    keepaliveTimeoutMs: 0,
  });
}
