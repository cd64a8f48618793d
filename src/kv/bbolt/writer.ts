/**
 * Writes a bbolt file in one pass: bucket after bucket, each with its entries in key order, page after page as they fill;
 * the two meta pages come last, at the front. Memory is one page per level of a tree and what waits for the disk.
 *
 * The file has no free pages and can be opened for reading and writing by bbolt. It is whole only after `finish`, and
 * durable only once its owner has synced it.
 */
import { assert } from '../../env/assert.ts';
import { bucketHeaderBytes, defaultPageBytes, encodeMeta, pageFlags } from './format.ts';
import { type PageRoom, TreeBuilder } from './tree-builder.ts';

/** What the writer needs of a file; DiskFile has it. */
export interface ByteSink {
  write(offset: number, chunks: readonly Uint8Array[]): Promise<void>;
}

export interface BoltWriter {
  /** Begins a bucket, in any order of names. The one before it must have ended. */
  beginBucket(name: string): void;
  /** Keys must rise. Both arrays are copied. Not while `flush` is under way. */
  add(key: Uint8Array, value: Uint8Array): void;
  endBucket(): void;
  /** Whether enough has gathered that `flush` should be awaited before more is added. */
  isFull(): boolean;
  flush(): Promise<void>;
  /** Writes what is left and the metas; returns the length of the file. */
  finish(): Promise<number>;
}

/** Gathered bytes that are worth a write of their own. */
const gatheredBytesMax = 1024 * 1024;
/** Where that memory begins to grow; most files are small. */
const smallestBytes = 16 * 1024;
/** Pages 0 and 1 are the metas, page 2 the list of free pages, which is empty. */
const freelistPage = 2;

export function createBoltWriter(file: ByteSink): BoltWriter {
  return new Writer(file);
}

class Writer implements BoltWriter {
  readonly #file: ByteSink;
  #nextPage = freelistPage + 1;
  /** Pages are made in this memory, which every flush frees for the next ones. */
  #gathered = Buffer.allocUnsafeSlow(smallestBytes);
  #gatheredBytes = 0;
  #isFlushing = false;
  /** Where `#gathered` begins. */
  #offset = (freelistPage + 1) * defaultPageBytes;
  #open: { readonly name: string; readonly tree: TreeBuilder } | undefined;
  readonly #roots = new Map<string, number>();

  constructor(file: ByteSink) {
    this.#file = file;
  }

  beginBucket(name: string): void {
    assert(this.#open === undefined, () => `bucket ${this.#open?.name} ends before ${name} begins`);
    assert(name !== '' && !this.#roots.has(name), () => `bucket ${name} is written once`);
    this.#open = { name, tree: new TreeBuilder(defaultPageBytes, (bytes) => this.#room(bytes)) };
  }

  add(key: Uint8Array, value: Uint8Array): void {
    assert(this.#open !== undefined, 'entries are added to a bucket');
    this.#open.tree.add(key, value);
  }

  endBucket(): void {
    assert(this.#open !== undefined, 'a bucket ends after it began');
    this.#roots.set(this.#open.name, this.#open.tree.end());
    this.#open = undefined;
  }

  isFull(): boolean {
    return this.#gatheredBytes >= gatheredBytesMax;
  }

  async flush(): Promise<void> {
    if (this.#gatheredBytes === 0) return;
    assert(!this.#isFlushing, 'a flush is awaited');
    this.#isFlushing = true;
    try {
      await this.#file.write(this.#offset, [this.#gathered.subarray(0, this.#gatheredBytes)]);
    } finally {
      this.#isFlushing = false;
    }
    this.#offset += this.#gatheredBytes;
    this.#gatheredBytes = 0;
  }

  async finish(): Promise<number> {
    assert(this.#open === undefined, 'every bucket has ended');
    const tree = new TreeBuilder(defaultPageBytes, (bytes) => this.#room(bytes), true);
    const names = [...this.#roots].map(([name, root]) => ({ key: Buffer.from(name, 'utf8'), root }));
    for (const { key, root } of names.sort((a, b) => Buffer.compare(a.key, b.key))) tree.add(key, bucketHeader(root));
    const root = tree.end();
    await this.flush();
    const bytes = this.#nextPage * defaultPageBytes;
    assert(bytes === this.#offset, () => `${this.#offset} bytes were written for ${this.#nextPage} pages`);
    const meta = {
      pageBytes: defaultPageBytes,
      root,
      sequence: 0n,
      freelist: BigInt(freelistPage),
      pages: this.#nextPage,
    };
    const freelist = Buffer.alloc(defaultPageBytes);
    freelist.writeBigUInt64LE(BigInt(freelistPage), 0);
    freelist.writeUInt16LE(pageFlags.freelist, 8);
    // A transaction's meta is in the page of its number's last bit.
    const metas = [encodeMeta(0, { ...meta, transaction: 2n }), encodeMeta(1, { ...meta, transaction: 1n })];
    await this.#file.write(0, [...metas, freelist]);
    return bytes;
  }

  #room(bytes: number): PageRoom {
    assert(bytes > 0 && bytes % defaultPageBytes === 0, () => `a page run of ${bytes} bytes`);
    assert(!this.#isFlushing, 'nothing is added while pages are on their way to the disk');
    const from = this.#gatheredBytes;
    const end = from + bytes;
    if (end > this.#gathered.length) {
      const longer = Buffer.allocUnsafeSlow(Math.max(end, this.#gathered.length * 2));
      longer.set(this.#gathered.subarray(0, from));
      this.#gathered = longer;
    }
    const id = this.#nextPage;
    this.#nextPage += bytes / defaultPageBytes;
    this.#gatheredBytes = end;
    const page = this.#gathered.subarray(from, end).fill(0);
    page.writeBigUInt64LE(BigInt(id), 0);
    return { page, id };
  }
}

function bucketHeader(root: number): Buffer {
  const header = Buffer.alloc(bucketHeaderBytes);
  header.writeBigUInt64LE(BigInt(root), 0);
  return header;
}
