/**
 * One register's operations: whether a given order explains them, and whether any does.
 *
 * The search takes operations one by one, each of those that could be next: nothing that has yet to be taken returned before
 * it was called. A place it has been to before (what is taken, and the value) is not gone to again. Operations that never
 * returned may be taken at any time after their call, or never; they are tried last, as they are there to explain what
 * the others cannot.
 *
 * Two things spare most of the ways there are: a read that could be next is taken at once, as it is in nobody's way; and a value is not
 * replaced while somebody still has to read it and nobody is left to write it again.
 *
 *   call a ──────── return a          a before b, or b before a; c after both
 *       call b ─── return b
 *                          call c ─── return c
 */

/** From `apply`, when the answer does not go with the value. */
export const refused: unique symbol = Symbol('refused');

export interface Held {
  readonly value: string | undefined;
}

export interface RegisterItem {
  readonly source: object;
  readonly call: number;
  /** Infinity: nobody knows whether it happened. */
  readonly ret: number;
  /** It leaves every value as it is. */
  readonly isRead: boolean;
  /** The one value that it can be answered at as it was, and the one that it leaves; absent: any. */
  readonly needs?: Held;
  readonly makes?: Held;
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
  /** What the last one taken, which never returned, changed: what comes next must have needed that. */
  readonly pending: { readonly before: string | undefined } | undefined;
  /** Certain ones; those of no return that are of use follow once these were in vain. */
  readonly candidates: number[];
  next: number;
  /** Nothing called later can be next. */
  readonly earliestReturn: number;
  isWidened: boolean;
  /** What was taken to come here. */
  readonly taken: number;
}

type Place = Pick<Frame, 'first' | 'highest' | 'value' | 'pending' | 'taken'>;

export function findOrder(items: readonly RegisterItem[]): 'found' | 'none' | 'given up' {
  return new Search(items).run();
}

class Search {
  /** By their calls. Those that returned first, then the others. */
  readonly #items: readonly RegisterItem[];
  readonly #certain: number;
  readonly #done: Uint8Array;
  /** What it leaves depends on what it finds. */
  readonly #isConditional: Uint8Array;
  readonly #seen = new Set<string>();
  /** Items without a return that are taken, in any order. */
  readonly #doubtful = new Set<number>();

  /** How many certain ones that are not taken need a value, and how many that are not taken may make it. */
  readonly #needed = new Map<string | undefined, number>();
  readonly #makers = new Map<string | undefined, number>();

  constructor(items: readonly RegisterItem[]) {
    const byCall = items.toSorted((a, b) => a.call - b.call);
    const certain = byCall.filter((item) => item.ret !== Number.POSITIVE_INFINITY);
    this.#certain = certain.length;
    this.#items = [...certain, ...byCall.filter((item) => item.ret === Number.POSITIVE_INFINITY)];
    this.#done = new Uint8Array(items.length);
    for (const [index, item] of this.#items.entries()) this.#count(item, index, 1);
    this.#isConditional = Uint8Array.from(this.#items, (item) => (item.apply('\0one') === item.apply('\0two') ? 0 : 1));
  }

  run(): 'found' | 'none' | 'given up' {
    const stack: Frame[] = [];
    let arrived = this.#arrive({ first: 0, highest: -1, value: undefined, pending: undefined, taken: -1 });
    for (let steps = 0; steps < stepsMax; ) {
      if (arrived === 'end') return 'found';
      if (arrived !== 'known') {
        stack.push(arrived);
        steps += 1;
      }
      const frame = stack.at(-1);
      if (frame === undefined) return 'none';
      // What was taken in vain by this frame has been put back.
      if (frame.next === frame.candidates.length && !frame.isWidened) this.#widen(frame);
      const index = frame.candidates[frame.next++];
      if (index === undefined) {
        stack.pop();
        this.#putBack(frame.taken);
        arrived = 'known';
        continue;
      }
      const value = this.#after(frame, index);
      if (value === refused) {
        arrived = 'known';
        continue;
      }
      this.#take(index);
      const isCertain = index < this.#certain;
      const highest = isCertain ? Math.max(frame.highest, index) : frame.highest;
      const pending = isCertain ? undefined : { before: frame.value };
      arrived = this.#arrive({ first: frame.first, highest, value, pending, taken: index });
      if (arrived === 'known') this.#putBack(index);
    }
    return 'given up';
  }

  /** Adds what never returned and makes a value that something which could come right after needs. */
  #widen(frame: Frame): void {
    frame.isWidened = true;
    const { value, candidates, earliestReturn } = frame;
    const called: number[] = [];
    for (let index = this.#certain; index < this.#items.length; index++) {
      if ((this.#items[index] as RegisterItem).call > earliestReturn) break;
      if (this.#done[index] === 0) called.push(index);
    }
    const itemsAt = (places: readonly number[]) => places.map((place) => this.#items[place] as RegisterItem);
    const inNeed = itemsAt(candidates).filter((item) => item.apply(value) === refused);
    const conditional = itemsAt(called.filter((index) => this.#isConditional[index] === 1));
    if (inNeed.length === 0 && conditional.length === 0) return;
    for (const index of called) {
      const item = this.#items[index] as RegisterItem;
      const next = item.apply(value);
      if (next === refused || next === value) continue;
      const helps = inNeed.some((other) => other.apply(next) !== refused);
      if (helps || conditional.some((other) => other !== item && other.apply(next) !== next)) candidates.push(index);
    }
  }

  /** The value once this one is taken as well. */
  #after(frame: Frame, index: number): string | undefined | typeof refused {
    const { value, pending } = frame;
    const item = this.#items[index] as RegisterItem;
    const next = item.apply(value);
    const isCertain = index < this.#certain;
    if (next === refused || (next !== value && this.#isStillNeeded(value, item, isCertain))) return refused;
    if (pending === undefined) return next;
    const without = item.apply(pending.before);
    const isNeeded = isCertain ? without === refused : without !== next;
    return isNeeded ? next : refused;
  }

  #isStillNeeded(value: string | undefined, item: RegisterItem, isCertain: boolean): boolean {
    const own = isCertain && item.needs !== undefined && item.needs.value === value ? 1 : 0;
    if ((this.#needed.get(value) ?? 0) <= own) return false;
    return (this.#makers.get(value) ?? 0) === (item.makes !== undefined && item.makes.value === value ? 1 : 0);
  }

  #count({ needs, makes }: RegisterItem, index: number, by: 1 | -1): void {
    if (needs !== undefined && index < this.#certain)
      this.#needed.set(needs.value, (this.#needed.get(needs.value) ?? 0) + by);
    if (makes !== undefined) this.#makers.set(makes.value, (this.#makers.get(makes.value) ?? 0) + by);
  }

  #take(index: number): void {
    this.#done[index] = 1;
    this.#count(this.#items[index] as RegisterItem, index, -1);
    if (index >= this.#certain) this.#doubtful.add(index);
  }

  #putBack(index: number): void {
    if (index < 0) return;
    this.#done[index] = 0;
    this.#count(this.#items[index] as RegisterItem, index, 1);
    this.#doubtful.delete(index);
  }

  #arrive(place: Place): Frame | 'end' | 'known' {
    let { first } = place;
    while (first < this.#certain && this.#done[first] === 1) first += 1;
    if (first === this.#certain) return 'end';
    const mark = this.#mark({ ...place, first });
    if (this.#seen.has(mark)) return 'known';
    this.#seen.add(mark);
    const { candidates, earliestReturn } = this.#candidates(first);
    const frame: Frame = { ...place, first, candidates, earliestReturn, next: 0, isWidened: false };
    const read = candidates.find((index) => {
      return (this.#items[index] as RegisterItem).isRead && this.#after(frame, index) !== refused;
    });
    return read === undefined ? frame : { ...frame, candidates: [read], isWidened: true };
  }

  #mark({ first, highest, value, pending }: Place): string {
    let text = `${first}`;
    for (let index = first + 1; index <= highest; index++) if (this.#done[index] === 1) text += `,${index - first}`;
    if (this.#doubtful.size > 0) text += `;${[...this.#doubtful].sort((a, b) => a - b).join()}`;
    if (pending !== undefined) text += pending.before === undefined ? '!' : `!${JSON.stringify(pending.before)}`;
    return value === undefined ? text : `${text}=${value}`;
  }

  #candidates(first: number): Pick<Frame, 'candidates' | 'earliestReturn'> {
    const candidates: number[] = [];
    let earliestReturn = Number.POSITIVE_INFINITY;
    for (let index = first; index < this.#certain; index++) {
      const item = this.#items[index] as RegisterItem;
      // It was called after another one, still to come, had returned: it cannot be next, nor can any later one.
      if (item.call > earliestReturn) break;
      if (this.#done[index] === 1) continue;
      earliestReturn = Math.min(earliestReturn, item.ret);
      candidates.push(index);
    }
    return { candidates, earliestReturn };
  }
}
