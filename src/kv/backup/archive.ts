/**
 * Several files as one stream, and back: what a backup holds before it is sealed.
 *
 *     "keelson-archive-1\n"
 *     for each file: length of its head u32, head as JSON; its content in pieces, each with its length u32 before it; u32 0
 *     u32 0
 *
 * Files are made and read one after another, without knowing their length beforehand.
 */
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';

const magic = Buffer.from('keelson-archive-1\n');
const headBytesMax = 64 * 1024;
/** Held in memory whole. */
const pieceBytesMax = 1024 * 1024;

export interface ArchiveHead {
  /** What it is in the archive; unique. */
  readonly name: string;
  readonly [field: string]: string | number | boolean;
}

export interface ArchiveFile {
  readonly head: ArchiveHead;
  /** To be read whole before the next file is asked for. */
  readonly content: AsyncIterable<Uint8Array>;
}

export async function* writeArchive(files: AsyncIterable<ArchiveFile>): AsyncGenerator<Uint8Array> {
  yield magic;
  const names = new Set<string>();
  for await (const { head, content } of files) {
    assert(!names.has(head.name), () => `${head.name} is in the archive twice`);
    names.add(head.name);
    const bytes = Buffer.from(JSON.stringify(head));
    assert(bytes.length <= headBytesMax, () => `a head of ${bytes.length} bytes`);
    yield withLength(bytes);
    for await (const chunk of content) {
      for (let at = 0; at < chunk.length; at += pieceBytesMax) yield withLength(chunk.subarray(at, at + pieceBytesMax));
    }
    yield withLength(Buffer.alloc(0));
  }
  yield withLength(Buffer.alloc(0));
}

/** Rejects with `ARCHIVE_DAMAGED`. A file that was not read whole is passed over. */
export async function* readArchive(stream: AsyncIterable<Uint8Array>): AsyncGenerator<ArchiveFile> {
  const source = new PieceReader(stream);
  try {
    yield* readFiles(source);
  } finally {
    await source.close();
  }
}

async function* readFiles(source: PieceReader): AsyncGenerator<ArchiveFile> {
  const begin = await source.take(magic.length);
  if (!begin.equals(magic)) throw damaged('it does not begin as an archive does');
  for (;;) {
    const head = await source.piece(headBytesMax);
    if (head.length === 0) break;
    let isRead = false;
    const content = (async function* () {
      for (;;) {
        const piece = await source.piece(pieceBytesMax);
        if (piece.length === 0) break;
        yield piece;
      }
      isRead = true;
    })();
    yield { head: parseHead(head), content };
    while (!isRead) {
      const next = await content.next();
      if (next.done && !isRead) throw damaged('a file was left before its end');
    }
  }
  if (!(await source.isAtEnd())) throw damaged('something stands behind its end');
}

function parseHead(bytes: Buffer): ArchiveHead {
  try {
    const head = JSON.parse(bytes.toString('utf8')) as ArchiveHead;
    if (typeof head === 'object' && head !== null && typeof head.name === 'string') return head;
  } catch (error) {
    throw Object.assign(damaged('a head cannot be read'), { cause: error });
  }
  throw damaged('a head names no file');
}

function withLength(bytes: Uint8Array): Buffer {
  const piece = Buffer.allocUnsafe(4 + bytes.length);
  piece.writeUInt32BE(bytes.length, 0);
  piece.set(bytes, 4);
  return piece;
}

function damaged(what: string): KeelsonError {
  return new KeelsonError('ARCHIVE_DAMAGED', `read the backup: ${what}: it is damaged: use another one`);
}

class PieceReader {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** The source may hold a file or a connection open. */
  async close(): Promise<void> {
    await this.#iterator.return?.();
  }

  async take(count: number): Promise<Buffer> {
    const parts: Buffer[] = [this.#held];
    let bytes = this.#held.length;
    while (bytes < count) {
      const next = await this.#iterator.next();
      if (next.done) throw damaged('it ends too early');
      parts.push(Buffer.from(next.value));
      bytes += next.value.length;
    }
    const all = parts.length === 1 ? this.#held : Buffer.concat(parts, bytes);
    this.#held = all.subarray(count);
    return all.subarray(0, count);
  }

  async piece(max: number): Promise<Buffer> {
    const length = (await this.take(4)).readUInt32BE(0);
    if (length > max) throw damaged(`a piece would have ${length} bytes`);
    return this.take(length);
  }

  async isAtEnd(): Promise<boolean> {
    while (this.#held.length === 0) {
      const next = await this.#iterator.next();
      if (next.done) return true;
      this.#held = Buffer.from(next.value);
    }
    return false;
  }
}
