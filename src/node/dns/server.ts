/** DNS over UDP and TCP: the sockets around the responder. Every limit is explicit; a client that misbehaves loses its connection only. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../../env/clock.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import { respond } from './responder.ts';
import type { Zone } from './zone.ts';

export interface DnsServerOptions {
  readonly addresses: readonly string[];
  readonly port: number;
  /** Servers for names outside the cluster, as addresses; asked one after another. */
  readonly upstreams: readonly string[];
  readonly zone: () => Zone;
  readonly clock: Clock;
  readonly log: Log;
  /** Called for every query, for metrics. */
  readonly onQuery: (transport: 'udp' | 'tcp') => void;
}

/** Queries waiting for an upstream: beyond it new ones fail at once instead of piling up. */
const forwardsMax = 1_000;
const forwardTimeoutMs = 2_000;
const tcpConnectionsMax = 500;
const tcpIdleMs = 10_000;

export class DnsServer {
  readonly #options: DnsServerOptions;
  readonly #udp: UdpSocket[] = [];
  readonly #tcp: Server[] = [];
  readonly #connections = new Set<Socket>();
  #forwards = 0;

  constructor(options: DnsServerOptions) {
    this.#options = options;
  }

  /** Resolves when every address is served; rejects with the first that cannot be. */
  async listen(): Promise<void> {
    for (const address of this.#options.addresses) {
      await this.#listenUdp(address);
      await this.#listenTcp(address);
    }
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    await Promise.all([
      ...this.#udp.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))),
      ...this.#tcp.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
    ]);
  }

  async #listenUdp(address: string): Promise<void> {
    const socket = createSocket({ type: 'udp4' });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', (error) => reject(this.#listenError(address, 'UDP', error)));
      socket.bind(this.#options.port, address, () => resolve());
    });
    socket.on('error', (error) => this.#options.log.error('the DNS socket failed', { address, error: error.message }));
    socket.on('message', (query, from) => {
      this.#options.onQuery('udp');
      void this.#respond(query, 'udp').then((answer) => {
        if (answer !== undefined) socket.send(answer, from.port, from.address);
      });
    });
    this.#udp.push(socket);
  }

  async #listenTcp(address: string): Promise<void> {
    const server = createServer((connection) => this.#serveConnection(connection));
    server.maxConnections = tcpConnectionsMax;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(this.#listenError(address, 'TCP', error)));
      server.listen(this.#options.port, address, () => resolve());
    });
    this.#tcp.push(server);
  }

  #listenError(address: string, transport: string, cause: Error): KeelsonError {
    return new KeelsonError(
      'LISTEN_FAILED',
      `serve DNS on ${address}:${this.#options.port} (${transport}): ${cause.message}: is another DNS server running there?`,
      { cause },
    );
  }

  /** Messages carry their length in two bytes; several may come over one connection. */
  #serveConnection(connection: Socket): void {
    this.#connections.add(connection);
    connection.setTimeout(tcpIdleMs, () => connection.destroy());
    connection.on('error', () => undefined);
    connection.on('close', () => this.#connections.delete(connection));
    let pending = Buffer.alloc(0);
    connection.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const query = pending.subarray(2, 2 + pending.readUInt16BE(0));
        pending = pending.subarray(2 + query.length);
        this.#options.onQuery('tcp');
        void this.#respond(query, 'tcp').then((answer) => {
          if (answer === undefined || connection.destroyed) return;
          const length = Buffer.alloc(2);
          length.writeUInt16BE(answer.length);
          connection.write(Buffer.concat([length, answer]));
        });
      }
    });
  }

  async #respond(query: Uint8Array, kind: 'udp' | 'tcp'): Promise<Uint8Array | undefined> {
    try {
      return await respond(query, this.#options.zone(), (bytes) => this.#forward(bytes), { kind });
    } catch (error) {
      // One query that cannot be answered must not end the server; the client asks again or elsewhere.
      this.#options.log.warn('a DNS query failed', { error: error instanceof Error ? error.message : String(error) });
      return undefined;
    }
  }

  async #forward(query: Uint8Array): Promise<Uint8Array | undefined> {
    if (this.#forwards >= forwardsMax) return undefined;
    this.#forwards += 1;
    try {
      for (const upstream of this.#options.upstreams) {
        const answer = await this.#ask(upstream, query);
        if (answer !== undefined) return answer;
      }
      return undefined;
    } finally {
      this.#forwards -= 1;
    }
  }

  #ask(upstream: string, query: Uint8Array): Promise<Uint8Array | undefined> {
    return new Promise((resolve) => {
      const socket = createSocket('udp4');
      let isFinished = false;
      const finish = (answer: Uint8Array | undefined) => {
        if (isFinished) return;
        isFinished = true;
        cancel();
        socket.close();
        resolve(answer);
      };
      const cancel = this.#options.clock.after(forwardTimeoutMs, () => finish(undefined));
      socket.on('error', () => finish(undefined));
      // Connected: only the server that was asked can answer.
      socket.connect(53, upstream, () => {
        socket.on('message', (answer) => {
          if (answer.length >= 12 && answer[0] === query[0] && answer[1] === query[1]) finish(answer);
        });
        socket.send(query);
      });
    });
  }
}
