/**
 * Ports and socket files that are listened on, and what comes in on them made ready: TLS where the URL says so, with the
 * certificates as they are on disk at that moment and with the rules for who may come in; plain text elsewhere. Who talks
 * TLS to a plain port, plain text to a secure one, shows no good certificate or does not finish its handshake in time is
 * dropped with one line in the log. What comes out of `onConnection` is a socket whose first byte has not been read.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket } from 'node:tls';
import { assert, present } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import type { Disk } from '../../env/disk.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import { addressText, groupByAddress, type ListenAddress, type ListenGroup, parseListenUrl } from './listen-urls.ts';
import { handshakeReason } from './handshake-reason.ts';
import { handshakeTimeoutMs, type ServerTls } from './server-tls.ts';
import { isLeftSocket } from './socket-file.ts';

/** The first byte of a TLS connection: a record of its handshake. */
const tlsHandshakeByte = 0x16;
/** Connections whose first bytes or handshake are awaited. More than that is an attack or a storm: the newest go. */
const pendingMax = 16_384;
/** Plain text needs no handshake: who keeps a connection in reserve is given as long as gRPC gives. */
const plainPatienceMs = 120_000;

export interface ListenerOptions {
  readonly clock: Pick<Clock, 'after'>;
  readonly log: Log;
  /** Who comes here, for the log. */
  readonly endpoint: 'client' | 'peer';
  /** `http(s)://host:port` or `unix(s)://path`; port 0 takes a free one. */
  readonly urls: readonly string[];
  readonly tls?: ServerTls;
  /** Other processes may listen on the same ports, and the system spreads the connections. */
  readonly reusePort?: boolean;
  /** Removes socket files that a process left behind; without it they are an error. */
  readonly disk?: Pick<Disk, 'readFile' | 'remove'>;
  readonly onConnection: (socket: Socket | TLSSocket, about: { readonly isSecure: boolean }) => void;
}

export interface Listener {
  /** As asked for, with the ports that were taken. */
  readonly urls: readonly string[];
  /** Takes no more connections and drops those that are not ready; those handed out are their owner's. */
  close(): Promise<void>;
}

/** Listens on all URLs or on none. Rejects with LISTEN, or BAD_FLAGS when a URL is wrong or lacks its certificate. */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const gates: Gate[] = [];
  const urls: string[] = [];
  try {
    for (const group of groupByAddress(options.urls.map(parseListenUrl))) {
      const gate = new Gate(options, group);
      gates.push(gate);
      urls.push(...(await gate.open()));
    }
  } catch (error) {
    await Promise.all(gates.map((gate) => gate.close()));
    throw error;
  }
  return {
    urls,
    close: async () => {
      await Promise.all(gates.map((gate) => gate.close()));
    },
  };
}

/** One port or socket file. */
class Gate {
  readonly #options: ListenerOptions;
  readonly #group: ListenGroup;
  readonly #server: Server;
  readonly #secure: TlsServer | undefined;
  readonly #pending = new Set<Socket>();
  /** Pending ones whose handshake runs, by their address: a TLS socket does not tell which socket it is made of. */
  readonly #handshakes = new Map<string, () => void>();
  readonly #cancelReload: () => void = () => undefined;
  #isClosed = false;

  constructor(options: ListenerOptions, group: ListenGroup) {
    this.#options = options;
    this.#group = group;
    // Both sides may close their half: HTTP/2 and long answers end on their own terms.
    this.#server = createServer({ noDelay: true, keepAlive: true }, (socket) => this.#arrived(socket));
    if (!group.isSecureTaken) return;
    if (!options.tls) {
      throw new KeelsonError(
        'BAD_FLAGS',
        `listen on ${(group.urls[0] as { url: string }).url}: TLS needs a certificate and its key`,
      );
    }
    const { tls } = options;
    // Never listens itself: it is given sockets.
    const secure = createTlsServer(tls.options());
    secure.on('secureConnection', (socket) => void this.#secured(socket));
    secure.on('tlsClientError', (error, socket) => this.#reject(socket, handshakeReason(error)));
    this.#cancelReload = tls.onReload(() => secure.setSecureContext(tls.options()));
    this.#secure = secure;
  }

  /** Resolves with the URLs as they are now. */
  async open(): Promise<readonly string[]> {
    const { address, urls } = this.#group;
    const first = present(urls[0], 'a URL');
    try {
      await this.#listen(address);
    } catch (error) {
      const text = `listen on ${first.url} for ${this.#options.endpoint}s: ${errorText(error)}: free the address or choose another one`;
      throw new KeelsonError('LISTEN', text, { cause: error });
    }
    if (address.kind === 'unix') return urls.map(({ url }) => url);
    const bound = present(this.#server.address(), 'address of a listening server');
    assert(typeof bound !== 'string', 'a port has a number');
    return urls.map(({ url }) => url.replace(/(^https?:\/\/(?:\[[^\]]+\]|[^:/]*))(?::\d+)?\/?$/, `$1:${bound.port}`));
  }

  async #listen(address: ListenAddress): Promise<void> {
    if (address.kind === 'tcp') {
      const reusePort = this.#options.reusePort ?? false;
      // As etcd: with both kinds of addresses the resolver may name the other one first.
      const host = address.host === 'localhost' ? '127.0.0.1' : address.host;
      return this.#bind({ host, port: address.port, ...(reusePort ? { reusePort } : {}) });
    }
    try {
      await this.#bind({ path: address.path });
    } catch (error) {
      const { disk } = this.#options;
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || !disk) throw error;
      if (!(await isLeftSocket(disk, address.path))) throw error;
      await disk.remove(address.path);
      await this.#bind({ path: address.path });
    }
  }

  #bind(where: { readonly path: string } | { readonly host: string; readonly port: number }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ ...where, exclusive: true }, () => {
        this.#server.off('error', reject);
        // Out of file descriptors: the connection is gone, the port stays.
        this.#server.on('error', (error) =>
          this.#options.log.warn('a connection could not be taken', { error: errorText(error) }),
        );
        resolve();
      });
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelReload();
    for (const socket of this.#pending) socket.destroy();
    if (this.#server.listening) this.#server.close();
  }

  /** Looks at the first byte, which tells TLS from plain text, and puts it back. */
  #arrived(socket: Socket): void {
    if (this.#isClosed || this.#pending.size >= pendingMax) {
      socket.destroy();
      return;
    }
    this.#pending.add(socket);
    const cancel = this.#options.clock.after(this.#secure ? handshakeTimeoutMs : plainPatienceMs, () => {
      if (!this.#pending.has(socket)) return;
      if (this.#secure) this.#reject(socket, 'the TLS handshake took too long');
      else socket.destroy();
    });
    const done = () => {
      cancel();
      this.#pending.delete(socket);
    };
    socket.once('close', done);
    socket.on('error', ignore);
    socket.once('readable', () => {
      const first: Buffer | null = socket.read();
      // The end without a byte: somebody looked whether the port is open.
      if (first === null) {
        socket.destroy();
        return;
      }
      socket.unshift(first);
      const isTls = first[0] === tlsHandshakeByte;
      if (isTls && this.#secure) {
        void this.#handshake(this.#secure, socket, done);
        return;
      }
      if (isTls) {
        this.#reject(socket, 'a TLS handshake arrived at an endpoint that is not secure');
        return;
      }
      if (!this.#group.isPlainTaken) {
        this.#reject(socket, 'tls: first record does not look like a TLS handshake');
        return;
      }
      done();
      socket.off('close', done);
      socket.off('error', ignore);
      this.#options.onConnection(socket, { isSecure: false });
    });
  }

  async #handshake(secure: TlsServer, socket: Socket, done: () => void): Promise<void> {
    await present(this.#options.tls, 'a certificate').fresh();
    if (this.#isClosed || socket.destroyed) {
      socket.destroy();
      return;
    }
    const address = remoteOf(socket);
    // On a socket file there are no addresses to tell connections apart; the TLS server's own limit of time holds there.
    if (address === '') done();
    else {
      this.#handshakes.set(address, done);
      socket.once('close', () => {
        if (this.#handshakes.get(address) === done) this.#handshakes.delete(address);
      });
    }
    secure.emit('connection', socket);
  }

  async #secured(socket: TLSSocket): Promise<void> {
    socket.on('error', ignore);
    const reason = await present(this.#options.tls, 'a certificate').accept(socket);
    if (reason !== undefined) {
      this.#reject(socket, reason);
      return;
    }
    if (this.#isClosed || socket.destroyed) {
      socket.destroy();
      return;
    }
    socket.off('error', ignore);
    const address = remoteOf(socket);
    this.#handshakes.get(address)?.();
    this.#handshakes.delete(address);
    this.#options.onConnection(socket, { isSecure: true });
  }

  #reject(socket: Socket | TLSSocket, error: string): void {
    if (!this.#isClosed) {
      this.#options.log.warn(`rejected connection on ${this.#options.endpoint} endpoint`, {
        'remote-addr': remoteOf(socket),
        'server-name': 'servername' in socket && typeof socket.servername === 'string' ? socket.servername : '',
        error,
      });
    }
    socket.destroy();
  }
}

function ignore(): void {
  // The socket's close tells it all.
}

function remoteOf(socket: Socket): string {
  return socket.remoteAddress === undefined
    ? ''
    : addressText({ kind: 'tcp', host: socket.remoteAddress, port: socket.remotePort ?? 0 });
}
