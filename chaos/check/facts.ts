/** A map whose clones cost nothing until one of them changes, and which keeps its description until then. */
export class Facts<K extends string | number, V> {
  readonly #textOf: (value: V) => string;
  #map = new Map<K, V>();
  /** A clone has the same map. */
  #isShared = false;
  #description: string | undefined;

  /** `textOf` is the same for values that mean the same. */
  constructor(textOf: (value: V) => string) {
    this.#textOf = textOf;
  }

  clone(): Facts<K, V> {
    const copy = new Facts<K, V>(this.#textOf);
    copy.#map = this.#map;
    copy.#isShared = true;
    copy.#description = this.#description;
    this.#isShared = true;
    return copy;
  }

  has(key: K): boolean {
    return this.#map.has(key);
  }

  get(key: K): V | undefined {
    return this.#map.get(key);
  }

  keys(): Iterable<K> {
    return this.#map.keys();
  }

  entries(): Iterable<[K, V]> {
    return this.#map.entries();
  }

  set(key: K, value: V): void {
    if (this.#map.get(key) === value) return;
    if (this.#isShared) this.#map = new Map(this.#map);
    this.#isShared = false;
    this.#description = undefined;
    this.#map.set(key, value);
  }

  /** A text that is the same for the same facts, in whatever order they came. */
  describe(): string {
    this.#description ??= [...this.#map]
      .map(([key, value]) => `${key}=${this.#textOf(value)}`)
      .sort()
      .join(' ');
    return this.#description;
  }
}
