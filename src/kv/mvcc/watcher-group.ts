/**
 * Watchers of one range and with the same wishes that are caught up: they see the same events, so what is written is taken
 * down once for all of them. They sit in an array, each knowing its place.
 */
import { assert } from '../../env/assert.ts';
import type { KvEvent } from '../api.ts';
import type { Change } from './change.ts';
import type { EventList } from './event-list.ts';
import type { KeyRange } from './key-range.ts';

/** What watchers of a group have in common. */
export interface Wishes {
  readonly range: KeyRange;
  readonly prevKv: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
}

export function wants(wishes: Wishes, type: KvEvent['type']): boolean {
  return type === 'put' ? !wishes.noPut : !wishes.noDelete;
}

export interface GroupMember {
  readonly wishes: Wishes;
  /** In its group; -1: in none. Only for WatcherGroup. */
  place: number;
}

export class WatcherGroup<W extends GroupMember> {
  readonly wishes: Wishes;
  #members: W[] = [];
  #isVisiting = false;
  /** Published and not delivered. */
  #due: EventList | undefined = undefined;
  /** The revision that what is due begins with; a member that joined later may have got some of it from history. */
  #dueFrom = 0;

  constructor(wishes: Wishes) {
    this.wishes = wishes;
  }

  get range(): KeyRange {
    return this.wishes.range;
  }

  get size(): number {
    return this.#members.length;
  }

  isFor({ prevKv, noPut, noDelete }: Wishes): boolean {
    const { wishes } = this;
    return wishes.prevKv === prevKv && wishes.noPut === noPut && wishes.noDelete === noDelete;
  }

  add(watcher: W): void {
    assert(watcher.place === -1, 'a watcher is in one group');
    this.#beforeChange();
    watcher.place = this.#members.push(watcher) - 1;
  }

  remove(watcher: W): void {
    this.#beforeChange();
    const { place } = watcher;
    assert(this.#members[place] === watcher, 'a watcher knows its place');
    const last = this.#members.pop() as W;
    if (last !== watcher) {
      this.#members[place] = last;
      last.place = place;
    }
    watcher.place = -1;
  }

  /** Takes `change` down if it is wanted; returns whether it is the first that is due. */
  publish(change: Change, noEvents: EventList): boolean {
    assert(this.#members.length > 0, 'a group has members');
    if (!wants(this.wishes, change.type)) return false;
    const event = this.wishes.prevKv ? change.eventWithPrevious() : change.event();
    const isFirst = this.#due === undefined;
    if (isFirst) this.#dueFrom = change.main;
    this.#due = (this.#due ?? noEvents).and(event);
    return isFirst;
  }

  /** What is due, which is not due any more. */
  takeDue(): { readonly from: number; readonly events: readonly KvEvent[] } {
    const due = this.#due;
    assert(due !== undefined, 'something is due');
    this.#due = undefined;
    return { from: this.#dueFrom, events: due.toArray() };
  }

  /** Calls `visit` for each of those that are members now, whatever it adds and removes. */
  forEach(visit: (watcher: W) => void): void {
    const members = this.#members;
    this.#isVisiting = true;
    for (const watcher of members) visit(watcher);
    if (members === this.#members) this.#isVisiting = false;
  }

  /** An array that is being visited stays as it is. */
  #beforeChange(): void {
    if (!this.#isVisiting) return;
    this.#members = this.#members.slice();
    this.#isVisiting = false;
  }
}
