/**
 * Bytes of a file by place, through a small cache of windows: a tree's pages lie scattered, its leaves often side by side,
 * and one read of the disk for each page of four kilobytes would take most of the time.
 */
import { assert } from '../../env/assert.ts';
import { damaged } from './format.ts';

/** What the reader needs of a file; DiskFile has it. */
export interface ByteSource {
  size(): Promise<number>;
  read(offset: number, length: number): Promise<Uint8Array>;
}

const windowBytes = 64 * 1024;
/** Four megabytes: a path from the root to a leaf and the windows of a scan that jumps about. */
const windowsMax = 64;

export class WindowedSource {
  readonly #source: ByteSource;
  readonly #size: number;
  /** In the order of use, the oldest first. */
  readonly #windows = new Map<number, Buffer>();

  constructor(source: ByteSource, size: number) {
    assert(Number.isSafeInteger(size) && size >= 0, () => `a file of ${size} bytes`);
    this.#source = source;
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  /** `length` bytes from `offset`, which the file must have. Nobody may change them. */
  async read(offset: number, length: number): Promise<Buffer> {
    assert(offset >= 0 && offset + length <= this.#size, () => `${length} bytes at ${offset} of ${this.#size}`);
    const first = Math.floor(offset / windowBytes);
    const last = Math.floor((offset + length - 1) / windowBytes);
    if (first === last) {
      const window = await this.#window(first);
      const from = offset - first * windowBytes;
      return window.subarray(from, from + length);
    }
    return this.#readAll(offset, length);
  }

  async #window(number: number): Promise<Buffer> {
    const known = this.#windows.get(number);
    if (known !== undefined) {
      this.#windows.delete(number);
      this.#windows.set(number, known);
      return known;
    }
    const offset = number * windowBytes;
    const window = await this.#readAll(offset, Math.min(windowBytes, this.#size - offset));
    this.#windows.set(number, window);
    if (this.#windows.size > windowsMax) this.#windows.delete(this.#windows.keys().next().value as number);
    return window;
  }

  async #readAll(offset: number, length: number): Promise<Buffer> {
    const bytes = await this.#source.read(offset, length);
    if (bytes.length !== length) throw damaged(`it became shorter than ${this.#size} bytes while it was read`);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}
