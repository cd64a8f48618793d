/**
 * Lists of events that are shared by all watchers that see the same: each list is one event longer than another, so that
 * watchers who got the same events one after another hold the same list, and so the same array, however many they are.
 */
import { assert } from '../../env/assert.ts';
import type { KvEvent } from '../api.ts';

export class EventList {
  readonly #event: KvEvent | undefined;
  readonly #before: EventList | undefined;
  readonly #length: number;
  /** The list that was last made of this one; nearly always the one that the next watcher wants, too. */
  #after: EventList | undefined;
  #array: readonly KvEvent[] | undefined;

  private constructor(event: KvEvent | undefined, before: EventList | undefined) {
    this.#event = event;
    this.#before = before;
    this.#length = before === undefined ? 0 : before.#length + 1;
  }

  static empty(): EventList {
    return new EventList(undefined, undefined);
  }

  /** This list and `event`. */
  and(event: KvEvent): EventList {
    if (this.#after === undefined || this.#after.#event !== event) this.#after = new EventList(event, this);
    return this.#after;
  }

  /** The same array each time. */
  toArray(): readonly KvEvent[] {
    this.#array ??= EventList.#collect(this);
    assert(this.#array.length === this.#length, 'a list is as long as it says');
    return this.#array;
  }

  static #collect(last: EventList): readonly KvEvent[] {
    const events: KvEvent[] = [];
    for (let list = last; list.#before !== undefined; list = list.#before) {
      assert(list.#event !== undefined, 'every list but the empty one ends with an event');
      events.push(list.#event);
    }
    return events.reverse();
  }
}
