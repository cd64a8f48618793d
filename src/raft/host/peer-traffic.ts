/**
 * What goes to and comes from each peer, counted for metrics. Time to a peer and back is taken from heartbeats: from the
 * oldest one that has not been answered to the answer.
 */
import { exponentialBounds, PlainHistogram } from '../../env/histogram.ts';
import type { Message, ReplicaId } from '../core/types.ts';
import { messageBytes } from './message-codec.ts';

export interface PeerCounts {
  sentBytes: number;
  receivedBytes: number;
  /** Messages that could not be sent: no connection, or too much waiting. */
  sendFailures: number;
  heartbeatFailures: number;
  /** Connections that broke. */
  disconnects: number;
  isConnected: boolean;
  /** Seconds. */
  readonly roundTrips: PlainHistogram;
}

/** 0.1 ms to 3.3 s, as etcd's. */
const roundTripBounds = exponentialBounds(0.0001, 2, 16);

export class PeerTraffic {
  readonly #nowMs: () => number;
  readonly #peers = new Map<ReplicaId, PeerCounts>();
  readonly #heartbeatSentMs = new Map<ReplicaId, number>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** By peer; one that has gone stays, as its counts are true. */
  peers(): ReadonlyMap<ReplicaId, PeerCounts> {
    return this.#peers;
  }

  sent(to: ReplicaId, messages: readonly Message[], bytes: number): void {
    this.#of(to).sentBytes += bytes;
    if (this.#heartbeatSentMs.has(to)) return;
    if (messages.some((message) => message.type === 'heartbeat')) this.#heartbeatSentMs.set(to, this.#nowMs());
  }

  notSent(message: Message): void {
    const counts = this.#of(message.to);
    counts.sendFailures += 1;
    if (message.type === 'heartbeat') counts.heartbeatFailures += 1;
  }

  received(message: Message): void {
    const counts = this.#of(message.from);
    counts.receivedBytes += messageBytes(message);
    if (message.type !== 'heartbeatResp') return;
    const sentMs = this.#heartbeatSentMs.get(message.from);
    if (sentMs === undefined) return;
    this.#heartbeatSentMs.delete(message.from);
    counts.roundTrips.observe((this.#nowMs() - sentMs) / 1000);
  }

  connected(peer: ReplicaId, isConnected: boolean): void {
    const counts = this.#of(peer);
    if (counts.isConnected && !isConnected) counts.disconnects += 1;
    counts.isConnected = isConnected;
    // An answer to what was asked over the old connection would tell nothing.
    this.#heartbeatSentMs.delete(peer);
  }

  #of(peer: ReplicaId): PeerCounts {
    const known = this.#peers.get(peer);
    if (known) return known;
    const counts = {
      sentBytes: 0,
      receivedBytes: 0,
      sendFailures: 0,
      heartbeatFailures: 0,
      disconnects: 0,
      isConnected: false,
      roundTrips: new PlainHistogram(roundTripBounds),
    };
    this.#peers.set(peer, counts);
    return counts;
  }
}
