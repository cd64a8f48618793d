/**
 * The sending half of a peer connection: one long-lived stream of message batches, made again with back-off when it
 * breaks, and snapshot streams beside it.
 *
 *   closed ──send──▶ connecting ──accepted──▶ open ──error──▶ waiting (back-off) ──▶ connecting …
 *
 * Messages queue while connecting and open, up to the limits; while waiting they are dropped and the peer is reported
 * unreachable. Raft repeats what matters.
 */
import * as grpc from '@grpc/grpc-js';
import { assert, present } from '../../env/assert.ts';
import type { Cancel } from '../../env/clock.ts';
import type { Env } from '../../env/env.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { Message, ReplicaId } from '../core/types.ts';
import { messageBytes, type ProtoMessageBatch, type ProtoSnapshotPart, toProto } from './message-codec.ts';
import { addressOf, clientSecurity, encodeHeader, PeerClient } from './grpc-wire.ts';
import type { RefusedAs } from './contract.ts';
import type { PeerTraffic } from './peer-traffic.ts';
import { type PeerHeader, peerLimits, type PeerTls } from './grpc-wire.ts';
import { type CallKeys, refusalOf, stagedBytesOf, withCallKeys } from './grpc-words.ts';

export interface PeerLinkOptions {
  readonly env: Pick<Env, 'clock' | 'log' | 'random'>;
  readonly header: PeerHeader;
  /** Asked for each connection, as certificates change. */
  readonly tls: () => PeerTls | undefined;
  /** What the peer knows this member by, and this one the peer, as of now. */
  readonly keys: () => CallKeys;
  readonly traffic?: PeerTraffic;
  readonly unreachable: (peer: ReplicaId) => void;
  readonly refused: (peer: ReplicaId, as: RefusedAs) => void;
}

type BatchStream = grpc.ClientWritableStream<ProtoMessageBatch>;
type PartStream = grpc.ClientWritableStream<ProtoSnapshotPart>;
type EndCallback = (error: grpc.ServiceError | null) => void;

export class PeerLink {
  readonly #options: PeerLinkOptions;
  #urls: readonly string[];
  #urlPosition = 0;
  #state: 'closed' | 'connecting' | 'open' | 'waiting' = 'closed';
  #client: grpc.Client | undefined;
  #stream: BatchStream | undefined;
  #queue: Message[] = [];
  #queueBytes = 0;
  #isFlushDue = false;
  #isBlocked = false;
  #backoffMs: number = peerLimits.backoffFirstMs;
  #cancelTimer: Cancel = () => undefined;
  #isEnded = false;
  #openSinceMs: number | undefined;
  readonly #snapshots = new Set<PartStream>();

  constructor(options: PeerLinkOptions, urls: readonly string[]) {
    assert(urls.length > 0, 'a peer has an address');
    this.#options = options;
    this.#urls = urls;
  }

  /** Monotonic time at which the present connection was accepted; undefined without one. */
  get openSinceMs(): number | undefined {
    return this.#openSinceMs;
  }

  /** Connects before there is anything to say, so that it is known who can be reached. */
  open(): void {
    if (this.#state === 'closed' && !this.#isEnded) this.#connect();
  }

  /** Where the peer is now. A connection to an address that is no longer one of its own is given up. */
  setUrls(urls: readonly string[]): void {
    assert(urls.length > 0, 'a peer has an address');
    const current = this.#urls[this.#urlPosition % this.#urls.length];
    this.#urls = urls;
    const position = urls.indexOf(current ?? '');
    this.#urlPosition = Math.max(position, 0);
    if (position < 0 && this.#state !== 'closed') this.#reset(peerLimits.backoffFirstMs);
  }

  send(message: Message): void {
    if (this.#isEnded) return;
    if (this.#state === 'closed') this.#connect();
    const bytes = messageBytes(message);
    if (bytes > peerLimits.frameBytesMax) {
      this.#log('error', 'dropped a raft message that is larger than a frame', { type: message.type, bytes });
      return;
    }
    const isFull =
      this.#queue.length >= peerLimits.queueMessagesMax || this.#queueBytes + bytes > peerLimits.queueBytesMax;
    if (this.#state === 'waiting' || isFull) {
      this.#options.traffic?.notSent(message);
      this.#options.unreachable(this.#options.header.to);
      return;
    }
    this.#queue.push(message);
    this.#queueBytes += bytes;
    if (this.#isFlushDue) return;
    // Everything that is said in one turn travels together.
    this.#isFlushDue = true;
    queueMicrotask(() => {
      this.#isFlushDue = false;
      this.#flush();
    });
  }

  /** Streams a snapshot; resolves when the peer has stored and stepped it. */
  async sendSnapshot(message: Message & { type: 'snap' }, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.#isEnded) throw new KeelsonError('STOPPED', 'send snapshot: the transport is closed');
    if (this.#state === 'closed') this.#connect();
    const client = this.#client;
    if (!client) throw new KeelsonError('UNREACHABLE', `send snapshot: member ${message.to} cannot be reached now`);
    const { clock } = this.#options.env;
    let settle: EndCallback = () => undefined;
    const answered = new Promise<void>((resolve, reject) => {
      settle = (error) => (error ? reject(error) : resolve());
    });
    const stream = start<PartStream>(client, 'installSnapshot', this.#options, (error) => settle(error));
    this.#snapshots.add(stream);
    let cancelStall: Cancel = () => undefined;
    const moved = () => {
      cancelStall();
      cancelStall = clock.after(peerLimits.snapshotStallMs, () => stream.cancel());
    };
    // An error ends `answered`; without a listener it would end the process.
    stream.on('error', () => undefined);
    answered.catch(() => undefined);
    try {
      moved();
      const write = async (part: ProtoSnapshotPart) => {
        if (!stream.write(part)) await Promise.race([once(stream, 'drain'), answered]);
        moved();
      };
      const accepted = acceptedAfter(stream, answered);
      await write({ message: toProto(message) });
      const stagedBytes = await accepted;
      if (stagedBytes > 0) this.#log('info', 'a raft snapshot goes on where it broke off', { stagedBytes });
      let totalBytes = 0;
      for await (const chunk of chunks) {
        // What the peer has is read here all the same: it is verified, and cheap beside the network.
        let from = Math.min(Math.max(stagedBytes - totalBytes, 0), chunk.length);
        for (; from < chunk.length; from += peerLimits.snapshotChunkBytesMax) {
          await write({ chunk: chunk.subarray(from, from + peerLimits.snapshotChunkBytesMax) });
        }
        totalBytes += chunk.length;
      }
      await write({ isLast: true, totalBytes });
      stream.end();
      await answered;
    } catch (error) {
      stream.cancel();
      throw new KeelsonError('SNAPSHOT_NOT_DELIVERED', `send snapshot to member ${message.to}: ${errorText(error)}`, {
        cause: error,
      });
    } finally {
      cancelStall();
      this.#snapshots.delete(stream);
    }
  }

  close(): void {
    this.#isEnded = true;
    this.#openSinceMs = undefined;
    this.#cancelTimer();
    this.#drop();
    for (const snapshot of this.#snapshots) snapshot.cancel();
    this.#state = 'closed';
  }

  #connect(): void {
    assert(!this.#client && !this.#isEnded, 'a link has one connection');
    const { tls, env } = this.#options;
    this.#state = 'connecting';
    this.#isBlocked = false;
    const url = present(this.#urls[this.#urlPosition % this.#urls.length], 'an address');
    const { credentials, options } = clientSecurity(url, tls());
    const client = new PeerClient(addressOf(url), credentials, options);
    const stream = start<BatchStream>(client, 'stream', this.#options, (error) => {
      if (this.#stream === stream) this.#broken(error);
    });
    this.#client = client;
    this.#stream = stream;
    stream.on('error', () => undefined);
    // The peer answers with its metadata once it has accepted us.
    stream.on('metadata', () => {
      if (this.#stream !== stream) return;
      this.#cancelTimer();
      this.#state = 'open';
      this.#options.traffic?.connected(this.#options.header.to, true);
      this.#openSinceMs = env.clock.monotonicMs();
      this.#backoffMs = peerLimits.backoffFirstMs;
      this.#log('info', 'established TCP streaming connection with remote peer', { url });
      this.#flush();
    });
    stream.on('drain', () => {
      this.#isBlocked = false;
      if (this.#stream === stream) this.#flush();
    });
    this.#cancelTimer = env.clock.after(peerLimits.connectTimeoutMs, () => this.#broken(null));
  }

  #broken(error: grpc.ServiceError | null): void {
    const isRefused = error?.code === grpc.status.FAILED_PRECONDITION;
    const reason = error ? error.details || error.message : 'the peer closed the stream or did not answer in time';
    if (isRefused) this.#log('error', 'peer refuses this member', { reason });
    else if (this.#state === 'open') this.#log('warn', 'peer connection broke', { reason });
    else this.#log('debug', 'peer cannot be reached', { reason });
    const as = error ? refusalOf(error.metadata) : undefined;
    if (as !== undefined) this.#options.refused(this.#options.header.to, as);
    this.#reset(isRefused ? peerLimits.backoffRefusedMs : this.#backoffMs);
    this.#backoffMs = Math.min(this.#backoffMs * 2, peerLimits.backoffLastMs);
    this.#options.unreachable(this.#options.header.to);
  }

  #reset(waitMs: number): void {
    if (this.#isEnded) return;
    this.#cancelTimer();
    this.#drop();
    this.#openSinceMs = undefined;
    this.#urlPosition += 1;
    this.#state = 'waiting';
    // Spread, so that members that lost each other at once do not all come back at once.
    const spreadMs = waitMs * (0.75 + this.#options.env.random.next() / 2);
    this.#cancelTimer = this.#options.env.clock.after(spreadMs, () => {
      this.#state = 'closed';
      this.#connect();
    });
  }

  #drop(): void {
    this.#options.traffic?.connected(this.#options.header.to, false);
    this.#queue = [];
    this.#queueBytes = 0;
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.cancel();
    this.#client?.close();
    this.#client = undefined;
  }

  #flush(): void {
    while (this.#state === 'open' && !this.#isBlocked && this.#queue.length > 0) {
      let bytes = 0;
      let count = 0;
      while (count < this.#queue.length && count < peerLimits.batchMessagesMax) {
        const next = messageBytes(present(this.#queue[count], 'a message'));
        if (count > 0 && bytes + next > peerLimits.batchBytesMax) break;
        bytes += next;
        count += 1;
      }
      const batch = this.#queue.splice(0, count);
      this.#queueBytes -= bytes;
      assert(this.#queueBytes >= 0, 'what leaves the queue was counted');
      this.#options.traffic?.sent(this.#options.header.to, batch, bytes);
      this.#isBlocked = !present(this.#stream, 'the stream').write({ messages: batch.map(toProto) });
    }
  }

  #log(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields: Record<string, unknown>): void {
    this.#options.env.log[level](message, { peer: this.#options.header.to, ...fields });
  }
}

/** Resolves with the bytes the peer has; rejects when it refuses the snapshot instead. */
function acceptedAfter(stream: PartStream, answered: Promise<void>): Promise<number> {
  const accepted = new Promise<number>((resolve) => {
    stream.once('metadata', (metadata: grpc.Metadata) => {
      resolve(stagedBytesOf(metadata));
    });
  });
  // A peer that had all of it, or wants none, answers without beginning.
  return Promise.race([accepted, answered.then(() => 0)]);
}

function start<T>(client: grpc.Client, method: string, options: PeerLinkOptions, ended: EndCallback): T {
  const methods = client as unknown as Record<string, (metadata: grpc.Metadata, callback: EndCallback) => T>;
  const metadata = withCallKeys(encodeHeader(options.header), options.keys());
  return present(methods[method], method).call(client, metadata, ended);
}

function once(stream: grpc.ClientWritableStream<never>, event: string): Promise<void> {
  return new Promise((resolve) => {
    stream.once(event, () => resolve());
  });
}
