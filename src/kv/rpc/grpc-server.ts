/**
 * The store's gRPC server over @grpc/grpc-js: ports, TLS and limits around the faces. The only file that binds the
 * client ports.
 */
import * as grpc from '@grpc/grpc-js';
import { KeelsonError } from '../../env/errors.ts';
import type { Face } from './call.ts';
import { clusterFace } from './cluster-face.ts';
import { healthFace } from './health-face.ts';
import { kvFace } from './kv-face.ts';
import { leaseFace } from './lease-face.ts';
import { maintenanceFace } from './maintenance-face.ts';
import { watchFace } from './watch-face.ts';
import { clusterService, healthService, kvService, leaseService, maintenanceService, watchService } from './wire.ts';

/** A request over its limit must still arrive, to be refused with etcd's text; as much again as etcd allows for gRPC. */
const messageOverheadBytes = 512 * 1024;
/** Calls of one connection at a time. Watches count; an API server holds some hundred. */
const concurrentStreamsDefault = 100_000;
/** How long open calls may take to end once the server stops. */
const drainMs = 1_000;

export interface ServerTls {
  readonly cert: Uint8Array;
  readonly key: Uint8Array;
  /** Clients must show a certificate of this authority. */
  readonly clientCa?: Uint8Array;
}

export interface GrpcServerOptions {
  readonly face: Face;
  /** `http(s)://host:port`; port 0 takes a free one. */
  readonly listenUrls: readonly string[];
  readonly tls?: ServerTls;
  readonly watchProgressEveryMs: number;
  readonly concurrentStreamsMax?: number;
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
}

export interface GrpcServer {
  /** As asked for, with the ports that were taken. */
  readonly urls: readonly string[];
  /** Ends watches, lets calls under way finish for a moment, then closes everything. */
  close(): Promise<void>;
}

/** Listens on all URLs or on none; rejects with KeelsonError `LISTEN` or `BAD_CERTIFICATE`. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { face } = options;
  const server = new grpc.Server({
    'grpc.max_receive_message_length': face.server.limits.requestBytesMax + messageOverheadBytes,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': options.concurrentStreamsMax ?? concurrentStreamsDefault,
    'grpc.keepalive_time_ms': options.keepaliveIntervalMs,
    'grpc.keepalive_timeout_ms': options.keepaliveTimeoutMs,
    'grpc.enable_channelz': 0,
    // Node's 10 MB per connection would refuse answers that the store allows.
    'grpc-node.max_session_memory': Number.MAX_SAFE_INTEGER,
  });
  const stopping = new AbortController();
  server.addService(kvService, kvFace(face));
  const watchOptions = { progressEveryMs: options.watchProgressEveryMs, stopping: stopping.signal };
  server.addService(watchService, watchFace(face, watchOptions));
  server.addService(leaseService, leaseFace(face));
  server.addService(clusterService, clusterFace(face));
  server.addService(maintenanceService, maintenanceFace(face));
  server.addService(healthService, healthFace(face));
  const urls: string[] = [];
  try {
    for (const url of options.listenUrls) urls.push(await bind(server, url, options.tls));
  } catch (error) {
    server.forceShutdown();
    throw error;
  }
  return {
    urls,
    close: () => {
      stopping.abort();
      return new Promise<void>((resolve) => {
        const cancel = face.server.clock.after(drainMs, () => {
          server.forceShutdown();
          resolve();
        });
        server.tryShutdown(() => {
          cancel();
          resolve();
        });
      });
    },
  };
}

async function bind(server: grpc.Server, url: string, tls: ServerTls | undefined): Promise<string> {
  const { hostname, port, protocol } = new URL(url);
  const isSecure = protocol === 'https:';
  if (isSecure && !tls) {
    throw new KeelsonError('BAD_FLAGS', `listen on ${url}: https needs --cert-file and --key-file`);
  }
  const target = `${hostname === '' ? '0.0.0.0' : hostname}:${portOf(url, port)}`;
  const credentials = isSecure && tls ? tlsCredentials(tls) : grpc.ServerCredentials.createInsecure();
  const bound = await new Promise<number>((resolve, reject) => {
    try {
      server.bindAsync(target, credentials, (error, number) => (error ? reject(error) : resolve(number)));
    } catch (error) {
      // A certificate that does not fit its key is found only here.
      reject(error);
    }
  }).catch((error: unknown) => {
    const text = error instanceof Error ? error.message : String(error);
    // grpc-js wraps the system's word: "No address added … [listen EADDRINUSE: …]".
    const reason = /\[(.*)\]/.exec(text)?.[1] ?? text;
    throw new KeelsonError(
      'LISTEN',
      `listen on ${url} for clients: ${reason}: free the address or choose another one`,
      {
        cause: error,
      },
    );
  });
  return `${protocol}//${hostname}:${bound}`;
}

/** URL leaves out the default port of its scheme. */
function portOf(url: string, port: string): string {
  if (port !== '') return port;
  return url.startsWith('https:') ? '443' : '80';
}

function tlsCredentials(tls: ServerTls): grpc.ServerCredentials {
  const pair = { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) };
  try {
    return grpc.ServerCredentials.createSsl(
      tls.clientCa ? Buffer.from(tls.clientCa) : null,
      [pair],
      tls.clientCa !== undefined,
    );
  } catch (error) {
    throw new KeelsonError('BAD_CERTIFICATE', `the server certificate cannot be used: ${String(error)}`, {
      cause: error,
    });
  }
}
