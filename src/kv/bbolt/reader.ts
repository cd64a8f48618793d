/**
 * Reads a bbolt file bucket by bucket, in key order, with little memory: one path of pages and a few windows of the file,
 * however large it is.
 *
 * Everything is checked on the way: meta checksums, page numbers, lengths, the order of keys inside a page, between pages
 * and against the branches above. A damaged file ends in KeelsonError `BOLT_DAMAGED`, never in a crash, an endless walk or
 * memory without bound: keys must rise from leaf to leaf, so no page is met twice, and the depth is limited.
 *
 * The caller owes: the file does not change meanwhile. Buckets inside buckets, which etcd has none of, are refused.
 */
import { assert, present } from '../../env/assert.ts';
import { type BoltMeta, bucketHeaderBytes, damaged, decodeMeta } from './format.ts';
import { type BranchElement, decodePage, type LeafElement, type Page } from './page.ts';
import { type ByteSource, WindowedSource } from './source.ts';

export type BoltEntry = readonly [key: Uint8Array, value: Uint8Array];

export interface BoltReader {
  readonly meta: BoltMeta;
  /** Names of the buckets, in order. */
  readonly buckets: readonly string[];
  /**
   * The entries of a bucket in key order, a leaf page at a time; nothing for a bucket that is not there. Keys and values
   * are views of a page, which they keep in memory.
   */
  entries(bucket: string): AsyncGenerator<readonly BoltEntry[]>;
}

/** A page run is in memory whole. etcd's largest values are some megabytes; a page holds at least two. */
const pageRunBytesMax = 256 * 1024 * 1024;
/** A tree of the smallest branches, two pages each, would need a file of 2^40 pages to be deeper. */
const depthMax = 40;
/** etcd has about a dozen buckets. */
const bucketsMax = 10_000;

/** Where a second meta may lie when the first one, which tells the page size, is damaged. */
const pageSizesTried = [4096, 8192, 16_384, 32_768, 65_536, 1024, 2048];

/** Checks the metas and reads the root bucket. */
export async function openBolt(file: ByteSource, sizeBytes?: number): Promise<BoltReader> {
  const source = new WindowedSource(file, sizeBytes ?? (await file.size()));
  const meta = await readMeta(source);
  const tree = new Tree(source, meta);
  const roots = new Map<string, Buffer>();
  for await (const leaf of tree.leaves(await tree.page(meta.root))) {
    for (const { isBucket, key, value } of leaf) {
      if (!isBucket) throw damaged('its root holds something else than buckets');
      if (value.length < bucketHeaderBytes) throw damaged(`a bucket is described by ${value.length} bytes`);
      if (roots.size >= bucketsMax) throw damaged(`it has more than ${bucketsMax} buckets`);
      roots.set(key.toString('latin1'), Buffer.from(value));
    }
  }
  return {
    meta,
    buckets: [...roots.keys()],
    async *entries(bucket) {
      const root = roots.get(bucket);
      if (root === undefined) return;
      for await (const leaf of tree.leaves(await tree.rootOf(root))) {
        yield leaf.map(({ isBucket, key, value }): BoltEntry => {
          if (isBucket) throw damaged(`bucket ${JSON.stringify(bucket)} holds another bucket`);
          return [key, value];
        });
      }
    },
  };
}

/** The valid meta of the newest transaction. */
async function readMeta(source: WindowedSource): Promise<BoltMeta> {
  const found: BoltMeta[] = [];
  const reasons: string[] = [];
  const look = async (offset: number) => {
    const length = Math.min(4096, source.size - offset);
    const meta = length > 0 ? decodeMeta(await source.read(offset, length)) : 'there is nothing';
    if (typeof meta === 'string') reasons.push(`at byte ${offset} ${meta}`);
    else found.push(meta);
    return typeof meta === 'string' ? undefined : meta;
  };
  const first = await look(0);
  for (const offset of first ? [first.pageBytes] : pageSizesTried) {
    const second = await look(offset);
    if (second && second.pageBytes !== offset) throw damaged(`the meta page at ${offset} has size ${second.pageBytes}`);
    if (second) break;
  }
  const [newest] = found.sort((a, b) => (a.transaction < b.transaction ? 1 : -1));
  if (newest === undefined) throw damaged(`it has no valid meta page: ${reasons.slice(0, 2).join('; ')}`);
  const bytesMin = newest.pages * newest.pageBytes;
  if (bytesMin > source.size) throw damaged(`it has ${source.size} bytes, its meta page says at least ${bytesMin}`);
  return newest;
}

/** A page on the way down: its next child and the key that ends the page's range. */
interface Step {
  readonly elements: readonly BranchElement[];
  readonly to: Buffer | undefined;
  next: number;
}

class Tree {
  readonly #source: WindowedSource;
  readonly #meta: BoltMeta;

  constructor(source: WindowedSource, meta: BoltMeta) {
    assert(meta.pages * meta.pageBytes <= source.size, 'the pages in use are in the file');
    this.#source = source;
    this.#meta = meta;
  }

  async page(id: number): Promise<Page> {
    const { pageBytes, pages } = this.#meta;
    if (id < 2 || id >= pages) throw damaged(`a page in 2..${pages - 1} is named`, id);
    const first = await this.#source.read(id * pageBytes, pageBytes);
    if (first.readBigUInt64LE(0) !== BigInt(id)) throw damaged(`it says that it is ${first.readBigUInt64LE(0)}`, id);
    const run = 1 + first.readUInt32LE(12);
    if (id + run > pages) throw damaged(`it takes ${run} pages, the file has ${pages}`, id);
    if (run * pageBytes > pageRunBytesMax) throw damaged(`it takes ${run} pages, more than can be believed`, id);
    return decodePage(run === 1 ? first : await this.#source.read(id * pageBytes, run * pageBytes), id);
  }

  /** The root page of the bucket that the root bucket describes by `value`. */
  rootOf(value: Buffer): Promise<Page> | Page {
    assert(value.length >= bucketHeaderBytes, 'a bucket has a header');
    const root = value.readBigUInt64LE(0);
    if (root > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged(`a bucket begins at page ${root}`);
    if (root !== 0n) return this.page(Number(root));
    const page = decodePage(value.subarray(bucketHeaderBytes), 0);
    if (page.kind !== 'leaf') throw damaged('a bucket without pages is no leaf');
    return page;
  }

  /** Every leaf below `root`, left to right. */
  async *leaves(root: Page): AsyncGenerator<readonly LeafElement[]> {
    const path: Step[] = [];
    let last: Buffer | undefined;
    let page: Page | undefined = root;
    let from: Buffer | undefined;
    let to: Buffer | undefined;
    for (;;) {
      if (page?.kind === 'leaf') {
        // Only a whole bucket can be empty.
        if (page.elements.length === 0 && path.length > 0) throw damaged('it is empty', page.id);
        last = checkOrder(page, from, to, last);
        yield page.elements;
      } else if (page !== undefined) {
        if (page.elements.length === 0) throw damaged('it is a branch without pages', page.id);
        if (path.length === depthMax) throw damaged(`the tree is deeper than ${depthMax} pages`, page.id);
        checkOrder(page, from, to, undefined);
        path.push({ elements: page.elements, to, next: 0 });
      }
      let step = path.at(-1);
      while (step !== undefined && step.next === step.elements.length) {
        path.pop();
        step = path.at(-1);
      }
      if (step === undefined) return;
      const child = present(step.elements[step.next], 'the next child');
      step.next += 1;
      from = child.key;
      to = step.elements[step.next]?.key ?? step.to;
      page = await this.page(child.page);
    }
  }
}

/** Keys rise, after `last`, from `from` on and below `to`. Returns the last key. */
function checkOrder(page: Page, from: Buffer | undefined, to: Buffer | undefined, last: Buffer | undefined) {
  let previous = last;
  for (const { key } of page.elements) {
    if (previous !== undefined && Buffer.compare(previous, key) >= 0) throw damaged('keys do not rise', page.id);
    previous = key;
  }
  const [first] = page.elements;
  if (from !== undefined && first !== undefined && Buffer.compare(first.key, from) < 0) {
    throw damaged('it begins before the key that leads to it', page.id);
  }
  if (to !== undefined && previous !== undefined && Buffer.compare(previous, to) >= 0) {
    throw damaged('it goes on after the key that ends it', page.id);
  }
  return previous;
}
