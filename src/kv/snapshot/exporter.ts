/**
 * Takes snapshots of a running store for its clients: the state as of one moment as an etcd snapshot file.
 *
 * The file is made in the data directory under no name (its name is removed as soon as it is open, so that nothing is left
 * behind by a crash), because its length must be told before its first byte. The state is copied row by row out of the
 * backend while the store goes on; memory is some pages, and the loop is held up for no longer than a batch of rows takes.
 */
import { createHash } from 'node:crypto';
import { assert } from '../../env/assert.ts';
import type { Disk, DiskFile } from '../../env/disk.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { KvState } from '../apply/contract.ts';
import { abandon } from '../backend/row-blocks.ts';
import { createBoltWriter } from '../bbolt/writer.ts';
import { KvError } from '../errors.ts';
import { type RaftPosition, writeEtcdBuckets } from './to-etcd.ts';

export interface StoreSnapshot {
  /** Of the content, without its checksum. */
  readonly bytes: number;
  readonly revision: number;
  /**
   * Content in pieces, then its SHA-256 as the last one. To be read once. `memory` is asked for where each piece goes, at most
   * `snapshotPieceBytes` long.
   */
  chunks(memory?: (bytes: number) => Uint8Array): AsyncGenerator<Uint8Array>;
  /** Gives the space back; to be called once, however the reading went. */
  close(): Promise<void>;
}

/** Each takes as much disk as the store itself. */
const snapshotsMax = 2;
/** What must stay free on the disk for the log, whatever a client asks for. */
const reservedBytes = 256 * 1024 * 1024;
/** Pages are nearly full, and etcd's encoding is smaller than the store's; this is how wrong that may be. */
const sizeFactor = 1.25;
export const snapshotPieceBytes = 64 * 1024;

export class SnapshotExporter {
  readonly #disk: Disk;
  readonly #directory: string;
  #open = 0;
  #names = 0;

  /** `directory`: where the file is made; on the disk of the store's data. */
  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
  }

  /** Rejects with KvError `tooManyRequests` or KeelsonError `NO_SPACE`. The state is as of the call. */
  async take(kv: KvState, position: RaftPosition): Promise<StoreSnapshot> {
    if (this.#open >= snapshotsMax) throw new KvError('tooManyRequests');
    const blocks = kv.rowBlocks();
    this.#open += 1;
    try {
      const file = await this.#createFor(kv.stats().bytesInUse).catch(async (error: unknown) => {
        await abandon(blocks);
        throw error;
      });
      try {
        const writer = createBoltWriter(file);
        const { revision } = await writeEtcdBuckets(blocks, writer, position);
        const bytes = await writer.finish();
        return this.#snapshotOf(file, bytes, revision);
      } catch (error) {
        await file.close();
        throw error;
      }
    } catch (error) {
      this.#open -= 1;
      throw error;
    }
  }

  #snapshotOf(file: DiskFile, bytes: number, revision: number): StoreSnapshot {
    let isClosed = false;
    return {
      bytes,
      revision,
      async *chunks(memory = (length) => new Uint8Array(length)) {
        const hash = createHash('sha256');
        for (let at = 0; at < bytes; ) {
          const chunk = memory(Math.min(snapshotPieceBytes, bytes - at));
          const filled = await file.readInto(at, chunk);
          assert(filled === chunk.length, () => `a snapshot of ${bytes} bytes ends at ${at + filled}`);
          hash.update(chunk);
          at += chunk.length;
          yield chunk;
        }
        yield hash.digest();
      },
      close: async () => {
        assert(!isClosed, 'a snapshot is closed once');
        isClosed = true;
        this.#open -= 1;
        await file.close();
      },
    };
  }

  async #checkSpace(bytesInUse: number): Promise<void> {
    const free = await this.#disk.freeBytes(this.#directory);
    const needed = Math.ceil(bytesInUse * sizeFactor) + reservedBytes;
    if (free >= needed) return;
    throw new KeelsonError(
      'NO_SPACE',
      `take a snapshot: it needs about ${needed} bytes in ${this.#directory} for a while, ${free} are free: free space, or ask another member`,
    );
  }

  /** An unnamed file for a state of so many bytes. */
  async #createFor(bytesInUse: number): Promise<DiskFile> {
    await this.#checkSpace(bytesInUse);
    const path = `${this.#directory}/snapshot-${++this.#names}.tmp`;
    if (await this.#disk.exists(path)) await this.#disk.remove(path);
    const file = await this.#disk.open(path, 'create');
    await this.#disk.remove(path);
    return file;
  }
}
