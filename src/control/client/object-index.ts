/** The local copy of an informer: objects by key, and by the values of index functions. Pure. */
import { assert } from '../../env/assert.ts';
import type { KubeObject } from '../api/contract.ts';

type IndexFunction = (object: KubeObject) => readonly string[];

interface Index {
  readonly values: IndexFunction;
  readonly keys: Map<string, Set<string>>;
}

export class ObjectIndex {
  readonly #objects = new Map<string, KubeObject>();
  readonly #indexes = new Map<string, Index>();

  get(key: string): KubeObject | undefined {
    return this.#objects.get(key);
  }

  list(): readonly KubeObject[] {
    return [...this.#objects.values()];
  }

  keys(): readonly string[] {
    return [...this.#objects.keys()];
  }

  get size(): number {
    return this.#objects.size;
  }

  /** Adding an index of the same name again keeps the first: controllers share informers. */
  addIndex(name: string, values: IndexFunction): void {
    if (this.#indexes.has(name)) return;
    const index: Index = { values, keys: new Map() };
    this.#indexes.set(name, index);
    for (const [key, object] of this.#objects) link(index, key, object);
  }

  byIndex(name: string, value: string): readonly KubeObject[] {
    const index = this.#indexes.get(name);
    assert(index !== undefined, () => `index ${name} must have been added`);
    return [...(index.keys.get(value) ?? [])].map((key) => {
      const object = this.#objects.get(key);
      assert(object !== undefined, () => `index ${name} must only name objects that are there, not ${key}`);
      return object;
    });
  }

  /** Puts `object` in place, or removes it when undefined. Returns the state before. */
  set(key: string, object: KubeObject | undefined): KubeObject | undefined {
    const before = this.#objects.get(key);
    for (const index of this.#indexes.values()) {
      if (before !== undefined) unlink(index, key, before);
      if (object !== undefined) link(index, key, object);
    }
    if (object === undefined) this.#objects.delete(key);
    else this.#objects.set(key, object);
    return before;
  }
}

function link(index: Index, key: string, object: KubeObject): void {
  for (const value of index.values(object)) {
    const keys = index.keys.get(value);
    if (keys === undefined) index.keys.set(value, new Set([key]));
    else keys.add(key);
  }
}

function unlink(index: Index, key: string, object: KubeObject): void {
  for (const value of index.values(object)) {
    const keys = index.keys.get(value);
    keys?.delete(key);
    if (keys?.size === 0) index.keys.delete(value);
  }
}
