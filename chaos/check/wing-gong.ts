/**
 * One register's operations: whether a given order explains them, and whether any does.
 *
 * The search takes operations one by one, each of those that could be next: nothing that has yet to be taken returned before
 * it was called. A place it has been to before (what is taken, and the value) is not gone to again. Operations that never
 * returned may be taken at any time after their call, or never; they are tried last, as they are there to explain what
 * the others cannot.
 *
 *   call a ──────── return a          a before b, or b before a; c after both
 *       call b ─── return b
 *                          call c ─── return c
 */

/** From `apply`, when the answer does not go with the value. */
export const refused: unique symbol = Symbol('refused');

export interface RegisterItem {
  readonly source: object;
  readonly call: number;
  /** Infinity: nobody knows whether it happened. */
  readonly ret: number;
  /** The value afterwards. */
  apply(value: string | undefined): string | undefined | typeof refused;
}

/** Steps after which a search gives up. */
const stepsMax = 2_000_000;

/** Position of the first operation that this order does not explain. */
export function firstBreak(order: readonly RegisterItem[]): number | undefined {
  let value: string | undefined;
  let lastCall = Number.NEGATIVE_INFINITY;
  for (const [position, item] of order.entries()) {
    // It had returned when one before it in this order was called.
    if (item.ret < lastCall) return position;
    lastCall = Math.max(lastCall, item.call);
    const next = item.apply(value);
    if (next === refused) return position;
    value = next;
  }
  return undefined;
}

interface Frame {
  /** First certain item that is not taken. */
  readonly first: number;
  /** Last certain item that is taken. */
  readonly highest: number;
  readonly value: string | undefined;
  readonly candidates: readonly number[];
  next: number;
  /** What was taken to come here. */
  readonly taken: number;
}

export function findOrder(items: readonly RegisterItem[]): 'found' | 'none' | 'given up' {
  return new Search(items).run();
}

class Search {
  /** By their calls. Those that returned first, then the others. */
  readonly #items: readonly RegisterItem[];
  readonly #certain: number;
  readonly #done: Uint8Array;
  readonly #seen = new Set<string>();
  /** Items without a return that are taken, in any order. */
  readonly #doubtful = new Set<number>();

  constructor(items: readonly RegisterItem[]) {
    const byCall = items.toSorted((a, b) => a.call - b.call);
    const certain = byCall.filter((item) => item.ret !== Number.POSITIVE_INFINITY);
    this.#certain = certain.length;
    this.#items = [...certain, ...byCall.filter((item) => item.ret === Number.POSITIVE_INFINITY)];
    this.#done = new Uint8Array(items.length);
  }

  run(): 'found' | 'none' | 'given up' {
    const stack: Frame[] = [];
    let arrived = this.#arrive(0, -1, undefined, -1);
    for (let steps = 0; steps < stepsMax; ) {
      if (arrived === 'end') return 'found';
      if (arrived !== 'known') {
        stack.push(arrived);
        steps += 1;
      }
      const frame = stack.at(-1);
      if (frame === undefined) return 'none';
      // What was taken in vain by this frame has been put back.
      const index = frame.candidates[frame.next++];
      if (index === undefined) {
        stack.pop();
        this.#putBack(frame.taken);
        arrived = 'known';
        continue;
      }
      const value = (this.#items[index] as RegisterItem).apply(frame.value);
      if (value === refused) {
        arrived = 'known';
        continue;
      }
      this.#take(index);
      const highest = index < this.#certain ? Math.max(frame.highest, index) : frame.highest;
      arrived = this.#arrive(frame.first, highest, value, index);
      if (arrived === 'known') this.#putBack(index);
    }
    return 'given up';
  }

  #take(index: number): void {
    this.#done[index] = 1;
    if (index >= this.#certain) this.#doubtful.add(index);
  }

  #putBack(index: number): void {
    if (index < 0) return;
    this.#done[index] = 0;
    this.#doubtful.delete(index);
  }

  #arrive(from: number, highest: number, value: string | undefined, taken: number): Frame | 'end' | 'known' {
    let first = from;
    while (first < this.#certain && this.#done[first] === 1) first += 1;
    if (first === this.#certain) return 'end';
    const mark = this.#mark(first, highest, value);
    if (this.#seen.has(mark)) return 'known';
    this.#seen.add(mark);
    return { first, highest, value, candidates: this.#candidates(first), next: 0, taken };
  }

  #mark(first: number, highest: number, value: string | undefined): string {
    let text = `${first}`;
    for (let index = first + 1; index <= highest; index++) if (this.#done[index] === 1) text += `,${index - first}`;
    if (this.#doubtful.size > 0) text += `;${[...this.#doubtful].sort((a, b) => a - b).join()}`;
    return value === undefined ? text : `${text}=${value}`;
  }

  #candidates(first: number): readonly number[] {
    const found: number[] = [];
    let earliestReturn = Number.POSITIVE_INFINITY;
    for (let index = first; index < this.#certain; index++) {
      const item = this.#items[index] as RegisterItem;
      // It was called after another one, still to come, had returned: it cannot be next, nor can any later one.
      if (item.call > earliestReturn) break;
      if (this.#done[index] === 1) continue;
      earliestReturn = Math.min(earliestReturn, item.ret);
      found.push(index);
    }
    for (let index = this.#certain; index < this.#items.length; index++) {
      if ((this.#items[index] as RegisterItem).call > earliestReturn) break;
      if (this.#done[index] === 0) found.push(index);
    }
    return found;
  }
}
