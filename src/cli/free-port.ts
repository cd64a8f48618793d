/** Ports on loopback that nobody has right now. */
import { createServer } from 'node:net';

/** `count` different ones. Somebody else may take one before it is used: then listening on it fails, with its number. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  try {
    return await Promise.all(
      servers.map(
        (server) =>
          new Promise<number>((resolve, reject) => {
            server.once('error', reject);
            server.listen(0, '127.0.0.1', () => {
              const address = server.address();
              if (typeof address === 'object' && address !== null) resolve(address.port);
              else reject(new Error('a listening socket has a port'));
            });
          }),
      ),
    );
  } finally {
    for (const server of servers) server.close();
  }
}
