/**
 * The simulated network between members: every message takes its own time, so order is not kept; links lose, duplicate,
 * replay, hold back and cut, each direction by itself. A message to a member that is down is lost; one to a paused member
 * waits for it. Whatever hurts it hands back how to end it; nothing else ends with it.
 */
import type { Message, ReplicaId } from '../../src/raft/core/types.ts';
import type { PeerIdentities, PeerTransport, RefusedAs, TransportHandlers } from '../../src/raft/host/contract.ts';
import type { NetworkConditions } from '../scenario/network-conditions.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';

/** What arrives twice is one message more; a forwarded proposal would be a second request, and a snapshot is a stream. */
const replayable: ReadonlySet<Message['type']> = new Set([
  'app',
  'appResp',
  'heartbeat',
  'heartbeatResp',
  'vote',
  'voteResp',
  'preVote',
  'preVoteResp',
  'timeoutNow',
  'readIndex',
  'readIndexResp',
]);

/** Who a message is from and for, by the keys of the data directories, as the real transport tells them. */
interface Keys {
  readonly from: string;
  /** Absent while the sender does not know it. */
  readonly to: string | undefined;
}

interface Attachment {
  readonly handlers: TransportHandlers;
  readonly key: string;
  /** Why the sender of a message with these keys may not speak here. */
  readonly refusalOf: (from: ReplicaId, keys: Keys) => RefusedAs | undefined;
  /** Runs code as the process would: dead, paused or at once. */
  readonly run: (callback: () => void) => void;
}

export class SimNetwork {
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  readonly #attached = new Map<ReplicaId, Attachment>();
  /** `from>to` of every link that is cut, and how often. */
  readonly #cuts = new Map<string, number>();
  readonly #slow = new Map<ReplicaId, number>();
  /** `from>to` of every link that stands still, and what waits in it. */
  readonly #clogged = new Map<string, (() => void)[]>();
  readonly #dropped = new Set<Message['type']>();
  #replay: { readonly share: number; readonly lateMs: number } | undefined;
  /** Called when the process they stream to ends. */
  readonly #streams = new Map<ReplicaId, Set<() => void>>();
  #conditions: NetworkConditions;
  /** Counts up whenever everything heals: what began before has nothing to end any more. */
  #era = 0;
  /** Told when a direction of a link is cut, and when it is whole again. */
  onLink: (from: ReplicaId, to: ReplicaId, isCut: boolean) => void = () => undefined;
  delivered = 0;
  lost = 0;

  constructor(scheduler: Scheduler, random: SeededRandom, conditions: NetworkConditions) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#conditions = conditions;
  }

  setConditions(conditions: NetworkConditions): void {
    this.#conditions = conditions;
  }

  /** Until the returned function is called, or everything heals. */
  cut(from: ReplicaId, to: ReplicaId): () => void {
    const link = `${from}>${to}`;
    if (!this.#cuts.has(link)) this.onLink(from, to, true);
    this.#cuts.set(link, (this.#cuts.get(link) ?? 0) + 1);
    let isOver = false;
    const era = this.#era;
    return () => {
      if (isOver || era !== this.#era) return;
      isOver = true;
      const left = (this.#cuts.get(link) ?? 1) - 1;
      if (left === 0) this.#mend(from, to);
      else this.#cuts.set(link, left);
    };
  }

  /** Every fault of the network ends; what lasts begins again afterwards. */
  healAll(): void {
    this.#era += 1;
    for (const link of this.#cuts.keys()) this.#mend(...(link.split('>').map(Number) as [ReplicaId, ReplicaId]));
    this.#slow.clear();
    this.#dropped.clear();
    this.#replay = undefined;
    for (const link of this.#clogged.keys()) this.#unclog(link);
  }

  /** One link, both ways. */
  heal(a: ReplicaId, b: ReplicaId): void {
    this.#mend(a, b);
    this.#mend(b, a);
  }

  #mend(from: ReplicaId, to: ReplicaId): void {
    if (this.#cuts.delete(`${from}>${to}`)) this.onLink(from, to, false);
  }

  /** Everything to and from this member takes up to so much longer from now on. */
  slowDown(id: ReplicaId, byMs: number): () => void {
    this.#slow.set(id, byMs);
    return () => {
      if (this.#slow.get(id) === byMs) this.#slow.delete(id);
    };
  }

  /** What goes this way waits, and arrives all at once in the end. */
  clog(from: ReplicaId, to: ReplicaId): () => void {
    const link = `${from}>${to}`;
    if (!this.#clogged.has(link)) this.#clogged.set(link, []);
    return () => this.#unclog(link);
  }

  /** Messages of these types get lost. */
  drop(types: readonly Message['type'][]): () => void {
    for (const type of types) this.#dropped.add(type);
    return () => {
      for (const type of types) this.#dropped.delete(type);
    };
  }

  /** A share of what is sent arrives once more, up to so much later. */
  replayLate(share: number, lateMs: number): () => void {
    const replay = { share, lateMs };
    this.#replay = replay;
    return () => {
      if (this.#replay === replay) this.#replay = undefined;
    };
  }

  #unclog(link: string): void {
    const waiting = this.#clogged.get(link) ?? [];
    this.#clogged.delete(link);
    for (const deliver of waiting) deliver();
  }

  attach(id: ReplicaId, attachment: Attachment): void {
    this.#attached.set(id, attachment);
  }

  detach(id: ReplicaId, attachment: Attachment): void {
    if (this.#attached.get(id) === attachment) this.#attached.delete(id);
  }

  detachAll(id: ReplicaId): void {
    this.#attached.delete(id);
    const streams = this.#streams.get(id) ?? [];
    this.#streams.delete(id);
    for (const broken of streams) this.#scheduler.afterMs(this.#delayMs() + this.#random.integer(0, 2_000), broken);
  }

  /** `broken` is called a while after the process of `to` has ended, unless the returned function was before. */
  watchStream(to: ReplicaId, broken: () => void): () => void {
    const streams = this.#streams.get(to) ?? new Set();
    this.#streams.set(to, streams.add(broken));
    return () => streams.delete(broken);
  }

  /**
   * The process of `id` has ended: its connections are closed at the others, unless its host is gone as well, or the line.
   */
  ended(id: ReplicaId): void {
    const isHostAlive = this.#random.next() < 0.7;
    for (const to of isHostAlive ? this.#attached.keys() : []) {
      this.#scheduler.afterMs(this.#delayMs(), () => {
        const receiver = this.#attached.get(to);
        if (receiver === undefined || this.#cuts.has(`${id}>${to}`)) return;
        receiver.run(() => receiver.handlers.ended?.(id));
      });
    }
  }

  /** `deliver` runs at the receiver, if the message gets there; `lost` tells the sender when it notices that it did not. */
  transmit(
    link: { readonly from: ReplicaId; readonly to: ReplicaId; readonly type: Message['type']; readonly keys: Keys },
    deliver: (receiver: Attachment) => void,
    lost: () => void,
  ): void {
    const { from, to, type, keys } = link;
    // The real transport is a stream: it may lose its end, never repeat its middle. Raft's own messages could be repeated all
    // the same; a forwarded proposal could not, as nothing tells the copy from a second request.
    const copies = type !== 'prop' && this.#random.next() < this.#conditions.duplication ? 2 : 1;
    const isDropped = this.#dropped.has(type);
    const deliverTo = (receiver: Attachment) => {
      this.delivered += 1;
      receiver.run(() => {
        // As with a stream: both ends are told before anything is delivered.
        if (keys.to !== undefined && keys.to !== receiver.key) return receiver.handlers.refused?.(from, 'otherKey');
        const refusedAs = receiver.refusalOf(from, keys);
        if (refusedAs === undefined) return deliver(receiver);
        lost();
        const sender = this.#attached.get(from);
        if (sender?.key === keys.from) sender.run(() => sender.handlers.refused?.(to, refusedAs));
      });
    };
    const arrive = () => {
      const receiver = this.#attached.get(to);
      if (receiver !== undefined && !this.#cuts.has(`${from}>${to}`)) return deliverTo(receiver);
      this.lost += 1;
      lost();
    };
    for (let copy = 0; copy < copies; copy++) {
      if (isDropped || this.#cuts.has(`${from}>${to}`) || this.#random.next() < this.#conditions.loss) {
        this.lost += 1;
        lost();
        continue;
      }
      this.#scheduler.afterMs(this.#delayMs() + this.#slownessMs(from, to), () => {
        const waiting = this.#clogged.get(`${from}>${to}`);
        if (waiting === undefined) arrive();
        else waiting.push(arrive);
      });
    }
    if (replayable.has(type) && this.#replay !== undefined) {
      const { share, lateMs } = this.#replay;
      if (this.#random.next() < share) this.#scheduler.afterMs(this.#random.next() * lateMs, arrive);
    }
  }

  /** A request or an answer on a connection: late, or never when the line is cut. */
  carry(from: ReplicaId, to: ReplicaId, deliver: () => void): void {
    if (this.#cuts.has(`${from}>${to}`)) return;
    this.#scheduler.afterMs(this.#delayMs(), () => {
      if (!this.#cuts.has(`${from}>${to}`)) deliver();
    });
  }

  /** Chunks of a snapshot that get through; on a good line all of them. */
  breaksAfter(chunkCount: number): number {
    if (this.#random.next() >= this.#conditions.loss) return chunkCount;
    return this.#random.integer(0, chunkCount);
  }

  #slownessMs(from: ReplicaId, to: ReplicaId): number {
    const byMs = Math.max(this.#slow.get(from) ?? 0, this.#slow.get(to) ?? 0);
    return byMs === 0 ? 0 : this.#random.next() * byMs;
  }

  #delayMs(): number {
    const { delayMinMs, delayMeanMs } = this.#conditions;
    return delayMinMs - Math.log(1 - this.#random.next()) * Math.max(delayMeanMs - delayMinMs, 0);
  }
}

/** One incarnation's end of the network. */
export class SimTransport implements PeerTransport {
  readonly #network: SimNetwork;
  readonly #id: ReplicaId;
  readonly #key: string;
  readonly #run: (callback: () => void) => void;
  #attachment: Attachment | undefined;
  #identities: PeerIdentities = { keys: new Map(), removed: new Set() };
  readonly #keysSeen = new Map<ReplicaId, string>();

  constructor(
    network: SimNetwork,
    self: { readonly id: ReplicaId; readonly key: string },
    run: (callback: () => void) => void,
  ) {
    this.#network = network;
    this.#id = self.id;
    this.#key = self.key;
    this.#run = run;
  }

  setIdentities(identities: PeerIdentities): void {
    this.#identities = identities;
  }

  #keyOf(peer: ReplicaId): string | undefined {
    return this.#identities.keys.get(peer) ?? this.#keysSeen.get(peer);
  }

  #refusalOf(from: ReplicaId, keys: Keys): RefusedAs | undefined {
    if (this.#identities.removed.has(from)) return 'removed';
    const known = this.#keyOf(from);
    if (known !== undefined && known !== keys.from) return 'otherKey';
    this.#keysSeen.set(from, keys.from);
    return undefined;
  }

  #linkTo(message: Message) {
    const { from, to, type } = message;
    return { from, to, type, keys: { from: this.#key, to: this.#keyOf(to) } };
  }

  start(handlers: TransportHandlers): void {
    const refusalOf = (from: ReplicaId, keys: Keys) => this.#refusalOf(from, keys);
    this.#attachment = { handlers, key: this.#key, refusalOf, run: this.#run };
    this.#network.attach(this.#id, this.#attachment);
  }

  send(messages: readonly Message[]): void {
    for (const message of messages) {
      this.#network.transmit(
        this.#linkTo(message),
        (receiver) => receiver.handlers.message(message),
        () => undefined,
      );
    }
  }

  /** The content travels as one message. Now and then the line breaks within it: the next stream goes on there. */
  async sendSnapshot(message: Message & { type: 'snap' }, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const content: Uint8Array[] = [];
    for await (const chunk of chunks) content.push(Uint8Array.from(chunk));
    let over: () => void = () => undefined;
    const stream = new Promise<void>((resolve, reject) => {
      over = this.#network.watchStream(message.to, () =>
        this.#run(() => reject(new Error('the receiver ended while it read the snapshot'))),
      );
      this.#network.transmit(
        this.#linkTo(message),
        (receiver) => {
          const staged = receiver.handlers.snapshotStaged?.(message) ?? 0;
          const chunks = replay(content, staged, this.#network.breaksAfter(content.length));
          receiver.handlers.snapshot(message, chunks).then(resolve, reject);
        },
        () => reject(new Error('the snapshot was lost on the way')),
      );
    });
    await stream.finally(over);
  }

  setPeers(): void {
    // Members are found by their ids here; addresses mean nothing.
  }

  async close(): Promise<void> {
    if (this.#attachment !== undefined) this.#network.detach(this.#id, this.#attachment);
  }
}

/** The content from `from` on; the line breaks after `chunksMax` chunks. */
async function* replay(content: readonly Uint8Array[], from: number, chunksMax: number): AsyncIterable<Uint8Array> {
  let position = 0;
  for (const [at, chunk] of content.entries()) {
    if (at >= chunksMax) throw new Error('the line broke within the snapshot');
    const part = chunk.subarray(Math.min(Math.max(from - position, 0), chunk.length));
    position += chunk.length;
    if (part.length > 0) yield part;
  }
}
