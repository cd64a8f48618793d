/** A server that carries methods over the network: contract of the two implementations, grpc-server.ts and h2/. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../env/clock.ts';
import type { Log } from '../env/log.ts';
import type { RpcMethod } from './service.ts';
import type { ListenerOptions } from './tls/listener.ts';

export interface RpcServerOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly methods: readonly RpcMethod[];
  /** What HTTP requests that are no gRPC get, on the same port, where the server can; else they are refused. */
  readonly http?: (request: IncomingMessage, response: ServerResponse) => void;
  /** `http(s)://host:port` or `unix(s)://path`; port 0 takes a free one. Given to `openListener`, as the next one. */
  readonly listenUrls: readonly string[];
  readonly listen?: Pick<ListenerOptions, 'tls' | 'reusePort' | 'disk'>;
  /** Bytes of one request message; a larger one is answered as RESOURCE_EXHAUSTED. */
  readonly messageBytesMax: number;
  /** Calls of one connection at a time. */
  readonly concurrentStreamsMax: number;
  /** Pings to a client that is silent for this long; 0: none. */
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
  /** A client that pings more often is told `too_many_pings`, where the server can count them; absent: any number. */
  readonly pingIntervalMinMs?: number;
}

export interface RpcServer {
  /** As asked for, with the ports that were taken. */
  readonly urls: readonly string[];
  /** Takes no more calls, lets those under way finish for a moment, then closes everything. */
  close(): Promise<void>;
}

/** A request over its limit must still arrive, to be refused with etcd's text; as much again as etcd allows for gRPC. */
export const messageOverheadBytes = 512 * 1024;
/** Calls of one connection at a time. Watches count; an API server holds some hundred. */
export const concurrentStreamsDefault = 100_000;
