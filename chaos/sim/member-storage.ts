/** What of a simulated member outlives its process, disk and backend, and the ways in which they are hurt. */
import { SimBackend } from './backend.ts';
import { SimDisk, type SimDiskFault, type SimDiskOperation, type SimDiskOperationKind } from './disk.ts';
import type { SeededRandom } from './random.ts';
import type { ProcessClock, Scheduler } from './scheduler.ts';

export interface Life {
  readonly clock: ProcessClock;
  readonly delayMaxMs: () => number;
  readonly isOver: () => boolean;
  /** One of its disk operations failed. */
  readonly onBroken: () => void;
  /** Its process ends in the middle of a disk operation. */
  readonly onStopped: () => void;
}

export class MemberStorage {
  readonly #random: SeededRandom;
  readonly #scheduler: Scheduler;
  #disk: SimDisk;
  #backend = new SimBackend();
  /** What the next disk operation of a process that runs fails with. */
  #nextError: string | undefined;
  /** Nothing can be written. */
  #isFull = false;
  /** The process ends in the middle of one of these, after so many more. */
  #stopIn: { readonly kind: SimDiskOperationKind; left: number } | undefined;

  constructor(random: SeededRandom, scheduler: Scheduler) {
    this.#random = random;
    this.#scheduler = scheduler;
    this.#disk = new SimDisk({ random: random.fork('disk') });
  }

  get disk(): SimDisk {
    return this.#disk;
  }
  get backend(): SimBackend {
    return this.#backend;
  }

  /** A process begins: all that is there is what it finds. */
  begin(life: Life): void {
    const delays = this.#fork('disk-delay');
    this.#disk = this.#disk.crash('kept', {
      clock: life.clock,
      latencyMs: () => delays.next() * life.delayMaxMs(),
      random: this.#fork('disk'),
      onOperation: (operation) => this.#faultOf(operation, life),
    });
  }

  failNext(code: string): void {
    this.#nextError = code;
  }

  setFull(isFull: boolean): void {
    this.#isFull = isFull;
  }

  stopIn(kind: SimDiskOperationKind, after: number): void {
    this.#stopIn = { kind, left: after };
  }

  /** What was not synced is kept, lost or torn. */
  crash(): void {
    const random = this.#fork('crash');
    this.#disk = this.#disk.crash('random', { random });
    this.#backend = this.#backend.crash(random);
  }

  /** A new, empty machine. */
  wipe(): void {
    this.#disk = new SimDisk({ random: this.#fork('wiped') });
    this.#backend = new SimBackend();
  }

  /** The log stays; the state is built from it again. */
  dropState(): void {
    this.#backend = new SimBackend();
  }

  /** Some bytes of the log are others. */
  rot(bytes: number): void {
    const random = this.#fork('rot');
    const files = this.#disk
      .files()
      .filter(({ path, sizeBytes }) => path.startsWith('/data/raft/wal/') && sizeBytes > 0);
    for (let count = 0; count < bytes && files.length > 0; count++) {
      const file = files[random.integer(0, files.length - 1)] as (typeof files)[number];
      // Preallocated files are mostly zeros; what is written is at their beginning.
      const end = Math.max(1, this.#disk.writtenBytes(file.path));
      // The newest entries are what others have counted and nothing else covers.
      const from = random.next() < 0.7 ? Math.max(0, end - 1_500) : 0;
      const offset = random.integer(from, end - 1);
      this.#disk.corrupt(file.path, offset, random.integer(1, 255));
    }
  }

  #faultOf(operation: SimDiskOperation, life: Life): SimDiskFault | undefined {
    if (life.isOver()) return undefined;
    const stop = this.#stopIn;
    if (stop?.kind === operation.kind) {
      stop.left -= 1;
      if (stop.left <= 0) {
        this.#stopIn = undefined;
        life.onStopped();
        return { kind: 'stop' };
      }
    }
    const code = this.#nextError ?? (this.#isFull && operation.kind === 'write' ? 'ENOSPC' : undefined);
    if (code === undefined) return undefined;
    this.#nextError = undefined;
    life.onBroken();
    return { kind: 'error', code };
  }

  #fork(what: string): SeededRandom {
    return this.#random.fork(`${what}-${this.#scheduler.events}`);
  }
}
