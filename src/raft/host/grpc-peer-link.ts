/**
 * The sending half of a peer connection: one long-lived stream of message batches, made again with back-off when it
 * breaks, and snapshot streams beside it.
 *
 *   closed ──send──▶ connecting ──accepted──▶ open ──error──▶ waiting (back-off) ──▶ connecting …
 *
 * Messages queue while connecting and open, up to the limits; while waiting they are dropped and the peer is reported
 * unreachable. Raft repeats what matters, except a proposal on its way to the leader, whose client would wait in vain:
 * what has not gone out yet is kept for the next connection, but not for one more after that.
 */
import { assert, present } from '../../env/assert.ts';
import type { Cancel } from '../../env/clock.ts';
import type { Env } from '../../env/env.ts';
import { KeelsonError } from '../../env/errors.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import type { CallEnd, ClientCall } from '../../rpc/h2/client-call.ts';
import { H2Client } from '../../rpc/h2/client-host.ts';
import type { Flusher } from '../../rpc/h2/flusher.ts';
import type { Timers } from '../../rpc/h2/timers.ts';
import type { Message, ReplicaId } from '../core/types.ts';
import type { RefusedAs } from './contract.ts';
import { messageBytes } from './message-codec.ts';
import {
  addressOf,
  clientTlsFor,
  encodeHeader,
  type PeerHeader,
  peerLimits,
  type PeerTls,
  streamPath,
} from './grpc-wire.ts';
import { type CallKeys, encodeCallKeys, refusalOf } from './grpc-words.ts';
import type { BatchEncoder } from './message-wire.ts';
import { Patience, patienceMs } from './patience.ts';
import { PeerQueue } from './peer-queue.ts';
import type { PeerTraffic } from './peer-traffic.ts';
import { streamSnapshot } from './snapshot-sender.ts';

export interface PeerLinkOptions {
  readonly env: Pick<Env, 'clock' | 'log' | 'random'>;
  /** Of all links of a member. */
  readonly timers: Timers;
  readonly flusher: Flusher;
  readonly encoder: BatchEncoder;
  readonly header: PeerHeader;
  /** Asked for each connection, as certificates change. */
  readonly tls: () => PeerTls | undefined;
  /** What the peer knows this member by, and this one the peer, as of now. */
  readonly keys: () => CallKeys;
  readonly traffic?: PeerTraffic;
  readonly unreachable: (peer: ReplicaId) => void;
  readonly refused: (peer: ReplicaId, as: RefusedAs) => void;
}

/** What a peer that is there answers at once, and what is asked again and again. */
function isQuestion({ type }: Message): boolean {
  return type === 'heartbeat' || type === 'preVote' || type === 'vote';
}

/** No answer is longer than its status. */
const answerBytesMax = 1024;

export class PeerLink {
  readonly #options: PeerLinkOptions;
  #urls: readonly string[];
  #urlPosition = 0;
  #state: 'closed' | 'connecting' | 'open' | 'waiting' = 'closed';
  #client: H2Client | undefined;
  #call: ClientCall | undefined;
  readonly #queue = new PeerQueue();
  /** The connection has more than it can take: until it drains. */
  #isBlocked = false;
  readonly #patience = new Patience();
  /** While all that is queued waits for something to go along with. */
  #cancelWait: Cancel | undefined;
  #backoffMs: number = peerLimits.backoffFirstMs;
  #cancelTimer: Cancel = () => undefined;
  #isEnded = false;
  #openSinceMs: number | undefined;
  /** Since when it has been asked and has not said anything. */
  #askedAtMs: number | undefined;
  /** What has gone that way since then. */
  #askedBytes = 0;
  /** Streams of their own on the same connection, which have limits of their own. */
  #snapshots = 0;

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

  /**
   * The peer has connected to this member, so it can be reached: nothing is left to wait for. A connection on which it has not
   * answered was broken by what broke the peer's.
   */
  hurry(): void {
    const isSilent = this.#state === 'open' && this.#silentMs() > peerLimits.reachTimeoutMs;
    if (isSilent) this.#breakOff('the peer has connected anew, and had not answered on this connection');
    if (this.#state !== 'waiting') return;
    this.#cancelTimer();
    this.#state = 'closed';
    this.#connect();
  }

  /** The peer passed on a proposal: somebody there waits for its commit. */
  proposed(): void {
    this.#patience.proposed();
  }

  /** The peer said something, on a connection of its own. */
  heard(): void {
    this.#askedAtMs = undefined;
  }

  /** Takes a message; `flush` sends what was taken. */
  push(message: Message): void {
    if (this.#isEnded) return;
    if (this.#state === 'closed') this.#connect();
    if (this.#state === 'open' && isQuestion(message)) this.#ask(message);
    const bytes = messageBytes(message);
    if (bytes > peerLimits.frameBytesMax) {
      this.#log('error', 'dropped a raft message that is larger than a frame', { type: message.type, bytes });
      return;
    }
    if (!this.#queue.hasRoomFor(bytes) || (this.#state === 'waiting' && message.type !== 'prop')) {
      this.#options.traffic?.notSent(message);
      this.#options.unreachable(this.#options.header.to);
      return;
    }
    this.#queue.push(message, bytes, this.#patience.mayWait(message));
    this.#askedBytes += bytes;
  }

  /** How long a question has not been answered; 0 when there is none. */
  #silentMs(): number {
    return this.#askedAtMs === undefined ? 0 : this.#options.env.clock.monotonicMs() - this.#askedAtMs;
  }

  /** A question goes out. A member that hears its leader answers nobody who wants to lead, so that silence tells nothing. */
  #ask({ type }: Message): void {
    if (this.#askedAtMs === undefined) this.#askedBytes = 0;
    this.#askedAtMs ??= this.#options.env.clock.monotonicMs();
    if (type !== 'heartbeat' || this.#snapshots > 0) return;
    const silentMs = this.#silentMs();
    if (silentMs < peerLimits.silenceMs + this.#askedBytes / peerLimits.slowestBytesPerMs) return;
    this.#breakOff(`the peer was asked and said nothing for ${Math.round(silentMs)} ms`);
  }

  /**
   * Hands what waits to the connection, which writes it once this turn of the event loop is over. What tells nothing new goes
   * a little later.
   */
  flush(): void {
    if (!this.#queue.mayWait) return this.#flushAll();
    if (this.#cancelWait !== undefined) return;
    this.#cancelWait = this.#options.env.clock.after(patienceMs, () => {
      this.#cancelWait = undefined;
      this.#flushAll();
    });
  }

  #flushAll(): void {
    this.#queue.hurry();
    while (this.#state === 'open' && !this.#isBlocked && !this.#queue.isEmpty) {
      const { messages, bytes } = this.#queue.take();
      this.#options.traffic?.sent(this.#options.header.to, messages, bytes);
      this.#isBlocked = !present(this.#call, 'the stream').write(this.#options.encoder.encode(messages));
    }
  }

  /** Writes what `flush` has handed over. */
  writeNow(): void {
    this.#client?.writeNow();
  }

  /** Streams a snapshot; resolves when the peer has stored and stepped it. */
  async sendSnapshot(message: Message & { type: 'snap' }, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.#isEnded) throw new KeelsonError('STOPPED', 'send snapshot: the transport is closed');
    if (this.#state === 'closed') this.#connect();
    const client = this.#client;
    if (!client) throw new KeelsonError('UNREACHABLE', `send snapshot: member ${message.to} cannot be reached now`);
    const { clock } = this.#options.env;
    this.#snapshots += 1;
    try {
      await streamSnapshot(message, chunks, {
        client,
        clock,
        metadata: this.#metadata(),
        onResumed: (stagedBytes) => this.#log('info', 'a raft snapshot goes on where it broke off', { stagedBytes }),
      });
    } finally {
      this.#snapshots -= 1;
    }
  }

  close(): void {
    this.#isEnded = true;
    this.#openSinceMs = undefined;
    this.#cancelTimer();
    this.#drop();
    this.#queue.clear();
    this.#state = 'closed';
  }

  #metadata() {
    return [...encodeHeader(this.#options.header), ...encodeCallKeys(this.#options.keys())];
  }

  #connect(): void {
    assert(!this.#client && !this.#isEnded, 'a link has one connection');
    const { tls, env, timers, flusher } = this.#options;
    this.#state = 'connecting';
    this.#isBlocked = false;
    const url = present(this.#urls[this.#urlPosition % this.#urls.length], 'an address');
    const secure = clientTlsFor(url, tls());
    const { connectTimeoutMs, reachTimeoutMs, keepaliveIntervalMs, keepaliveTimeoutMs } = peerLimits;
    const client = new H2Client({
      clock: env.clock,
      timers,
      flusher,
      address: addressOf(url),
      ...(secure ? { tls: secure } : {}),
      connectTimeoutMs,
      reachTimeoutMs,
      keepaliveIntervalMs,
      keepaliveTimeoutMs,
      messageBytesMax: answerBytesMax,
      // The stream has heard of it.
      onClosed: () => undefined,
    });
    this.#client = client;
    this.#call = client.call(streamPath, this.#metadata(), {
      // The peer answers with its metadata once it has accepted us.
      begun: () => this.#accepted(url),
      message: () => undefined,
      drained: () => {
        this.#isBlocked = false;
        this.#flushAll();
      },
      ended: (end) => {
        if (this.#client === client) this.#broken(end);
      },
    });
    assert(this.#call !== undefined, 'a new connection takes a call');
    this.#cancelTimer = env.clock.after(connectTimeoutMs, () => this.#broken(undefined));
  }

  #accepted(url: string): void {
    this.#cancelTimer();
    this.#state = 'open';
    this.#options.traffic?.connected(this.#options.header.to, true);
    this.#openSinceMs = this.#options.env.clock.monotonicMs();
    this.#backoffMs = peerLimits.backoffFirstMs;
    this.#log('info', 'established TCP streaming connection with remote peer', { url });
    this.#flushAll();
  }

  /** `end` absent: the peer did not answer in time. */
  #broken(end: CallEnd | undefined): void {
    const isRefused = end?.code === grpcStatus.failedPrecondition;
    const reason = end?.details || 'the peer closed the stream or did not answer in time';
    if (isRefused) this.#log('error', 'peer refuses this member', { reason });
    else if (this.#state === 'open') this.#log('warn', 'peer connection broke', { reason });
    else this.#log('debug', 'peer cannot be reached', { reason });
    const as = end && refusalOf((name) => end.metadata.get(name));
    if (as !== undefined) this.#options.refused(this.#options.header.to, as);
    this.#again(isRefused ? peerLimits.backoffRefusedMs : this.#backoffMs);
  }

  /** Given up from this side. */
  #breakOff(reason: string): void {
    this.#log('warn', 'peer connection broke', { reason });
    this.#again(this.#backoffMs);
  }

  #again(waitMs: number): void {
    this.#reset(waitMs);
    this.#backoffMs = Math.min(this.#backoffMs * 2, peerLimits.backoffLastMs);
    this.#options.unreachable(this.#options.header.to);
  }

  #reset(waitMs: number): void {
    if (this.#isEnded) return;
    this.#cancelTimer();
    if (this.#state === 'connecting') this.#queue.clear();
    else this.#queue.keepProposals();
    this.#drop();
    this.#openSinceMs = undefined;
    this.#askedAtMs = undefined;
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
    this.#patience.reset();
    this.#cancelWait?.();
    this.#cancelWait = undefined;
    const client = this.#client;
    this.#client = undefined;
    this.#call?.cancel();
    this.#call = undefined;
    client?.close();
  }

  #log(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields: Record<string, unknown>): void {
    this.#options.env.log[level](message, { peer: this.#options.header.to, ...fields });
  }
}
