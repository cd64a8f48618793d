/**
 * Many points in time behind one timer: deadlines of calls and look-after times of connections. A heap, with each item's
 * place noted in it, so that the usual case (added at the end, removed long before its time) costs next to nothing.
 */
import { assert } from '../../env/assert.ts';
import type { Cancel, Clock } from '../../env/clock.ts';

export interface Timed {
  /** Set while it waits; changed only by remove and add. */
  dueMs: number;
  /** Place in the heap; -1: it does not wait. Only for Timers. */
  timerPlace: number;
  due(nowMs: number): void;
}

/** Longer waits are cut into pieces of this: timers of the system count in 31 bits. */
const timerMsMax = 2 ** 30;

export class Timers {
  readonly #clock: Clock;
  /** Invariant: no item is due before the one at half its place. */
  readonly #heap: Timed[] = [];
  #cancel: Cancel | undefined;
  #armedMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(item: Timed): void {
    assert(item.timerPlace === -1, 'an item waits once');
    this.#heap.push(item);
    this.#rise(item, this.#heap.length - 1);
    this.#arm();
  }

  remove(item: Timed): void {
    const place = item.timerPlace;
    if (place === -1) return;
    assert(this.#heap[place] === item, 'an item knows its place');
    item.timerPlace = -1;
    const last = this.#heap.pop() as Timed;
    if (last === item) return;
    this.#sink(last, place);
    this.#rise(last, last.timerPlace);
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    for (const item of this.#heap) item.timerPlace = -1;
    this.#heap.length = 0;
  }

  /** A timer that fires too early is cheaper than one set anew for each item. */
  #arm(): void {
    const [first] = this.#heap;
    if (first === undefined || first.dueMs >= this.#armedMs) return;
    this.#cancel?.();
    this.#armedMs = first.dueMs;
    const waitMs = Math.min(timerMsMax, Math.max(0, Math.ceil(first.dueMs - this.#clock.monotonicMs())));
    this.#cancel = this.#clock.after(waitMs, () => this.#fire());
  }

  #fire(): void {
    this.#cancel = undefined;
    this.#armedMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#clock.monotonicMs();
    for (let first = this.#heap[0]; first !== undefined && first.dueMs <= nowMs; first = this.#heap[0]) {
      this.remove(first);
      first.due(nowMs);
    }
    this.#arm();
  }

  #rise(item: Timed, from: number): void {
    let place = from;
    while (place > 0) {
      const parentPlace = (place - 1) >>> 1;
      const parent = this.#heap[parentPlace] as Timed;
      if (parent.dueMs <= item.dueMs) break;
      this.#put(parent, place);
      place = parentPlace;
    }
    this.#put(item, place);
  }

  #sink(item: Timed, from: number): void {
    let place = from;
    for (;;) {
      const left = place * 2 + 1;
      if (left >= this.#heap.length) break;
      const right = left + 1;
      const isRightFirst =
        right < this.#heap.length && (this.#heap[right] as Timed).dueMs < (this.#heap[left] as Timed).dueMs;
      const childPlace = isRightFirst ? right : left;
      const child = this.#heap[childPlace] as Timed;
      if (item.dueMs <= child.dueMs) break;
      this.#put(child, place);
      place = childPlace;
    }
    this.#put(item, place);
  }

  #put(item: Timed, place: number): void {
    this.#heap[place] = item;
    item.timerPlace = place;
  }
}
