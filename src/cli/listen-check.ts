/**
 * Whether the ports a command is about to listen on are free, asked by listening on each for a moment before anything on
 * disk is opened: opening a database already changes its files. Who takes a port between this and the real listening is
 * told by the real one. The only file of the commands that binds sockets of its own.
 */
import { createServer } from 'node:net';
import { KeelsonError } from '../env/errors.ts';

export interface WantedPort {
  /** Flag that names it, without its dashes. */
  readonly flag: string;
  readonly host: string;
  readonly port: number;
  /** As the user wrote it; `host:port` when absent. */
  readonly shown?: string;
}

/** Rejects with LISTEN_FAILED for the first address that cannot be listened on. Port 0 is always free. */
export async function checkPorts(ports: readonly WantedPort[]): Promise<void> {
  const seen = new Map<string, string>();
  for (const wanted of ports) {
    if (wanted.port === 0) continue;
    const address = `${wanted.host}:${wanted.port}`;
    const other = seen.get(address);
    if (other !== undefined) {
      throw new KeelsonError(
        'LISTEN_FAILED',
        `listen on ${wanted.shown ?? address}: --${other} has the same address as --${wanted.flag}: choose another port for one of them`,
      );
    }
    seen.set(address, wanted.flag);
    await listenOnce(wanted, address);
  }
}

function listenOnce({ flag, host, port, shown }: WantedPort, address: string): Promise<void> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        new KeelsonError(
          'LISTEN_FAILED',
          `listen on ${shown ?? address}: ${error.message}: free the address or choose another one with --${flag}`,
          { cause: error },
        ),
      );
    });
    server.listen({ port, host: host.replace(/^\[|\]$/g, ''), exclusive: true }, () => server.close(() => resolve()));
  });
}

/** The ports of `http(s)://host:port` URLs. Socket files have none; two URLs of one flag may share a port, plain and secure. */
export function portsOf(flag: string, urls: readonly string[]): readonly WantedPort[] {
  const byPort = new Map(urls.filter((url) => !url.startsWith('unix')).map((url) => [url.replace(/^https?/, ''), url]));
  return [...byPort.values()].map((shown) => {
    const { hostname, port, protocol } = new URL(shown);
    return { flag, host: hostname, port: Number(port || (protocol === 'https:' ? 443 : 80)), shown };
  });
}
