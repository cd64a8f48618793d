/**
 * Ports for programs that cannot say which one they were given, and for those that are ended and come back to theirs.
 *
 * A port that the system gives (0) is one of those that it also gives to whoever connects somewhere: while a member is down,
 * somebody's connection may take its port, or a client that calls it may even meet itself. So these lie below that range. Other
 * processes that choose here as well must not choose the same: each port is kept by a listener on another loopback
 * address, for as long as this process lives.
 */
import { createServer, type Server } from 'node:net';

const portMin = 12_000;
/** Linux gives 32768 and above to connections (ip_local_port_range). */
const portMax = 32_000;
const keptBy = '127.0.0.2';
/** Far more than are ever taken at once. */
const triesMax = 1_000;

function listening(port: number, host: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(port, host, () => resolve(server));
  });
}

const closed = (server: Server) => new Promise<void>((resolve) => server.close(() => resolve()));

/** False when somebody has it. */
async function keep(port: number): Promise<boolean> {
  const kept = await listening(port, keptBy);
  if (kept === undefined) return false;
  const used = await listening(port, '127.0.0.1');
  if (used === undefined) {
    await closed(kept);
    return false;
  }
  await closed(used);
  // It ends with the process, and does not keep it alive.
  kept.unref();
  return true;
}

/** `count` different ports that nobody else has, nor gets as long as this process lives. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  for (let tries = 0; ports.length < count; tries++) {
    if (tries === triesMax)
      throw new Error(`no ${count} free ports among ${triesMax} tried from ${portMin} to ${portMax}`);
    const port = portMin + Math.floor(Math.random() * (portMax - portMin));
    if (await keep(port)) ports.push(port);
  }
  return ports;
}
