/** Listening for peers without a listener of the store's own: tests and tools that have their certificates in hand. */
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createSecureServer } from 'node:tls';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { PeerTls } from './grpc-wire.ts';

export interface PeerListener {
  /** What was bound. */
  readonly addresses: readonly string[];
  close(): Promise<void>;
}

/** Binds `host:port` each; port 0 lets the system choose. Rejects with LISTEN_FAILED. */
export async function listenForPeers(
  addresses: readonly string[],
  tls: PeerTls | undefined,
  onConnection: (socket: Socket) => void,
): Promise<PeerListener> {
  const servers: Server[] = [];
  const close = async () => {
    await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
  };
  const bound: string[] = [];
  try {
    for (const address of addresses) {
      const server = open(tls, onConnection);
      const port = await bind(server, address);
      servers.push(server);
      bound.push(`${address.slice(0, address.lastIndexOf(':'))}:${port}`);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { addresses: bound, close };
}

function open(tls: PeerTls | undefined, onConnection: (socket: Socket) => void): Server {
  if (!tls) return createServer({ noDelay: true }, onConnection);
  const server = createSecureServer({
    key: Buffer.from(tls.key),
    cert: Buffer.from(tls.cert),
    ...(tls.ca ? { ca: Buffer.from(tls.ca) } : {}),
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: ['h2'],
    noDelay: true,
  });
  server.on('secureConnection', onConnection);
  return server;
}

function bind(server: Server, address: string): Promise<number> {
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at).replace(/^\[|\]$/g, '');
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const text = `listen for peers on ${address}: ${errorText(error)}: free the address or choose another one`;
      reject(new KeelsonError('LISTEN_FAILED', text, { cause: error }));
    });
    server.listen({ host, port: Number(address.slice(at + 1)) }, () => {
      const bound = server.address();
      resolve(typeof bound === 'object' && bound !== null ? bound.port : 0);
    });
  });
}
