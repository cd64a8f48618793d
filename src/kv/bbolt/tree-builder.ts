/**
 * Builds one bucket's tree from the bottom up out of entries that come in key order: a leaf is given out as soon as it is
 * full, and its place goes into the branch above. Only one page per level is in memory.
 *
 * Every branch has at least two pages below it, as bbolt asserts when it later takes entries out of one.
 */
import { assert, present } from '../../env/assert.ts';
import { bucketFlag, elementBytes, pageFlags, pageHeaderBytes } from './format.ts';
import { Leaf } from './leaf.ts';

export interface PageRoom {
  /** Zeros but for its number, to be filled before the next one is asked for. */
  readonly page: Buffer;
  readonly id: number;
}

/** Memory for a page of so many bytes, a whole number of pages. */
export type PageSource = (bytes: number) => PageRoom;

/** Of a branch: a page below, and the first key in it. */
interface Element {
  readonly key: Uint8Array;
  readonly child: number;
}

interface Branch {
  elements: Element[];
  bytes: number;
}

/** 16 bits count a page's elements. */
const elementsMax = 0xffff;
const branchElementsMin = 2;

export class TreeBuilder {
  readonly #pageBytes: number;
  readonly #source: PageSource;
  readonly #leafFlags: number;
  readonly #leaf: Leaf;
  /** Those above the leaves, from the lowest up. */
  readonly #branches: Branch[] = [];
  #isEnded = false;

  constructor(pageBytes: number, source: PageSource, valuesAreBuckets = false) {
    assert(pageBytes >= 512 && pageBytes % 512 === 0, () => `pages of ${pageBytes} bytes`);
    this.#pageBytes = pageBytes;
    this.#source = source;
    this.#leafFlags = valuesAreBuckets ? bucketFlag : 0;
    this.#leaf = new Leaf(pageBytes);
  }

  /** Keys must rise. Both arrays are copied. */
  add(key: Uint8Array, value: Uint8Array): void {
    assert(!this.#isEnded, 'an ended tree takes no more entries');
    assert(key.length > 0, 'bbolt has no empty keys');
    const leaf = this.#leaf;
    assert(leaf.isBehind(key), 'entries come in the order of their keys');
    if (leaf.count > 0 && (leaf.bytesWith(key, value) > this.#pageBytes || leaf.count === elementsMax)) {
      this.#giveLeafUp();
    }
    leaf.add(key, value);
  }

  /** Gives out what is left and returns the root's page. */
  end(): number {
    assert(!this.#isEnded, 'a tree ends once');
    this.#isEnded = true;
    if (this.#branches.length === 0) return this.#giveLeaf();
    if (this.#leaf.count > 0) this.#giveLeafUp();
    for (let level = 0; ; level++) {
      const { elements } = this.#branch(level);
      const isTop = level === this.#branches.length - 1;
      // A branch that leads to one page only is no branch: that page is the root.
      if (isTop && elements.length === 1) return present(elements[0], 'the only page').child;
      const count = this.#fitting(level);
      if (isTop && count === elements.length) return this.#give(level, count);
      if (count < elements.length) {
        const rest = Math.max(elements.length - count, branchElementsMin);
        const first = elements.length - rest;
        if (first >= branchElementsMin) this.#giveUp(level, first);
      }
      this.#giveUp(level, this.#branch(level).elements.length);
    }
  }

  #giveLeafUp(): void {
    const key = this.#leaf.firstKey();
    this.#put(0, { key, child: this.#giveLeaf() });
  }

  #giveLeaf(): number {
    const { page, id } = this.#source(wholePages(this.#leaf.bytes, this.#pageBytes));
    this.#leaf.writeTo(page, this.#leafFlags);
    writeHead(page, pageFlags.leaf, this.#leaf.count, this.#pageBytes);
    this.#leaf.clear();
    return id;
  }

  #put(level: number, element: Element): void {
    const into = this.#branch(level);
    into.elements.push(element);
    into.bytes += costOf(element);
    if (into.bytes <= this.#pageBytes && into.elements.length <= elementsMax) return;
    const count = this.#fitting(level);
    // Enough must be left for a page of its own, should nothing follow.
    if (into.elements.length - count >= branchElementsMin) this.#giveUp(level, count);
  }

  /** How many of a level's elements fit one page; never fewer than a page must have. */
  #fitting(level: number): number {
    const { elements } = this.#branch(level);
    let bytes = pageHeaderBytes;
    let count = 0;
    for (const element of elements) {
      bytes += costOf(element);
      if (count >= branchElementsMin && (bytes > this.#pageBytes || count === elementsMax)) break;
      count += 1;
    }
    return count;
  }

  #giveUp(level: number, count: number): void {
    const { key } = present(this.#branch(level).elements[0], 'the first element of a page');
    const child = this.#give(level, count);
    this.#put(level + 1, { key, child });
  }

  #give(level: number, count: number): number {
    const from = this.#branch(level);
    assert(count <= from.elements.length && count > 0, 'a page has elements');
    const elements = from.elements.slice(0, count);
    from.elements = from.elements.slice(count);
    from.bytes = bytesOf(from.elements);
    const { page, id } = this.#source(wholePages(bytesOf(elements), this.#pageBytes));
    writeBranch(page, elements);
    writeHead(page, pageFlags.branch, elements.length, this.#pageBytes);
    return id;
  }

  /** Made when the level below gives out its first page. */
  #branch(level: number): Branch {
    assert(level <= this.#branches.length, 'levels begin one above the other');
    if (level === this.#branches.length) this.#branches.push({ elements: [], bytes: pageHeaderBytes });
    return present(this.#branches[level], `level ${level}`);
  }
}

function costOf({ key }: Element): number {
  return elementBytes + key.length;
}

function bytesOf(elements: readonly Element[]): number {
  return elements.reduce((bytes, element) => bytes + costOf(element), pageHeaderBytes);
}

function wholePages(bytes: number, pageBytes: number): number {
  return Math.ceil(bytes / pageBytes) * pageBytes;
}

function writeHead(page: Buffer, flags: number, count: number, pageBytes: number): void {
  page.writeUInt16LE(flags, 8);
  page.writeUInt16LE(count, 10);
  page.writeUInt32LE(page.length / pageBytes - 1, 12);
}

function writeBranch(page: Buffer, elements: readonly Element[]): void {
  let data = pageHeaderBytes + elements.length * elementBytes;
  for (const [number, { key, child }] of elements.entries()) {
    const at = pageHeaderBytes + number * elementBytes;
    page.writeUInt32LE(data - at, at);
    page.writeUInt32LE(key.length, at + 4);
    page.writeBigUInt64LE(BigInt(child), at + 8);
    page.set(key, data);
    data += key.length;
  }
  assert(data <= page.length, 'a branch fits its pages');
}
