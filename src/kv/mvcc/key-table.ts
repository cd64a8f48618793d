/**
 * All keys that have any history: a map for point lookups and a B+ tree for ranges, over the same entries.
 *
 * The map is there because most requests name one key and a hash lookup costs a fraction of a tree descent. The tree
 * changes only when a key appears for the first time or its last revision is dropped, not with every put.
 */
import { assert } from '../../env/assert.ts';
import type { OrderedMap } from '../backend/btree.ts';
import { orderedMap } from '../backend/btree.ts';
import { KeyEntry } from './key-index.ts';
import type { KeyRange } from './key-range.ts';

export class KeyTable {
  readonly #byKey = new Map<string, KeyEntry>();
  readonly #ordered: OrderedMap<KeyEntry> = orderedMap();

  get(key: string): KeyEntry | undefined {
    return this.#byKey.get(key);
  }

  /** The key's entry, made empty if it is new. */
  ensure(key: string): KeyEntry {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const entry = new KeyEntry(key);
    this.#byKey.set(key, entry);
    const isNew = this.#ordered.set(key, entry);
    assert(isNew, 'map and tree hold the same keys');
    return entry;
  }

  /** Forgets an entry without history. A newer entry of the same key stays. */
  remove(entry: KeyEntry): void {
    assert(entry.isEmpty(), () => `an entry with history ${entry.describe()} cannot be removed`);
    if (this.#byKey.get(entry.key) !== entry) return;
    this.#byKey.delete(entry.key);
    const wasThere = this.#ordered.delete(entry.key);
    assert(wasThere, 'map and tree hold the same keys');
  }

  /** Calls `visit` for every entry in the range, in key order. `visit` must not add or remove entries. */
  forEach(range: KeyRange, visit: (entry: KeyEntry) => void): void {
    if (range.isSingle) {
      const entry = this.#byKey.get(range.from);
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
}
