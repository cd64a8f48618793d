/**
 * Finds the watchers of a key, or groups of them, in less than linear time.
 *
 * Watchers of one key sit in a map by that key. Watchers of a prefix (nearly all others: Kubernetes watches nothing else)
 * sit in a map by prefix, and a key asks it once for each length that any prefix has. The rest, true intervals, sit in a
 * sorted array with the greatest upper end of every subtree beside it: an interval tree without pointers, built again at
 * the first lookup after a change.
 */
import { assert } from '../../env/assert.ts';
import type { KeyRange } from './key-range.ts';
import { rangeContains, rangePrefix } from './key-range.ts';

export interface Ranged {
  readonly range: KeyRange;
}

export class WatcherIndex<W extends Ranged> {
  readonly #byKey = new Map<string, W[]>();
  readonly #byPrefix = new Map<string, W[]>();
  /** How many prefixes have a length. */
  readonly #prefixLengths = new Map<number, number>();
  readonly #byInterval = new Map<string, W[]>();
  /** undefined after a change. */
  #tree: readonly IntervalNode<W>[] | undefined = [];
  #size = 0;

  size(): number {
    return this.#size;
  }

  add(watcher: W): void {
    const before = this.#size;
    const prefix = rangePrefix(watcher.range);
    if (watcher.range.isSingle) this.#size += addTo(this.#byKey, watcher.range.from, watcher);
    else if (prefix === undefined) {
      this.#size += addTo(this.#byInterval, intervalName(watcher.range), watcher);
      this.#tree = undefined;
    } else {
      const isNew = !this.#byPrefix.has(prefix);
      this.#size += addTo(this.#byPrefix, prefix, watcher);
      if (isNew) this.#prefixLengths.set(prefix.length, (this.#prefixLengths.get(prefix.length) ?? 0) + 1);
    }
    assert(this.#size === before + 1, 'a watcher is added once');
  }

  remove(watcher: W): void {
    const before = this.#size;
    const prefix = rangePrefix(watcher.range);
    if (watcher.range.isSingle) this.#size -= removeFrom(this.#byKey, watcher.range.from, watcher);
    else if (prefix === undefined) {
      this.#size -= removeFrom(this.#byInterval, intervalName(watcher.range), watcher);
      this.#tree = undefined;
    } else {
      this.#size -= removeFrom(this.#byPrefix, prefix, watcher);
      if (!this.#byPrefix.has(prefix)) this.#dropPrefixLength(prefix.length);
    }
    assert(this.#size === before - 1, 'only a watcher that was added is removed');
  }

  /** Those of exactly this range. */
  at(range: KeyRange): readonly W[] | undefined {
    if (range.isSingle) return this.#byKey.get(range.from);
    const prefix = rangePrefix(range);
    return prefix === undefined ? this.#byInterval.get(intervalName(range)) : this.#byPrefix.get(prefix);
  }

  /** Calls `visit` for every watcher of `key`; it must not add or remove watchers. */
  forEach(key: string, visit: (watcher: W) => void): void {
    this.#byKey.get(key)?.forEach(visit);
    for (const length of this.#prefixLengths.keys()) {
      if (length <= key.length) this.#byPrefix.get(key.slice(0, length))?.forEach(visit);
    }
    if (this.#byInterval.size === 0) return;
    this.#tree ??= buildTree([...this.#byInterval.values()].flat());
    visitTree(this.#tree, { low: 0, high: this.#tree.length - 1, key }, visit);
  }

  #dropPrefixLength(length: number): void {
    const prefixes = (this.#prefixLengths.get(length) ?? 0) - 1;
    assert(prefixes >= 0, () => `no prefix of length ${length} is known`);
    if (prefixes === 0) this.#prefixLengths.delete(length);
    else this.#prefixLengths.set(length, prefixes);
  }
}

/** Different for different intervals, whatever bytes are in their ends. */
function intervalName({ from, to }: KeyRange): string {
  return to === undefined ? `-${from}` : `${from.length}-${from}${to}`;
}

function addTo<W>(map: Map<string, W[]>, name: string, watcher: W): number {
  const list = map.get(name);
  if (list === undefined) map.set(name, [watcher]);
  else if (list.includes(watcher)) return 0;
  else list.push(watcher);
  return 1;
}

function removeFrom<W>(map: Map<string, W[]>, name: string, watcher: W): number {
  const list = map.get(name);
  const place = list?.indexOf(watcher) ?? -1;
  if (list === undefined || place === -1) return 0;
  if (list.length === 1) map.delete(name);
  else list.splice(place, 1);
  return 1;
}

interface IntervalNode<W> {
  readonly watcher: W;
  /** Greatest upper end in the subtree whose middle this is; undefined = no upper end. */
  maxTo: string | undefined;
}

/** Sorted by lower end; the node in the middle of [low, high] is the root of that part. */
function buildTree<W extends Ranged>(watchers: W[]): IntervalNode<W>[] {
  watchers.sort((a, b) => (a.range.from < b.range.from ? -1 : a.range.from > b.range.from ? 1 : 0));
  const nodes = watchers.map((watcher): IntervalNode<W> => ({ watcher, maxTo: watcher.range.to }));
  const fill = (low: number, high: number): string | undefined => {
    const middle = (low + high) >>> 1;
    const node = nodes[middle] as IntervalNode<W>;
    if (low < middle) node.maxTo = laterEnd(node.maxTo, fill(low, middle - 1));
    if (middle < high) node.maxTo = laterEnd(node.maxTo, fill(middle + 1, high));
    return node.maxTo;
  };
  if (nodes.length > 0) fill(0, nodes.length - 1);
  return nodes;
}

function laterEnd(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return undefined;
  return a > b ? a : b;
}

function visitTree<W extends Ranged>(
  nodes: readonly IntervalNode<W>[],
  at: { readonly low: number; readonly high: number; readonly key: string },
  visit: (watcher: W) => void,
): void {
  if (at.low > at.high) return;
  const middle = (at.low + at.high) >>> 1;
  const node = nodes[middle] as IntervalNode<W>;
  if (node.maxTo !== undefined && node.maxTo <= at.key) return;
  visitTree(nodes, { ...at, high: middle - 1 }, visit);
  if (node.watcher.range.from > at.key) return;
  if (rangeContains(node.watcher.range, at.key)) visit(node.watcher);
  visitTree(nodes, { ...at, low: middle + 1 }, visit);
}
