/**
 * One way of one connection through the proxy: takes what the sender's socket gives, keeps it for as long as the link's
 * conditions say, and writes it to the receiver's. An end or a reset waits its turn behind the bytes.
 */
import type { Socket } from 'node:net';
import type { Clock, Cancel } from '../../src/env/clock.ts';
import { flipBits, type LinkConditions, LinkPacing } from './link-pacing.ts';

/** What is under way on one lane at most, beyond which the sender has to wait, as with a full window. */
const underWayBytesMax = 4 * 1024 * 1024;

type Item =
  | { readonly kind: 'bytes'; readonly arrivalMs: number; readonly bytes: Buffer }
  | { readonly kind: 'end'; readonly arrivalMs: number }
  | { readonly kind: 'reset'; readonly arrivalMs: number };

export interface LaneCounts {
  bytes: number;
  flips: number;
}

export class LinkLane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #clock: Clock;
  readonly #draw: () => number;
  readonly #conditions: () => LinkConditions;
  readonly #counts: LaneCounts;
  readonly #pacing = new LinkPacing();
  readonly #items: Item[] = [];
  #underWayBytes = 0;
  #isReceiverFull = false;
  #isCutOff = false;
  #wake: Cancel | undefined;

  constructor(options: {
    readonly from: Socket;
    readonly to: Socket;
    readonly clock: Clock;
    readonly draw: () => number;
    /** Asked for each chunk. */
    readonly conditions: () => LinkConditions;
    readonly counts: LaneCounts;
  }) {
    this.#from = options.from;
    this.#to = options.to;
    this.#clock = options.clock;
    this.#draw = options.draw;
    this.#conditions = options.conditions;
    this.#counts = options.counts;
    this.#from.on('data', (bytes: Buffer) => this.#take(bytes));
    this.#from.on('end', () => this.#put({ kind: 'end', arrivalMs: this.#arrivalMs(0) }));
    this.#from.on('error', () => this.#put({ kind: 'reset', arrivalMs: this.#arrivalMs(0) }));
    this.#to.on('drain', () => {
      this.#isReceiverFull = false;
      this.pump();
    });
    this.#to.on('close', () => this.cutOff());
  }

  #arrivalMs(bytes: number): number {
    return this.#pacing.arrivalMs(this.#clock.monotonicMs(), bytes, this.#conditions(), this.#draw());
  }

  #take(bytes: Buffer): void {
    if (this.#isCutOff) return;
    this.#counts.bytes += bytes.length;
    this.#counts.flips += flipBits(bytes, this.#conditions().flipsPerByte, this.#draw);
    this.#underWayBytes += bytes.length;
    if (this.#underWayBytes >= underWayBytesMax) this.#from.pause();
    this.#put({ kind: 'bytes', bytes, arrivalMs: this.#arrivalMs(bytes.length) });
  }

  #put(item: Item): void {
    if (this.#isCutOff) return;
    this.#items.push(item);
    this.pump();
  }

  /** Delivers what is due. Called when the conditions have changed, too. */
  pump(): void {
    this.#wake?.();
    this.#wake = undefined;
    if (this.#conditions().isClogged) return;
    for (;;) {
      const item = this.#items[0];
      if (item === undefined || this.#isReceiverFull) return;
      const leftMs = item.arrivalMs - this.#clock.monotonicMs();
      // Timers have whole milliseconds: what is due within the current one goes now.
      if (leftMs >= 1) {
        this.#wake = this.#clock.after(leftMs, () => this.pump());
        return;
      }
      this.#items.shift();
      this.#deliver(item);
    }
  }

  #deliver(item: Item): void {
    if (item.kind === 'end') {
      this.#to.end();
    } else if (item.kind === 'reset') {
      this.#to.resetAndDestroy();
    } else {
      this.#underWayBytes -= item.bytes.length;
      if (this.#underWayBytes < underWayBytesMax / 2 && this.#from.isPaused()) this.#from.resume();
      this.#isReceiverFull = !this.#to.write(item.bytes);
    }
  }

  /** Nothing more gets through, and nobody is told. */
  cutOff(): void {
    this.#isCutOff = true;
    this.#wake?.();
    this.#items.length = 0;
  }
}
