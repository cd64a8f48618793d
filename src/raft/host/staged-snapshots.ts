/**
 * A received snapshot while it comes: the beginning of its content lies in a file without its final name, and a stream that
 * breaks leaves it there for the next one of the same snapshot to go on.
 */
import { assert } from '../../env/assert.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { Index, Message } from '../core/types.ts';
import type { SnapshotWriter, Wal } from '../wal/wal.ts';
import type { StateMachine } from './contract.ts';
import { evenChunks } from './even-chunks.ts';

type SnapMessage = Message & { readonly type: 'snap' };
type SnapshotCheck = ReturnType<NonNullable<StateMachine['snapshotCheck']>>;

export interface StagedSnapshotsOptions {
  readonly wal: Pick<Wal, 'createSnapshot'>;
  readonly stateMachine: Pick<StateMachine, 'snapshotCheck'>;
  readonly log: Log;
}

interface Staged {
  /** Two members' snapshots of the same index need not be the same bytes. */
  readonly key: string;
  readonly index: Index;
  readonly writer: SnapshotWriter;
  /** Has seen the bytes so far. */
  readonly check: SnapshotCheck | undefined;
  bytes: number;
}

function keyOf({ from, snapshot }: SnapMessage): string {
  return `${from}/${snapshot.index}/${snapshot.term}`;
}

export class StagedSnapshots {
  readonly #options: StagedSnapshotsOptions;
  /** One at most, so it is bounded by its size. */
  #staged: Staged | undefined;
  #isStopped = false;

  constructor(options: StagedSnapshotsOptions) {
    this.#options = options;
  }

  /** Bytes of this snapshot's content that are here already. */
  bytesOf(message: SnapMessage): number {
    const bytes = this.#staged?.key === keyOf(message) ? this.#staged.bytes : 0;
    assert(bytes >= 0, 'content has a length');
    return bytes;
  }

  /** What has been applied by other means needs no snapshot. */
  dropUpTo(applied: Index): void {
    if (this.#staged !== undefined && this.#staged.index <= applied) this.drop();
  }

  stop(): void {
    this.#isStopped = true;
    this.drop();
  }

  /** Writes the content from the staged place on. A stream that breaks leaves what came whole; a disk that fails, or content that no snapshot has, nothing. */
  async store(message: SnapMessage, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const key = keyOf(message);
    if (this.#staged?.key !== key) this.drop();
    const { index } = message.snapshot;
    const { wal, stateMachine } = this.#options;
    if (!this.#staged) {
      const writer = await wal.createSnapshot(message.snapshot, 'received');
      this.#staged = { key, index, bytes: 0, writer, check: stateMachine.snapshotCheck?.() };
    }
    const staged = this.#staged;
    for await (const chunk of evenChunks(chunks)) {
      if (this.#isStopped) throw new KeelsonError('STOPPED', 'write snapshot: the member stops');
      await this.#write(() => {
        staged.check?.push(chunk);
        return staged.writer.write(chunk);
      });
      staged.bytes += chunk.length;
    }
    await this.#write(() => {
      staged.check?.finish();
      return staged.writer.finish();
    });
    this.#staged = undefined;
  }

  async #write(action: () => Promise<unknown>): Promise<void> {
    try {
      // Also of what fails at once.
      await action();
    } catch (error) {
      this.drop();
      throw error;
    }
  }

  /** The temporary file is only in the way. */
  drop(): void {
    const staged = this.#staged;
    this.#staged = undefined;
    staged?.writer.abort().catch((error: unknown) => {
      this.#options.log.warn('could not remove the beginning of a snapshot', { error: errorText(error) });
    });
  }
}
