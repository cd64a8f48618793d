/**
 * Methods over @grpc/grpc-js: ports, TLS and limits. The reference that the store's own server is held against; gRPC only,
 * `http` is refused by the library.
 */
import * as grpc from '@grpc/grpc-js';
import { KeelsonError } from '../../env/errors.ts';
import { addMethods } from './grpc-methods.ts';
import type { RpcServer, RpcServerOptions, RpcServerTls } from './rpc-server.ts';

/** How long open calls may take to end once the server stops. */
const drainMs = 1_000;

/** Listens on all URLs or on none; rejects with KeelsonError `LISTEN` or `BAD_CERTIFICATE`. */
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
  const urls: string[] = [];
  try {
    for (const url of options.listenUrls) urls.push(await bind(server, url, options.tls));
  } catch (error) {
    server.forceShutdown();
    throw error;
  }
  return {
    urls,
    close: () =>
      new Promise<void>((resolve) => {
        const cancel = options.clock.after(drainMs, () => {
          server.forceShutdown();
          resolve();
        });
        server.tryShutdown(() => {
          cancel();
          resolve();
        });
      }),
  };
}

async function bind(server: grpc.Server, url: string, tls: RpcServerTls | undefined): Promise<string> {
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

function tlsCredentials(tls: RpcServerTls): grpc.ServerCredentials {
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
