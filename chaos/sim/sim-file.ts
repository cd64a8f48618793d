/**
 * One simulated file: what the process sees (the page cache) and, in layers, what a crash may bring back.
 *
 * A layer remembers, for each 512-byte sector written since the previous sync began, the bytes the sector had before.
 * Undoing layers from the newest to the oldest walks back in time, so a crash can be decided sector by sector:
 *
 *   synced ──▶ layer 1 (its sync is under way) ──▶ layer 2 (open, takes writes) = what reads see
 *
 * A sync that succeeds drops the layers it covered. A sync that fails marks them `lost`, as Linux does: the cache
 * keeps showing the data, the pages count as clean, no later sync writes them, and the next crash takes them away,
 * unless the sector was written again and synced.
 *
 * Invariant: layers[layers.length - 1] is open and not lost.
 */
import { assert, present } from '../../src/env/assert.ts';
import type { Random } from '../../src/env/random.ts';

export const sectorBytes = 512;

/**
 * What happens at a crash to everything that was not synced. `torn` keeps some sectors and loses others, as disks do, which
 * write a sector whole or not at all; `shredded` breaks sectors in the middle as well, which only a disk does that breaks
 * its word. `random` decides sector by sector between kept, lost and torn.
 */
export type CrashPolicy = 'kept' | 'lost' | 'torn' | 'shredded' | 'random';

interface Layer {
  /** Bytes before the first write of this layer, by sector number. Always a whole sector; beyond the end it is zeros. */
  readonly before: Map<number, Uint8Array>;
  /** File length when the layer was opened: what undoing the layer goes back to. */
  sizeBefore: number;
  isLost: boolean;
}

export class SimFileNode {
  readonly kind = 'file';
  #bytes: Buffer = Buffer.alloc(0);
  #size = 0;
  #allocated = 0;
  #layers: Layer[] = [{ before: new Map(), sizeBefore: 0, isLost: false }];

  get size(): number {
    return this.#size;
  }

  /** Bytes that the file takes on the disk: a file that was made longer without being written has none there. */
  get allocated(): number {
    return this.#allocated;
  }

  read(offset: number, length: number): Uint8Array {
    assert(offset >= 0 && length >= 0, 'a read lies in the file');
    return new Uint8Array(this.#bytes.subarray(Math.min(offset, this.#size), Math.min(offset + length, this.#size)));
  }

  write(offset: number, bytes: Uint8Array): void {
    assert(offset >= 0, 'a write lies in the file');
    if (bytes.length === 0) return;
    const end = offset + bytes.length;
    this.#reserve(end);
    this.#remember(offset, end);
    this.#bytes.set(bytes, offset);
    this.#size = Math.max(this.#size, end);
    this.#allocated = Math.max(this.#allocated, end);
  }

  truncate(length: number): void {
    assert(length >= 0, 'a length is not negative');
    this.#reserve(length);
    if (length < this.#size) {
      this.#remember(length, this.#size);
      this.#bytes.fill(0, length, this.#size);
    }
    this.#size = length;
    this.#allocated = Math.min(this.#allocated, length);
  }

  /** Begins a sync and returns how to end it. Writes made meanwhile are not covered. */
  beginSync(): (outcome: 'done' | 'failed') => void {
    const covered = this.#layers.filter((layer) => !layer.isLost);
    const sizeCovered = this.#size;
    this.#layers.push({ before: new Map(), sizeBefore: sizeCovered, isLost: false });
    return (outcome) => {
      if (outcome === 'failed') {
        for (const layer of covered) layer.isLost = true;
        return;
      }
      const written = new Set<number>();
      for (const layer of covered) for (const sector of layer.before.keys()) written.add(sector);
      const newest = this.#layers.indexOf(present(covered[covered.length - 1], 'a covered layer'));
      // A sector that was lost by a failed sync, written again and now synced is whole again.
      for (const layer of this.#layers.slice(0, Math.max(newest, 0))) {
        for (const sector of written) layer.before.delete(sector);
        if (written.size > 0) layer.sizeBefore = sizeCovered;
      }
      this.#layers = this.#layers.filter((layer) => !covered.includes(layer));
      assert(this.#layers.length > 0, 'one layer stays open');
    };
  }

  /** The file as it may be found after a crash: everything in it is durable. */
  crash(policy: CrashPolicy, random: Random): SimFileNode {
    const size = this.#crashSize(policy, random);
    const bytes = Buffer.alloc(Math.max(size, this.#size));
    this.#bytes.copy(bytes, 0, 0, this.#size);
    const sectors = new Set<number>();
    for (const layer of this.#layers) for (const sector of layer.before.keys()) sectors.add(sector);
    for (const sector of [...sectors].sort((a, b) => a - b)) {
      const start = sector * sectorBytes;
      const content = this.#crashSector(sector, policy, random);
      if (start < bytes.length) bytes.set(content.subarray(0, Math.min(sectorBytes, bytes.length - start)), start);
    }
    const after = new SimFileNode();
    after.#bytes = bytes.subarray(0, size);
    after.#size = size;
    after.#allocated = Math.min(this.#allocated, size);
    after.#layers = [{ before: new Map(), sizeBefore: size, isLost: false }];
    return after;
  }

  /** Bit rot: changes bytes in cache and on disk alike, unseen by the file system. */
  corrupt(offset: number, mask: number): void {
    assert(offset < this.#size, 'rot happens inside the file');
    this.#bytes[offset] = (this.#bytes[offset] ?? 0) ^ mask;
  }

  #reserve(length: number): void {
    if (length <= this.#bytes.length) return;
    const grown = Buffer.alloc(Math.max(length, this.#bytes.length * 2, 4096));
    this.#bytes.copy(grown, 0, 0, this.#size);
    this.#bytes = grown;
  }

  #remember(from: number, to: number): void {
    const layer = present(this.#layers[this.#layers.length - 1], 'the open layer');
    for (let sector = Math.floor(from / sectorBytes); sector * sectorBytes < to; sector++) {
      if (!layer.before.has(sector)) layer.before.set(sector, this.#sector(sector));
    }
  }

  #sector(sector: number): Uint8Array {
    const content = new Uint8Array(sectorBytes);
    const start = sector * sectorBytes;
    content.set(this.#bytes.subarray(start, Math.min(start + sectorBytes, Math.max(this.#size, start))));
    return content;
  }

  #crashSector(sector: number, policy: CrashPolicy, random: Random): Uint8Array {
    let after = this.#sector(sector);
    for (let index = this.#layers.length - 1; index >= 0; index--) {
      const layer = present(this.#layers[index], 'a layer');
      const before = layer.before.get(sector);
      if (!before) continue;
      const fate = layer.isLost ? 'lost' : policy === 'random' ? drawFate(random) : policy;
      if (fate === 'kept') return after;
      if (fate === 'shredded' && random.next() < 0.5) return mix(before, after, random);
      // Some sectors are lost whole, as out-of-order write-back does.
      if ((fate === 'torn' || fate === 'shredded') && random.next() < 0.5) return after;
      after = before;
    }
    return after;
  }

  #crashSize(policy: CrashPolicy, random: Random): number {
    let size = this.#size;
    for (let index = this.#layers.length - 1; index >= 0; index--) {
      const layer = present(this.#layers[index], 'a layer');
      if (layer.sizeBefore === size) continue;
      const fate = layer.isLost ? 'lost' : policy === 'random' ? drawFate(random) : policy;
      if (fate === 'kept') return size;
      if ((fate === 'torn' || fate === 'shredded') && size > layer.sizeBefore) {
        return random.integer(layer.sizeBefore, size);
      }
      size = layer.sizeBefore;
    }
    return size;
  }
}

function drawFate(random: Random): 'kept' | 'lost' | 'torn' {
  const draw = random.integer(0, 2);
  return draw === 0 ? 'kept' : draw === 1 ? 'lost' : 'torn';
}

/** A sector half written: the head of one version, the tail of the other. */
function mix(before: Uint8Array, after: Uint8Array, random: Random): Uint8Array {
  const cut = random.integer(1, sectorBytes - 1);
  const isHeadNew = random.next() < 0.5;
  const content = new Uint8Array(isHeadNew ? before : after);
  content.set((isHeadNew ? after : before).subarray(0, cut));
  return content;
}
