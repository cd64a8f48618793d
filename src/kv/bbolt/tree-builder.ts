/**
 * Builds one bucket's tree from the bottom up out of entries that come in key order: a leaf is given out as soon as it is
 * full, and its place goes into the branch above. Only one page per level is in memory.
 *
 * Every branch has at least two pages below it, as bbolt asserts when it later takes entries out of one.
 */
import { assert, present } from '../../env/assert.ts';
import { bucketFlag, elementBytes, pageFlags, pageHeaderBytes } from './format.ts';

/** Takes a page, a whole number of pages long and without its number, and returns the number it got. */
export type PageSink = (page: Buffer) => number;

interface Element {
  readonly key: Uint8Array;
  /** Of a leaf. */
  readonly value: Uint8Array;
  /** Of a branch. */
  readonly child: number;
}

interface Level {
  elements: Element[];
  bytes: number;
}

const noValue = new Uint8Array(0);
/** 16 bits count a page's elements. */
const elementsMax = 0xffff;
const leafElementsMin = 1;
const branchElementsMin = 2;

export class TreeBuilder {
  readonly #pageBytes: number;
  readonly #sink: PageSink;
  readonly #valuesAreBuckets: boolean;
  /** The leaf that fills, then the branches above it. */
  readonly #levels: Level[] = [{ elements: [], bytes: pageHeaderBytes }];
  #lastKey: Uint8Array | undefined;
  #isEnded = false;

  constructor(pageBytes: number, sink: PageSink, valuesAreBuckets = false) {
    assert(pageBytes >= 512 && pageBytes % 512 === 0, () => `pages of ${pageBytes} bytes`);
    this.#pageBytes = pageBytes;
    this.#sink = sink;
    this.#valuesAreBuckets = valuesAreBuckets;
  }

  /** Keys must rise. Both arrays must not change until they were given out. */
  add(key: Uint8Array, value: Uint8Array): void {
    assert(!this.#isEnded, 'an ended tree takes no more entries');
    assert(key.length > 0, 'bbolt has no empty keys');
    const last = this.#lastKey;
    assert(last === undefined || Buffer.compare(last, key) < 0, 'entries come in the order of their keys');
    this.#lastKey = key;
    this.#put(0, { key, value, child: 0 });
  }

  /** Gives out what is left and returns the root's page. */
  end(): number {
    assert(!this.#isEnded, 'a tree ends once');
    this.#isEnded = true;
    for (let level = 0; ; level++) {
      const { elements } = this.#level(level);
      const isTop = level === this.#levels.length - 1;
      // A branch that leads to one page only is no branch: that page is the root.
      if (level > 0 && isTop && elements.length === 1) return present(elements[0], 'the only page').child;
      const count = this.#fitting(level);
      if (isTop && count === elements.length) return this.#give(level, count);
      if (count < elements.length) {
        const rest = Math.max(elements.length - count, elementsMinAt(level));
        const first = elements.length - rest;
        if (first >= elementsMinAt(level)) this.#giveUp(level, first);
      }
      this.#giveUp(level, this.#level(level).elements.length);
    }
  }

  #put(level: number, element: Element): void {
    const into = this.#level(level);
    into.elements.push(element);
    into.bytes += costOf(element);
    if (into.bytes <= this.#pageBytes && into.elements.length <= elementsMax) return;
    const count = this.#fitting(level);
    // Enough must be left for a page of its own, should nothing follow.
    if (into.elements.length - count >= elementsMinAt(level)) this.#giveUp(level, count);
  }

  /** How many of a level's elements fit one page; never fewer than a page must have. */
  #fitting(level: number): number {
    const { elements } = this.#level(level);
    let bytes = pageHeaderBytes;
    let count = 0;
    for (const element of elements) {
      bytes += costOf(element);
      if (count >= elementsMinAt(level) && (bytes > this.#pageBytes || count === elementsMax)) break;
      count += 1;
    }
    return count;
  }

  #giveUp(level: number, count: number): void {
    const first = present(this.#level(level).elements[0], 'the first element of a page');
    const child = this.#give(level, count);
    if (level === this.#levels.length - 1) this.#levels.push({ elements: [], bytes: pageHeaderBytes });
    this.#put(level + 1, { key: first.key, value: noValue, child });
  }

  #give(level: number, count: number): number {
    const from = this.#level(level);
    assert(count <= from.elements.length && (count > 0 || level === 0), 'a page has elements');
    const elements = from.elements.slice(0, count);
    from.elements = from.elements.slice(count);
    from.bytes = from.elements.reduce((bytes, element) => bytes + costOf(element), pageHeaderBytes);
    const flags = this.#valuesAreBuckets ? bucketFlag : 0;
    return this.#sink(level === 0 ? leafPage(elements, this.#pageBytes, flags) : branchPage(elements, this.#pageBytes));
  }

  #level(level: number): Level {
    return present(this.#levels[level], `level ${level}`);
  }
}

function elementsMinAt(level: number): number {
  return level === 0 ? leafElementsMin : branchElementsMin;
}

function costOf(element: Element): number {
  return elementBytes + element.key.length + element.value.length;
}

function emptyPage(elements: readonly Element[], pageBytes: number, flags: number): Buffer {
  const bytes = elements.reduce((sum, element) => sum + costOf(element), pageHeaderBytes);
  const run = Math.ceil(bytes / pageBytes);
  const page = Buffer.alloc(run * pageBytes);
  page.writeUInt16LE(flags, 8);
  page.writeUInt16LE(elements.length, 10);
  page.writeUInt32LE(run - 1, 12);
  return page;
}

function leafPage(elements: readonly Element[], pageBytes: number, flags: number): Buffer {
  const page = emptyPage(elements, pageBytes, pageFlags.leaf);
  let data = pageHeaderBytes + elements.length * elementBytes;
  for (const [number, { key, value }] of elements.entries()) {
    const at = pageHeaderBytes + number * elementBytes;
    page.writeUInt32LE(flags, at);
    page.writeUInt32LE(data - at, at + 4);
    page.writeUInt32LE(key.length, at + 8);
    page.writeUInt32LE(value.length, at + 12);
    page.set(key, data);
    page.set(value, data + key.length);
    data += key.length + value.length;
  }
  return page;
}

function branchPage(elements: readonly Element[], pageBytes: number): Buffer {
  const page = emptyPage(elements, pageBytes, pageFlags.branch);
  let data = pageHeaderBytes + elements.length * elementBytes;
  for (const [number, { key, child }] of elements.entries()) {
    const at = pageHeaderBytes + number * elementBytes;
    page.writeUInt32LE(data - at, at);
    page.writeUInt32LE(key.length, at + 4);
    page.writeBigUInt64LE(BigInt(child), at + 8);
    page.set(key, data);
    data += key.length;
  }
  return page;
}
