/**
 * All keys that have any history: a B+ tree, and a map in front of it for the keys that are asked for by name.
 *
 * The map is there because most requests name one key and a hash lookup costs a fraction of a tree descent. A key comes
 * into it when it is first asked for after it was made, so that a start with a million keys makes no map of a million,
 * and keys that nobody asks for take no place in it. The tree changes only when a key appears for the first time or its
 * last revision is dropped, not with every put.
 */
import { assert } from '../../env/assert.ts';
import type { OrderedMap } from '../backend/btree.ts';
import { compareText, orderedMap, orderedMapOf } from '../backend/btree.ts';
import { KeyEntry } from './key-index.ts';
import type { KeyRange } from './key-range.ts';

export class KeyTable {
  /** Invariant: every entry in it is the tree's of the same key. */
  readonly #byKey = new Map<string, KeyEntry>();
  readonly #ordered: OrderedMap<KeyEntry>;

  constructor(ordered: OrderedMap<KeyEntry> = orderedMap()) {
    this.#ordered = ordered;
  }

  /** Of entries by their keys, in any order. */
  static of(entries: ReadonlyMap<string, KeyEntry>): KeyTable {
    // Sorting is cheap where the keys came in order, as they often do.
    const sorted = [...entries.values()].sort((a, b) => compareText(a.key, b.key));
    const keys = sorted.map((entry) => entry.key);
    return new KeyTable(orderedMapOf(keys, sorted));
  }

  get(key: string): KeyEntry | undefined {
    const asked = this.#byKey.get(key);
    if (asked !== undefined) return asked;
    const entry = this.#ordered.get(key);
    if (entry !== undefined) this.#byKey.set(key, entry);
    return entry;
  }

  /** The key's entry, made empty if it is new. */
  ensure(key: string): KeyEntry {
    const known = this.get(key);
    if (known !== undefined) return known;
    const entry = new KeyEntry(key);
    const isNew = this.#ordered.set(key, entry);
    assert(isNew, 'a key that was not found is new');
    return entry;
  }

  /** Forgets an entry without history. A newer entry of the same key stays. */
  remove(entry: KeyEntry): void {
    assert(entry.isEmpty(), () => `an entry with history ${entry.describe()} cannot be removed`);
    if (this.#ordered.get(entry.key) !== entry) return;
    this.#byKey.delete(entry.key);
    const wasThere = this.#ordered.delete(entry.key);
    assert(wasThere, 'an entry that was found is there to delete');
  }

  /** Calls `visit` for every entry in the range, in key order. `visit` must not add or remove entries. */
  forEach(range: KeyRange, visit: (entry: KeyEntry) => void): void {
    if (range.isSingle) {
      const entry = this.get(range.from);
      if (entry !== undefined) visit(entry);
      return;
    }
    const last = range.to ?? this.#ordered.maxKey();
    if (last === undefined) return;
    this.#ordered.forRange(range.from, last, range.to === undefined, (_, entry) => visit(entry));
  }

  /** Every entry, in key order. */
  entries(): Iterable<KeyEntry> {
    return this.#ordered.values();
  }

  /** Every entry after the key, in key order; all of them for undefined. The table may change once nobody asks for the next. */
  *entriesAfter(key: string | undefined): Generator<KeyEntry> {
    for (const [found, entry] of this.#ordered.entries(key)) if (found !== key) yield entry;
  }
}
