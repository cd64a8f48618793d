/**
 * The leaf that fills while a tree is built. Keys and values are copied into memory that every leaf uses again, so that a
 * million entries leave nothing behind for the garbage collector.
 */
import { assert } from '../../env/assert.ts';
import { elementBytes, pageHeaderBytes } from './format.ts';

export class Leaf {
  /** Keys and values one behind the other. */
  #data: Buffer;
  #used = 0;
  #keyLengths: number[] = [];
  #valueLengths: number[] = [];
  /** Also of the leaf before, while this one is empty. */
  #lastKey: Buffer = Buffer.alloc(64);
  #lastKeyBytes = 0;

  constructor(pageBytes: number) {
    this.#data = Buffer.allocUnsafeSlow(pageBytes);
  }

  get count(): number {
    return this.#keyLengths.length;
  }

  /** With the page's header. */
  get bytes(): number {
    return pageHeaderBytes + this.count * elementBytes + this.#used;
  }

  bytesWith(key: Uint8Array, value: Uint8Array): number {
    return this.bytes + elementBytes + key.length + value.length;
  }

  /** Whether a key is greater than all so far. */
  isBehind(key: Uint8Array): boolean {
    return this.#lastKey.compare(key, 0, key.length, 0, this.#lastKeyBytes) < 0;
  }

  add(key: Uint8Array, value: Uint8Array): void {
    const end = this.#used + key.length + value.length;
    if (end > this.#data.length) {
      const longer = Buffer.allocUnsafeSlow(2 * end);
      longer.set(this.#data.subarray(0, this.#used));
      this.#data = longer;
    }
    this.#data.set(key, this.#used);
    this.#data.set(value, this.#used + key.length);
    this.#used = end;
    this.#keyLengths.push(key.length);
    this.#valueLengths.push(value.length);
    if (key.length > this.#lastKey.length) this.#lastKey = Buffer.alloc(2 * key.length);
    this.#lastKey.set(key);
    this.#lastKeyBytes = key.length;
  }

  /** In memory of its own. */
  firstKey(): Uint8Array {
    const [length = 0] = this.#keyLengths;
    assert(length > 0, 'a leaf that is given out has entries');
    return Uint8Array.prototype.slice.call(this.#data, 0, length);
  }

  /** Elements, keys and values; the page's header is the caller's. */
  writeTo(page: Buffer, flags: number): void {
    assert(this.bytes <= page.length, () => `${this.bytes} bytes fit a page run of ${page.length}`);
    const from = pageHeaderBytes + this.count * elementBytes;
    let data = from;
    for (let number = 0; number < this.count; number++) {
      const at = pageHeaderBytes + number * elementBytes;
      const [keyBytes, valueBytes] = [this.#keyLengths[number] as number, this.#valueLengths[number] as number];
      page.writeUInt32LE(flags, at);
      page.writeUInt32LE(data - at, at + 4);
      page.writeUInt32LE(keyBytes, at + 8);
      page.writeUInt32LE(valueBytes, at + 12);
      data += keyBytes + valueBytes;
    }
    assert(data - from === this.#used, 'lengths and bytes agree');
    page.set(this.#data.subarray(0, this.#used), from);
  }

  clear(): void {
    this.#used = 0;
    this.#keyLengths = [];
    this.#valueLengths = [];
  }
}
