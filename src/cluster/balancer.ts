/**
 * One local port for several API servers: a TCP forwarder. A connection goes to the first server, in turn order, that
 * accepts; TLS stays between the client and the server. When a server goes away its connections break, clients open new ones,
 * and those reach another server.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../env/clock.ts';
import { KeelsonError } from '../env/errors.ts';
import type { Log } from '../env/log.ts';

export interface BalancerOptions {
  readonly listenHost: string;
  readonly listenPort: number;
  /** host:port, in order of preference. */
  readonly backends: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
}

/** A machine on the same LAN answers in a millisecond; one that is gone does not answer at all. */
const connectTimeoutMs = 1_000;
/** A server that did not answer is asked last for this long. */
const avoidMs = 3_000;
/** Far above what one machine's clients open; beyond it a client is out of control. */
const connectionsMax = 4_096;

export class Balancer {
  readonly #options: BalancerOptions;
  readonly #server: Server;
  readonly #avoidUntilMs = new Map<string, number>();
  readonly #sockets = new Set<Socket>();

  constructor(options: BalancerOptions) {
    this.#options = options;
    this.#server = createServer({ pauseOnConnect: true }, (client) => this.#accept(client));
    this.#server.maxConnections = connectionsMax;
  }

  /** Resolves with the port it listens on. */
  listen(): Promise<number> {
    const { listenHost, listenPort } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => {
        const advice =
          error.code === 'EADDRINUSE'
            ? 'the port is in use by another program: stop it or choose another port'
            : error.message;
        reject(new KeelsonError('LISTEN_FAILED', `listen on ${listenHost}:${listenPort}: ${advice}`, { cause: error }));
      });
      this.#server.listen(listenPort, listenHost, () => {
        const address = this.#server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : listenPort);
      });
    });
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #ordered(): readonly string[] {
    const now = this.#options.clock.monotonicMs();
    const avoided = (backend: string) => (this.#avoidUntilMs.get(backend) ?? 0) > now;
    return [
      ...this.#options.backends.filter((backend) => !avoided(backend)),
      ...this.#options.backends.filter(avoided),
    ];
  }

  #accept(client: Socket): void {
    this.#track(client);
    void this.#connectFirst(this.#ordered(), client).then((upstream) => {
      if (upstream === undefined) {
        client.destroy();
        return;
      }
      this.#track(upstream);
      client.setNoDelay(true);
      upstream.setNoDelay(true);
      client.pipe(upstream);
      upstream.pipe(client);
      const end = () => {
        client.destroy();
        upstream.destroy();
      };
      client.on('close', end);
      upstream.on('close', end);
    });
  }

  async #connectFirst(backends: readonly string[], client: Socket): Promise<Socket | undefined> {
    for (const backend of backends) {
      if (client.destroyed) return undefined;
      const upstream = await this.#connectTo(backend);
      if (upstream !== undefined) return upstream;
      this.#avoidUntilMs.set(backend, this.#options.clock.monotonicMs() + avoidMs);
    }
    this.#options.log.warn('no API server could be reached', { backends });
    return undefined;
  }

  #connectTo(backend: string): Promise<Socket | undefined> {
    const separator = backend.lastIndexOf(':');
    return new Promise((resolve) => {
      const socket = connect({ host: backend.slice(0, separator), port: Number(backend.slice(separator + 1)) });
      const cancel = this.#options.clock.after(connectTimeoutMs, () => {
        socket.destroy();
        resolve(undefined);
      });
      socket.once('connect', () => {
        cancel();
        resolve(socket);
      });
      socket.once('error', () => {
        cancel();
        resolve(undefined);
      });
    });
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    // A broken connection shows as 'close'; the client of the other side sees it there.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
