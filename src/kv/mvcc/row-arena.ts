/**
 * Memory for the rows of live keys: slabs of a megabyte that rows are written into one after another, because a million
 * small buffers cost several times what is in them.
 *
 * Bytes of a slab are written once and never changed: views of a row stay right for as long as anybody holds them, also
 * after the row has died or moved. A slab counts the bytes of its live rows; one whose rows have all died is simply
 * forgotten, and one that is mostly dead is found by `isSparse`, for the store to move its live rows and give it up. So at
 * most about half of the memory is dead.
 */
import { assert } from '../../env/assert.ts';

const slabBytes = 1024 * 1024;
/** A larger row gets a slab of its own: it dies as one, and leaves no gap at the end of a shared one. */
const sharedRowBytesMax = 64 * 1024;

/** Whose row it is: says where the row is now. */
export interface RowOwner {
  slab: Slab | undefined;
  slabAt: number;
}

export class Slab {
  readonly bytes: Buffer;
  /** Owners of the rows written so far, of the dead ones too. */
  readonly owners: RowOwner[] = [];
  /** Bytes written so far. */
  used = 0;
  /** Bytes of rows that live. Invariant: 0 <= live <= used. */
  live = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

export class RowArena {
  #current = new Slab(Buffer.allocUnsafeSlow(slabBytes));
  /** All others that hold a live row. */
  readonly #full = new Set<Slab>();
  #liveBytes = 0;
  #filled: Slab | undefined;

  /** Bytes of live rows. */
  liveBytes(): number {
    return this.#liveBytes;
  }

  /** Slabs in use, for tests and metrics. */
  slabs(): number {
    return this.#full.size + 1;
  }

  /** Gives `owner` room for a row of `length` bytes, which it is to write at once. */
  reserve(owner: RowOwner, length: number): Slab {
    assert(length > 0, 'a row has bytes');
    this.#liveBytes += length;
    const slab = this.#slabFor(length);
    owner.slab = slab;
    owner.slabAt = slab.used;
    slab.owners.push(owner);
    slab.used += length;
    slab.live += length;
    assert(slab.used <= slab.bytes.length, 'a row fits its slab');
    return slab;
  }

  /** A slab of memory that holds rows already; which of them live, `place` says. Its first one makes it count. */
  adopt(bytes: Buffer): Slab {
    const slab = new Slab(bytes);
    slab.used = bytes.length;
    return slab;
  }

  /** The row of `length` bytes at `at` of an adopted slab is the owner's. */
  place(
    owner: RowOwner,
    { slab, at, length }: { readonly slab: Slab; readonly at: number; readonly length: number },
  ): void {
    assert(at + length <= slab.used, 'a row lies in its slab');
    if (slab.live === 0) this.#full.add(slab);
    owner.slab = slab;
    owner.slabAt = at;
    slab.owners.push(owner);
    slab.live += length;
    this.#liveBytes += length;
  }

  /** A row of `length` bytes in `slab` has died or moved. */
  release(slab: Slab, length: number): void {
    slab.live -= length;
    this.#liveBytes -= length;
    assert(slab.live >= 0, () => `a slab holds ${slab.live} bytes of live rows`);
    if (slab.live === 0 && slab !== this.#current) this.#full.delete(slab);
  }

  /** A slab that is worth giving up: less than half of it lives. */
  isSparse(slab: Slab): boolean {
    return slab !== this.#current && slab.live > 0 && slab.live * 2 < slab.used;
  }

  /** The slab that was filled since the last call, which may be sparse already. */
  takeFilled(): Slab | undefined {
    const filled = this.#filled;
    this.#filled = undefined;
    return filled;
  }

  #slabFor(length: number): Slab {
    if (length > sharedRowBytesMax) {
      const own = new Slab(Buffer.allocUnsafeSlow(length));
      this.#full.add(own);
      return own;
    }
    if (this.#current.used + length > this.#current.bytes.length) {
      if (this.#current.live > 0) this.#full.add(this.#current);
      this.#filled = this.#current;
      this.#current = new Slab(Buffer.allocUnsafeSlow(slabBytes));
    }
    return this.#current;
  }
}
