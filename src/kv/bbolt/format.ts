/**
 * The bbolt file format: what both the reader and the writer know of it.
 *
 * A file is a row of pages. Pages 0 and 1 are the metas: the valid one with the higher transaction counts. A page is a
 * header of 16 bytes, its elements, then keys and values; one that needs more than a page's size runs on over `overflow`
 * further pages. Buckets are B+ trees; the root bucket's values are the buckets, each a root page and a sequence, and with
 * root page 0 the whole tree is one small page right behind them. All numbers are little-endian.
 *
 *   page header   id u64, flags u16, count u16, overflow u32
 *   leaf          flags u32 (1 = bucket), position u32, key size u32, value size u32     position counts from the element
 *   branch        position u32, key size u32, page u64
 *   meta          magic u32, version u32, page size u32, flags u32, root page u64, sequence u64, freelist page u64,
 *                 pages in use u64, transaction u64, FNV-1a checksum u64 of all before it
 */
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';

export const pageHeaderBytes = 16;
export const elementBytes = 16;
export const bucketHeaderBytes = 16;
export const metaBytes = 64;
export const magic = 0xed0cdaed;
export const formatVersion = 2;
export const bucketFlag = 1;
export const pageFlags = { branch: 0x01, leaf: 0x02, meta: 0x04, freelist: 0x10 } as const;
/** What etcd has on Linux, and what this writer uses everywhere: the file says it. */
export const defaultPageBytes = 4096;
/** Transactions that wrote no freelist have this in its place. */
export const noFreelist = 0xffff_ffff_ffff_ffffn;

export interface BoltMeta {
  readonly pageBytes: number;
  /** Page of the root bucket. */
  readonly root: number;
  readonly sequence: bigint;
  readonly freelist: bigint;
  /** Pages in use; none has this number or a higher one. */
  readonly pages: number;
  readonly transaction: bigint;
}

/** What is wrong with a file, at which page, and what to do. */
export function damaged(what: string, page?: number): KeelsonError {
  const where = page === undefined ? '' : ` page ${page}:`;
  return new KeelsonError(
    'BOLT_DAMAGED',
    `read the bbolt file:${where} ${what}: the file is damaged or no etcd database: take the snapshot again`,
  );
}

const fnvOffset = 0xcbf29ce484222325n;
const fnvPrime = 0x100000001b3n;

/** FNV-1a of 64 bits. */
export function fnv64a(bytes: Uint8Array): bigint {
  let hash = fnvOffset;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * fnvPrime);
  return hash;
}

/** The meta page `id`, one page long. */
export function encodeMeta(id: number, meta: BoltMeta): Buffer {
  assert(meta.root < meta.pages && meta.pages > 2, () => `root ${meta.root} is one of ${meta.pages} pages`);
  const page = Buffer.alloc(meta.pageBytes);
  page.writeBigUInt64LE(BigInt(id), 0);
  page.writeUInt16LE(pageFlags.meta, 8);
  const at = pageHeaderBytes;
  page.writeUInt32LE(magic, at);
  page.writeUInt32LE(formatVersion, at + 4);
  page.writeUInt32LE(meta.pageBytes, at + 8);
  page.writeBigUInt64LE(BigInt(meta.root), at + 16);
  page.writeBigUInt64LE(meta.sequence, at + 24);
  page.writeBigUInt64LE(meta.freelist, at + 32);
  page.writeBigUInt64LE(BigInt(meta.pages), at + 40);
  page.writeBigUInt64LE(meta.transaction, at + 48);
  page.writeBigUInt64LE(fnv64a(page.subarray(at, at + metaBytes - 8)), at + metaBytes - 8);
  return page;
}

/** The meta in a page, or what keeps it from counting. */
export function decodeMeta(page: Buffer): BoltMeta | string {
  if (page.length < pageHeaderBytes + metaBytes) return `${page.length} bytes hold no meta page`;
  const at = pageHeaderBytes;
  if (page.readUInt32LE(at) !== magic) return 'it does not begin as a meta page does';
  const version = page.readUInt32LE(at + 4);
  if (version !== formatVersion) return `its format version is ${version}, ${formatVersion} is known`;
  const checksum = page.readBigUInt64LE(at + metaBytes - 8);
  if (checksum !== fnv64a(page.subarray(at, at + metaBytes - 8))) return 'its checksum does not match';
  const pageBytes = page.readUInt32LE(at + 8);
  const isPower = pageBytes >= 512 && pageBytes <= 2 ** 26 && (pageBytes & (pageBytes - 1)) === 0;
  if (!isPower) return `its page size is ${pageBytes}`;
  const root = page.readBigUInt64LE(at + 16);
  const pages = page.readBigUInt64LE(at + 40);
  if (pages > BigInt(Number.MAX_SAFE_INTEGER) || root >= pages) return `its root is page ${root} of ${pages}`;
  return {
    pageBytes,
    root: Number(root),
    sequence: page.readBigUInt64LE(at + 24),
    freelist: page.readBigUInt64LE(at + 32),
    pages: Number(pages),
    transaction: page.readBigUInt64LE(at + 48),
  };
}

/** Where the parts of a leaf's element lie; nothing is checked against the page's length. */
export function leafElementOf(page: Buffer, number: number) {
  const at = pageHeaderBytes + number * elementBytes;
  return {
    flags: page.readUInt32LE(at),
    start: at + page.readUInt32LE(at + 4),
    keyBytes: page.readUInt32LE(at + 8),
    valueBytes: page.readUInt32LE(at + 12),
  };
}

/** Where the parts of a branch's element lie; nothing is checked against the page's length. */
export function branchElementOf(page: Buffer, number: number) {
  const at = pageHeaderBytes + number * elementBytes;
  const [high, low] = [page.readUInt32LE(at + 12), page.readUInt32LE(at + 8)];
  return { start: at + page.readUInt32LE(at), keyBytes: page.readUInt32LE(at + 4), page: high * 2 ** 32 + low };
}
