/**
 * Where frames are written before they go to a socket: blocks that are used up piece by piece, so that answers of many
 * streams leave in one write and nothing is allocated for each. One for a whole server: a run between `begin` and `take`
 * belongs to one connection and lies within one block, but for large pieces that are handed on as they are.
 *
 * Blocks are used again: whoever takes a run owes `giveBack` of its block once its bytes have gone out. Most often the
 * system takes them at once, and then one block, still in the processor's cache, serves all connections. A block that is
 * never given back is never used again.
 */
import { assert } from '../../env/assert.ts';

/** Some thousand small answers, and little enough to stay in the processor's cache. */
const blockBytes = 128 * 1024;
/** Blocks that wait to be used again: what one burst to many connections takes, 2 MB. */
const freeBlocksMax = 16;
/**
 * Blocks that slow connections hold, 8 MB: beyond it a run is copied out, so that each of them holds what waits for it and
 * not a block.
 */
const lentBlocksMax = 64;

export interface OutputBlock {
  readonly bytes: Buffer;
  /** Runs that were taken and not given back. */
  lentRuns: number;
}

const nothing: readonly Buffer[] = [];

export class OutputBuffer {
  /** Write at `at` and move it on, never beyond `room`. */
  block: Buffer;
  at = 0;
  /** Of the run that was taken last: what is to be given back, if anything. */
  takenBlock: OutputBlock | undefined = undefined;
  #start = 0;
  #runStart = 0;
  #parts: Buffer[] = [];
  /** Whether a part of the run lies in the block. */
  #isBlockUsed = false;
  /** The one that `block` belongs to. */
  #current: OutputBlock = newBlock();
  readonly #free: OutputBlock[] = [];
  /** Blocks that are full and not yet given back; those that never are count, too, until the limit copies runs out. */
  #lentBlocks = 0;

  constructor() {
    this.block = this.#current.bytes;
  }

  get room(): number {
    return this.block.length - this.at;
  }

  /** What the run holds so far. */
  get runBytes(): number {
    let bytes = this.at - this.#start;
    for (const part of this.#parts) bytes += part.length;
    return bytes;
  }

  /** Blocks in memory, apart from those that were never given back. */
  get blocks(): number {
    return 1 + this.#free.length + this.#lentBlocks;
  }

  /** A new run with room for `bytes` at least. */
  begin(bytes: number): void {
    assert(bytes <= blockBytes, 'a run begins within one block');
    assert(this.#parts.length === 0 && this.#start === this.at, 'the run before was taken');
    if (this.#current.lentRuns === 0) this.#rewind();
    else if (this.room < bytes) this.#changeBlock();
    this.#runStart = this.at;
  }

  /** Copies what fits, and hands on what does not as it is: it must not change any more. */
  append(bytes: Buffer): void {
    if (bytes.length <= this.room) {
      this.at += bytes.copy(this.block, this.at);
      return;
    }
    this.#cut();
    this.#parts.push(bytes);
  }

  /** The run, in order, which lies in `takenBlock`. */
  take(): readonly Buffer[] {
    this.#cut();
    this.takenBlock = undefined;
    if (this.#parts.length === 0) return nothing;
    const parts = this.#parts;
    this.#parts = [];
    if (!this.#isBlockUsed) return parts;
    this.#isBlockUsed = false;
    if (this.#lentBlocks >= lentBlocksMax) return this.#copiedOut(parts);
    this.#current.lentRuns++;
    this.takenBlock = this.#current;
    return parts;
  }

  /** The bytes of a run that was taken have gone out. */
  giveBack(block: OutputBlock): void {
    assert(block.lentRuns > 0, 'a run is given back once');
    block.lentRuns--;
    if (block.lentRuns > 0 || block === this.#current) return;
    this.#lentBlocks--;
    assert(this.#lentBlocks >= 0, 'no more blocks come back than were lent');
    if (this.#free.length < freeBlocksMax) this.#free.push(block);
  }

  #changeBlock(): void {
    this.#lentBlocks++;
    this.#current = this.#free.pop() ?? newBlock();
    assert(this.#current.lentRuns === 0, 'a block is used again when all of it has gone out');
    this.block = this.#current.bytes;
    this.#rewind();
  }

  #rewind(): void {
    this.at = 0;
    this.#start = 0;
  }

  #copiedOut(parts: readonly Buffer[]): Buffer[] {
    const copied = parts.map((part) => (part.buffer === this.block.buffer ? Buffer.from(part) : part));
    this.at = this.#runStart;
    this.#start = this.#runStart;
    return copied;
  }

  #cut(): void {
    if (this.at > this.#start) {
      this.#parts.push(this.block.subarray(this.#start, this.at));
      this.#isBlockUsed = true;
    }
    this.#start = this.at;
  }
}

function newBlock(): OutputBlock {
  return { bytes: Buffer.allocUnsafeSlow(blockBytes), lentRuns: 0 };
}
