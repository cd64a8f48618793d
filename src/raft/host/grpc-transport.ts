/**
 * Messages between members over gRPC: one long-lived stream per direction, snapshots in streams of their own
 * (proto/raft.proto). Both ends show certificates of the same authority when TLS is configured, and who belongs to another
 * cluster or looks for another member is refused with a reason that both sides log.
 *
 * The caller owes `listen` before others can reach this member, `start` before anything is received (the host does it),
 * and `setPeers` whenever addresses change; messages to a member without an address are dropped.
 */
import type { Socket } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { assert } from '../../env/assert.ts';
import type { Env } from '../../env/env.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import { numberFromInt64 } from '../../proto/int64.ts';
import type { Message, ReplicaId } from '../core/types.ts';
import type { PeerIdentities, PeerTransport, RefusedAs, TransportHandlers } from './contract.ts';
import { fromProto, type ProtoMessageBatch, type ProtoSnapshotPart } from './message-codec.ts';
import { PeerLink } from './grpc-peer-link.ts';
import type { PeerTraffic } from './peer-traffic.ts';
import { callKeysOf, encodeRefusal, encodeStagedBytes, refusalTexts } from './grpc-words.ts';
import { acceptHeader, peerLimits, serverOptions, peerService, type PeerTls, serverCredentials } from './grpc-wire.ts';

export type { PeerTls } from './grpc-wire.ts';

/** More ids than members a cluster ever has; whoever makes up more is not remembered. */
const keysSeenMax = 4096;

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
  readonly services?: readonly (readonly [grpc.ServiceDefinition, grpc.UntypedServiceImplementation])[];
}

export interface PeerListener {
  /** What was bound. */
  readonly addresses: readonly string[];
  close(): Promise<void>;
}

type BatchCall = grpc.ServerReadableStream<ProtoMessageBatch, object>;
type PartCall = grpc.ServerReadableStream<ProtoSnapshotPart, object>;
type Answer = grpc.sendUnaryData<object>;
type EndReason = Parameters<Answer>[0];

interface IncomingStream {
  readonly call: BatchCall;
  /** Null: the caller was done. Only the first time counts. */
  end(reason: EndReason): void;
}

function refusalOfCall(from: ReplicaId, as: RefusedAs): EndReason {
  const details = `member ${from}: ${refusalTexts[as]}`;
  return { code: grpc.status.FAILED_PRECONDITION, details, metadata: encodeRefusal(as) };
}

export class GrpcPeerTransport implements PeerTransport {
  readonly #options: GrpcPeerTransportOptions;
  readonly #server: grpc.Server;
  readonly #links = new Map<ReplicaId, PeerLink>();
  /** The newest stream of each sender; an older one is ended, so that a half-dead connection cannot linger. */
  readonly #incoming = new Map<ReplicaId, IncomingStream>();
  #listener: PeerListener | undefined;
  readonly #sockets = new Set<Socket>();
  #handlers: TransportHandlers | undefined;
  #isClosed = false;
  #identities: PeerIdentities = { keys: new Map(), removed: new Set() };
  /** The first key that each id came with, until the member table says: nobody changes it while this process runs. */
  readonly #keysSeen = new Map<ReplicaId, string>();

  constructor(options: GrpcPeerTransportOptions) {
    assert(/^[0-9a-f]{16}$/.test(options.clusterId), 'a cluster id is 16 hex digits');
    assert(options.selfId > 0, 'a member has an id');
    this.#options = options;
    this.#server = new grpc.Server(serverOptions);
    this.#server.addService(peerService, {
      Stream: (call: BatchCall, answer: Answer) => this.#onStream(call, answer),
      InstallSnapshot: (call: PartCall, answer: Answer) => void this.#onSnapshot(call, answer),
    });
    for (const [definition, implementation] of options.services ?? [])
      this.#server.addService(definition, implementation);
  }

  /** Binds `address`, or all `listenAddresses`. Resolves with what was bound, as `host:port`. */
  async listen(address?: string): Promise<readonly string[]> {
    if (this.#options.listener) {
      const injector = this.#server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
      this.#listener = await this.#options.listener((socket) => {
        this.#sockets.add(socket);
        socket.once('close', () => this.#sockets.delete(socket));
        injector.injectConnection(socket);
      });
      return this.#listener.addresses;
    }
    const addresses = address === undefined ? (this.#options.listenAddresses ?? []) : [address];
    assert(addresses.length > 0, 'there is an address to listen on');
    const bound: string[] = [];
    for (const wanted of addresses) {
      const port = await this.#bind(wanted);
      bound.push(`${wanted.slice(0, wanted.lastIndexOf(':'))}:${port}`);
    }
    return bound;
  }

  #bind(address: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const { tls } = this.#options;
      assert(typeof tls !== 'function', 'certificates that change come with a listener of their own');
      this.#server.bindAsync(address, serverCredentials(tls), (error, port) => {
        if (!error) return resolve(port);
        const text = `listen for peers on ${address}: ${error.message}: free the address or choose another one`;
        reject(new KeelsonError('LISTEN_FAILED', text, { cause: error }));
      });
    });
  }

  start(handlers: TransportHandlers): void {
    assert(this.#handlers === undefined, 'a transport is started once');
    this.#handlers = handlers;
  }

  send(messages: readonly Message[]): void {
    for (const message of messages) {
      assert(message.from === this.#options.selfId, 'a member sends for itself');
      assert(message.type !== 'snap', 'snapshots are streamed');
      this.#links.get(message.to)?.send(message);
    }
  }

  sendSnapshot(message: Message & { type: 'snap' }, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const link = this.#links.get(message.to);
    if (link) return link.sendSnapshot(message, chunks);
    const text = `send snapshot: the address of member ${message.to} is not known`;
    return Promise.reject(new KeelsonError('UNREACHABLE', text));
  }

  setPeers(peers: ReadonlyMap<ReplicaId, readonly string[]>): void {
    if (this.#isClosed) return;
    const { env, clusterId, selfId, key } = this.#options;
    const { tls: given } = this.#options;
    const tls = typeof given === 'function' ? given : () => given;
    for (const [id, link] of this.#links) {
      if ((peers.get(id)?.length ?? 0) > 0) continue;
      link.close();
      this.#links.delete(id);
    }
    for (const [id, urls] of peers) {
      if (id === selfId || urls.length === 0) continue;
      const known = this.#links.get(id);
      if (known) {
        known.setUrls(urls);
        continue;
      }
      const header = { clusterId, from: selfId, to: id };
      const unreachable = (peer: ReplicaId) => this.#handlers?.unreachable(peer);
      const keys = () => ({ from: key, to: this.#keyOf(id) });
      const refused = (peer: ReplicaId, as: RefusedAs) => this.#handlers?.refused?.(peer, as);
      const { traffic } = this.#options;
      const counted = traffic ? { traffic } : {};
      const link = new PeerLink({ env, header, tls, keys, unreachable, refused, ...counted }, urls);
      this.#links.set(id, link);
      link.open();
    }
  }

  setIdentities(identities: PeerIdentities): void {
    this.#identities = identities;
    for (const [from, { call, end }] of this.#incoming) {
      const refusedAs = this.#refusalOf(from, call);
      if (refusedAs !== undefined) end(refusalOfCall(from, refusedAs));
    }
  }

  #keyOf(peer: ReplicaId): string | undefined {
    return this.#identities.keys.get(peer) ?? this.#keysSeen.get(peer);
  }

  /** Why this id may not speak with this key; undefined when it may. */
  #refusalOf(from: ReplicaId, call: BatchCall | PartCall): RefusedAs | undefined {
    if (this.#identities.removed.has(from)) return 'removed';
    const { from: key } = callKeysOf(call.metadata);
    // A member that tells no key is of a version that has none: its id is all there is to go by, unless it has told one.
    if (key === undefined) return this.#identities.keys.has(from) ? 'otherKey' : undefined;
    const known = this.#keyOf(from);
    if (known !== undefined && known !== key) return 'otherKey';
    if (this.#keysSeen.has(from) || this.#keysSeen.size < keysSeenMax) this.#keysSeen.set(from, key);
    return undefined;
  }

  connectedSinceMs(peer: ReplicaId): number | undefined {
    return this.#links.get(peer)?.openSinceMs;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    const listening = this.#listener?.close();
    this.#server.forceShutdown();
    for (const socket of this.#sockets) socket.destroy();
    await listening;
  }

  /** The sender's id; undefined when the call was refused and answered. */
  #accept(call: BatchCall | PartCall, answer: Answer): ReplicaId | undefined {
    const { clusterId, selfId, env } = this.#options;
    call.on('error', () => undefined);
    const accepted = acceptHeader(call.metadata, { clusterId, id: selfId });
    if ('reason' in accepted) {
      const { reason, ...who } = accepted;
      env.log.warn('refused a peer', { ...who, address: call.getPeer(), reason });
      answer({ code: grpc.status.FAILED_PRECONDITION, details: reason });
      return undefined;
    }
    // The caller looks for another data directory: nothing it says is meant for this one, which was wiped.
    const { to } = callKeysOf(call.metadata);
    if (to !== undefined && this.#options.key !== undefined && to !== this.#options.key) {
      answer({ code: grpc.status.FAILED_PRECONDITION, details: `member ${selfId} has another data directory now` });
      this.#handlers?.refused?.(accepted.from, 'otherKey');
      return undefined;
    }
    const refusedAs = this.#refusalOf(accepted.from, call);
    if (refusedAs !== undefined) {
      const reason = refusalTexts[refusedAs];
      env.log.warn('refused a peer', { from: accepted.from, address: call.getPeer(), reason });
      answer(refusalOfCall(accepted.from, refusedAs));
      return undefined;
    }
    if (this.#isClosed || !this.#handlers) {
      answer({ code: grpc.status.UNAVAILABLE, details: `member ${selfId} is not running` });
      return undefined;
    }
    return accepted.from;
  }

  #onStream(call: BatchCall, answer: Answer): void {
    const from = this.#accept(call, answer);
    if (from === undefined) return;
    const stream: IncomingStream = {
      call,
      // The caller must hear of it, or it would go on speaking to nobody.
      end: (reason) => {
        forget();
        answer(reason, {});
        call.destroy();
      },
    };
    const forget = () => {
      if (this.#incoming.get(from) === stream) this.#incoming.delete(from);
    };
    const over = () => {
      if (this.#incoming.get(from) !== stream) return;
      forget();
      // A stream that breaks looks like one that ends; either way nothing comes until the peer has connected again.
      if (!this.#isClosed) this.#handlers?.ended?.(from);
    };
    this.#incoming.get(from)?.end({ code: grpc.status.ABORTED, details: `member ${from} has a newer stream` });
    this.#incoming.set(from, stream);
    call.sendMetadata(new grpc.Metadata());
    call.on('data', (batch: ProtoMessageBatch) => {
      try {
        for (const message of batch.messages ?? []) this.#deliver(fromProto(message), from);
      } catch (error) {
        if (!(error instanceof KeelsonError)) throw error;
        this.#options.env.log.error('ended a peer stream', { peer: from, error: error.message });
        stream.end({ code: grpc.status.INVALID_ARGUMENT, details: error.message });
      }
    });
    call.on('end', () => {
      over();
      stream.end(null);
    });
    call.on('cancelled', over);
    call.on('close', over);
  }

  #deliver(message: Message, from: ReplicaId): void {
    if (message.from !== from || message.to !== this.#options.selfId) {
      const text = `member ${from} sent a message from ${message.from} to ${message.to}`;
      throw new KeelsonError('BAD_PEER_MESSAGE', text);
    }
    if (message.type === 'snap') {
      throw new KeelsonError('BAD_PEER_MESSAGE', `member ${from} sent a snapshot without its content`);
    }
    this.#options.traffic?.received(message);
    this.#handlers?.message(message);
  }

  /** A stream that stands still would keep every other snapshot out. */
  #unlessStalled(parts: AsyncIterator<ProtoSnapshotPart>): AsyncIterator<ProtoSnapshotPart> {
    const { clock } = this.#options.env;
    const next = () =>
      new Promise<IteratorResult<ProtoSnapshotPart>>((resolve, reject) => {
        const { snapshotStallMs } = peerLimits;
        const text = `receive snapshot: nothing came for ${snapshotStallMs} ms`;
        const cancel = clock.after(snapshotStallMs, () => reject(new KeelsonError('SNAPSHOT_CUT_SHORT', text)));
        parts.next().then(resolve, reject).finally(cancel);
      });
    return { next };
  }

  async #onSnapshot(call: PartCall, answer: Answer): Promise<void> {
    const from = this.#accept(call, answer);
    if (from === undefined) return;
    call.on('cancelled', () => call.destroy(new Error('the sender gave up')));
    try {
      const parts = this.#unlessStalled(call[Symbol.asyncIterator]());
      const first = await parts.next();
      const message = first.done === true || !first.value.message ? undefined : fromProto(first.value.message);
      if (message?.type !== 'snap' || message.from !== from || message.to !== this.#options.selfId) {
        throw new KeelsonError('BAD_PEER_MESSAGE', 'a snapshot stream begins with its own snap message');
      }
      // From here on the sender knows where to begin.
      const stagedBytes = this.#handlers?.snapshotStaged?.(message) ?? 0;
      call.sendMetadata(encodeStagedBytes(stagedBytes));
      await this.#handlers?.snapshot(message, contentOf(parts, stagedBytes));
      answer(null, {});
    } catch (error) {
      this.#options.env.log.warn('receiving a raft snapshot failed', { peer: from, error: errorText(error) });
      answer({ code: grpc.status.ABORTED, details: errorText(error) });
    }
  }
}

/** The chunks; throws when the stream ends before its last part, so that half a snapshot is never taken for whole. */
async function* contentOf(parts: AsyncIterator<ProtoSnapshotPart>, stagedBytes: number): AsyncGenerator<Uint8Array> {
  let bytes = stagedBytes;
  for (;;) {
    const next = await parts.next();
    if (next.done === true) throw new KeelsonError('SNAPSHOT_CUT_SHORT', `the stream ended after ${bytes} bytes`);
    const { chunk, isLast, totalBytes } = next.value;
    if (isLast === true) {
      const wanted = numberFromInt64(totalBytes);
      if (wanted === bytes) return;
      throw new KeelsonError('SNAPSHOT_CUT_SHORT', `${bytes} bytes arrived of ${wanted}`);
    }
    if (chunk && chunk.length > 0) {
      bytes += chunk.length;
      yield chunk;
    }
  }
}
