/**
 * The simulated network between members: every message takes its own time, so order is not kept; links lose, duplicate
 * and cut, each direction by itself. A message to a member that is down is lost; one to a paused member waits for it.
 */
import type { Message, ReplicaId } from '../../src/raft/core/types.ts';
import type { PeerTransport, TransportHandlers } from '../../src/raft/host/contract.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';

export interface NetworkConditions {
  readonly delayMinMs: number;
  readonly delayMeanMs: number;
  /** Share of messages, 0 to 1. */
  readonly loss: number;
  readonly duplication: number;
}

interface Attachment {
  readonly handlers: TransportHandlers;
  /** Runs code as the process would: dead, paused or at once. */
  readonly run: (callback: () => void) => void;
}

export class SimNetwork {
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  readonly #attached = new Map<ReplicaId, Attachment>();
  /** `from>to` of every link that is cut. */
  readonly #cuts = new Set<string>();
  #conditions: NetworkConditions;
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

  cut(from: ReplicaId, to: ReplicaId): void {
    this.#cuts.add(`${from}>${to}`);
  }

  healAll(): void {
    this.#cuts.clear();
  }

  attach(id: ReplicaId, attachment: Attachment): void {
    this.#attached.set(id, attachment);
  }

  detach(id: ReplicaId, attachment: Attachment): void {
    if (this.#attached.get(id) === attachment) this.#attached.delete(id);
  }

  detachAll(id: ReplicaId): void {
    this.#attached.delete(id);
  }

  /** `deliver` runs at the receiver, if the message gets there; `lost` tells the sender when it notices that it did not. */
  transmit(
    link: { readonly from: ReplicaId; readonly to: ReplicaId; readonly type?: string },
    deliver: (receiver: Attachment) => void,
    lost: () => void,
  ): void {
    const { from, to } = link;
    // The real transport is a stream: it may lose its end, never repeat its middle. Raft's own messages could be repeated all
    // the same; a forwarded proposal could not, as nothing tells the copy from a second request.
    const copies = link.type !== 'prop' && this.#random.next() < this.#conditions.duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.#cuts.has(`${from}>${to}`) || this.#random.next() < this.#conditions.loss) {
        this.lost += 1;
        lost();
        continue;
      }
      this.#scheduler.afterMs(this.#delayMs(), () => {
        const receiver = this.#attached.get(to);
        if (receiver === undefined || this.#cuts.has(`${from}>${to}`)) {
          this.lost += 1;
          lost();
          return;
        }
        this.delivered += 1;
        receiver.run(() => deliver(receiver));
      });
    }
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
  readonly #run: (callback: () => void) => void;
  #attachment: Attachment | undefined;

  constructor(network: SimNetwork, id: ReplicaId, run: (callback: () => void) => void) {
    this.#network = network;
    this.#id = id;
    this.#run = run;
  }

  start(handlers: TransportHandlers): void {
    this.#attachment = { handlers, run: this.#run };
    this.#network.attach(this.#id, this.#attachment);
  }

  send(messages: readonly Message[]): void {
    for (const message of messages) {
      this.#network.transmit(
        message,
        (receiver) => receiver.handlers.message(message),
        () => undefined,
      );
    }
  }

  /** The whole content travels as one message: it arrives complete or the sender learns that it did not. */
  async sendSnapshot(message: Message & { type: 'snap' }, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const content: Uint8Array[] = [];
    for await (const chunk of chunks) content.push(chunk);
    await new Promise<void>((resolve, reject) => {
      this.#network.transmit(
        message,
        (receiver) => {
          receiver.handlers.snapshot(message, replay(content)).then(resolve, reject);
        },
        () => reject(new Error('the snapshot was lost on the way')),
      );
    });
  }

  setPeers(): void {
    // Members are found by their ids here; addresses mean nothing.
  }

  async close(): Promise<void> {
    if (this.#attachment !== undefined) this.#network.detach(this.#id, this.#attachment);
  }
}

async function* replay(content: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  for (const chunk of content) yield chunk;
}
