/**
 * Messages between members over gRPC on HTTP/2 frames of our own (src/rpc/h2): one long-lived stream per direction, snapshots
 * in streams of their own (proto/raft.proto). Both ends show certificates of the same authority when TLS is configured, and
 * who belongs to another cluster or looks for another member is refused with a reason that both sides log.
 *
 * The caller owes `listen` before others can reach this member, `start` before anything is received (the host does it),
 * and `setPeers` whenever addresses change; messages to a member without an address are dropped.
 */
import type { Socket } from 'node:net';
import { assert } from '../../env/assert.ts';
import type { Env } from '../../env/env.ts';
import { KeelsonError } from '../../env/errors.ts';
import { Flusher } from '../../rpc/h2/flusher.ts';
import { createH2Acceptor, type H2Acceptor } from '../../rpc/h2/index.ts';
import { Timers } from '../../rpc/h2/timers.ts';
import type { Message, ReplicaId } from '../core/types.ts';
import type { PeerIdentities, PeerTransport, RefusedAs, TransportHandlers } from './contract.ts';
import { PeerLink } from './grpc-peer-link.ts';
import { peerLimits, type PeerTls } from './grpc-wire.ts';
import { BatchEncoder } from './message-wire.ts';
import { PeerDoor } from './peer-door.ts';
import { listenForPeers, type PeerListener } from './grpc-listener.ts';
import { PeerMethods } from './peer-methods.ts';
import type { PeerTraffic } from './peer-traffic.ts';
import { methodsOfService, type PlainService } from './grpc-services.ts';

export type { PeerTls } from './grpc-wire.ts';
export type { PeerListener } from './grpc-listener.ts';

export interface GrpcPeerTransportOptions {
  readonly env: Pick<Env, 'clock' | 'log' | 'random'>;
  /** 16 hex digits. */
  readonly clusterId: string;
  readonly selfId: ReplicaId;
  /** What the others know this member by. Absent: nobody checks. */
  readonly key?: string;
  /** Absent: plain text, for tests and loopback. A function is asked for each connection that goes out. */
  readonly tls?: PeerTls | (() => PeerTls | undefined);
  /** What `listen` without an argument binds: `host:port` each; port 0 lets the system choose. */
  readonly listenAddresses?: readonly string[];
  /** Listens instead of this one, and hands over connections that have their encryption behind them. */
  readonly listener?: (onConnection: (socket: Socket) => void) => Promise<PeerListener>;
  /** Counts what goes out and comes in. */
  readonly traffic?: PeerTraffic;
  /** More services on the same port and behind the same TLS: what members ask each other beside Raft. */
  readonly services?: readonly PlainService[];
}

export class GrpcPeerTransport implements PeerTransport {
  readonly #options: GrpcPeerTransportOptions;
  readonly #links = new Map<ReplicaId, PeerLink>();
  readonly #timers: Timers;
  /** One write for what a turn has to say, to each member and in answer to each. */
  readonly #flusher = new Flusher();
  readonly #encoder = new BatchEncoder();
  readonly #door: PeerDoor;
  readonly #incoming: PeerMethods;
  readonly #acceptor: H2Acceptor;
  #listener: PeerListener | undefined;
  #handlers: TransportHandlers | undefined;
  #isClosed = false;

  constructor(options: GrpcPeerTransportOptions) {
    assert(/^[0-9a-f]{16}$/.test(options.clusterId), 'a cluster id is 16 hex digits');
    assert(options.selfId > 0, 'a member has an id');
    const { clusterId, env, key, selfId, services = [], traffic } = options;
    this.#options = options;
    this.#timers = new Timers(env.clock);
    this.#door = new PeerDoor({
      clusterId,
      selfId,
      ...(key === undefined ? {} : { key }),
      mistaken: (by) => this.#handlers?.refused?.(by, 'otherKey'),
      refused: (who) => env.log.warn('refused a peer', who),
    });
    this.#incoming = new PeerMethods({
      env,
      selfId,
      door: this.#door,
      ...(traffic ? { traffic } : {}),
      came: (peer) => this.#links.get(peer)?.hurry(),
      handlers: () => (this.#isClosed ? undefined : this.#handlers),
    });
    this.#acceptor = createH2Acceptor({
      clock: env.clock,
      log: env.log,
      endpoint: 'peer',
      flusher: this.#flusher,
      methods: [...this.#incoming.methods, ...services.flatMap(methodsOfService)],
      messageBytesMax: peerLimits.frameBytesMax,
      concurrentStreamsMax: peerLimits.concurrentCallsMax,
      keepaliveIntervalMs: peerLimits.keepaliveIntervalMs,
      keepaliveTimeoutMs: peerLimits.keepaliveTimeoutMs,
    });
  }

  /** Binds `address`, or all `listenAddresses`. Resolves with what was bound, as `host:port`. */
  async listen(address?: string): Promise<readonly string[]> {
    const { listener, listenAddresses = [], tls } = this.#options;
    const accept = (socket: Socket) => this.#acceptor.accept(socket);
    if (listener) this.#listener = await listener(accept);
    else {
      const addresses = address === undefined ? listenAddresses : [address];
      assert(addresses.length > 0, 'there is an address to listen on');
      assert(typeof tls !== 'function', 'certificates that change come with a listener of their own');
      this.#listener = await listenForPeers(addresses, tls, accept);
    }
    return this.#listener.addresses;
  }

  start(handlers: TransportHandlers): void {
    assert(this.#handlers === undefined, 'a transport is started once');
    this.#handlers = {
      ...handlers,
      message: (message) => {
        const link = this.#links.get(message.from);
        link?.heard();
        if (message.type === 'prop') link?.proposed();
        handlers.message(message);
      },
    };
  }

  send(messages: readonly Message[]): void {
    for (const message of messages) {
      assert(message.from === this.#options.selfId, 'a member sends for itself');
      assert(message.type !== 'snap', 'snapshots are streamed');
      this.#links.get(message.to)?.push(message);
    }
    for (const link of this.#links.values()) link.flush();
  }

  flush(): void {
    for (const link of this.#links.values()) link.writeNow();
  }

  sendSnapshot(message: Message & { type: 'snap' }, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const link = this.#links.get(message.to);
    if (link) return link.sendSnapshot(message, chunks);
    const text = `send snapshot: the address of member ${message.to} is not known`;
    return Promise.reject(new KeelsonError('UNREACHABLE', text));
  }

  setPeers(peers: ReadonlyMap<ReplicaId, readonly string[]>): void {
    if (this.#isClosed) return;
    for (const [id, link] of this.#links) {
      if ((peers.get(id)?.length ?? 0) > 0) continue;
      link.close();
      this.#links.delete(id);
    }
    for (const [id, urls] of peers) {
      if (id === this.#options.selfId || urls.length === 0) continue;
      const known = this.#links.get(id);
      if (known) known.setUrls(urls);
      else this.#addLink(id, urls);
    }
  }

  #addLink(id: ReplicaId, urls: readonly string[]): void {
    const { env, clusterId, selfId, key, tls, traffic } = this.#options;
    const link = new PeerLink(
      {
        env,
        timers: this.#timers,
        flusher: this.#flusher,
        encoder: this.#encoder,
        header: { clusterId, from: selfId, to: id },
        tls: typeof tls === 'function' ? tls : () => tls,
        keys: () => ({ from: key, to: this.#door.keyOf(id) }),
        ...(traffic ? { traffic } : {}),
        unreachable: (peer: ReplicaId) => this.#handlers?.unreachable(peer),
        refused: (peer: ReplicaId, as: RefusedAs) => this.#handlers?.refused?.(peer, as),
      },
      urls,
    );
    this.#links.set(id, link);
    link.open();
  }

  setIdentities(identities: PeerIdentities): void {
    this.#door.setIdentities(identities);
    this.#incoming.checkIdentities();
  }

  connectedSinceMs(peer: ReplicaId): number | undefined {
    return this.#links.get(peer)?.openSinceMs;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    const listening = this.#listener?.close();
    await this.#acceptor.close(0);
    await listening;
    this.#timers.close();
  }
}
