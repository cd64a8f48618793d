/**
 * The disk of the simulation: bytes in memory with the durability rules of a POSIX file system, no better.
 *
 * Promises: deterministic (all chance comes from the injected Random, all waiting from the injected Clock; without a
 * latency everything resolves in a microtask). Written data survives a crash only once a sync that began after the
 * write has resolved; before, each 512-byte sector is kept, lost or torn. Names survive only once their directory was
 * synced; before, a prefix of the changes of each directory survives. An operation is counted and shown to
 * `onOperation` before it happens, so that a test can stop the process at each one or make it fail.
 *
 * The caller owes: after `crash()` it uses the returned disk. Handles and the old disk reject with EIO from then on, and
 * operations that were under way never settle, as for a process that is gone.
 */
import { assert } from '../../src/env/assert.ts';
import type { Clock } from '../../src/env/clock.ts';
import { type Disk, DiskError, type DiskFile, type DiskLock } from '../../src/env/disk.ts';
import type { Random } from '../../src/env/random.ts';
import { SimDirectory, SimTree } from './sim-directory.ts';
import { type CrashPolicy, SimFileNode } from './sim-file.ts';

export type { CrashPolicy } from './sim-file.ts';

export type SimDiskOperationKind =
  | 'open'
  | 'readFile'
  | 'list'
  | 'makeDirectory'
  | 'rename'
  | 'remove'
  | 'exists'
  | 'syncDirectory'
  | 'freeBytes'
  | 'totalBytes'
  | 'lock'
  | 'unlock'
  | 'size'
  | 'read'
  | 'write'
  | 'truncate'
  | 'dataSync'
  | 'close';

export interface SimDiskOperation {
  /** 1 for the first operation on this disk; goes on counting across crashes. */
  readonly sequence: number;
  readonly kind: SimDiskOperationKind;
  readonly path: string;
}

/**
 * `error`: the operation does nothing and rejects with the code; a failed sync also loses what it should have written.
 * `stop`: the process stops here. The operation's effect is as unsure as everything unsynced, and nothing settles any more.
 */
export type SimDiskFault = { readonly kind: 'error'; readonly code: string } | { readonly kind: 'stop' };

export interface SimDiskOptions {
  readonly random: Random;
  /** Needed when `latencyMs` is given. */
  readonly clock?: Clock;
  /** 0 = resolves in a microtask. */
  readonly latencyMs?: (operation: SimDiskOperation) => number;
  /** Writes that need more fail with ENOSPC after a partial write, as the real ones do. */
  readonly capacityBytes?: number;
  readonly onOperation?: (operation: SimDiskOperation) => SimDiskFault | undefined;
}

export class SimDisk implements Disk {
  readonly #options: SimDiskOptions;
  readonly #tree: SimTree;
  #sequence: number;
  #usedBytes: number;
  /** Held by this life of the process: a crash takes them. */
  readonly #locks = new Set<string>();
  #state: 'alive' | 'stopped' | 'crashed' = 'alive';
  #resolveStopped: () => void = () => undefined;
  /** Resolves when a `stop` fault has struck. */
  readonly stopped: Promise<void>;

  /** An empty disk; `survived` is how `crash` hands over what is left of an old one. */
  constructor(options: SimDiskOptions, survived?: { readonly tree: SimTree; readonly sequence: number }) {
    assert(options.latencyMs === undefined || options.clock !== undefined, 'latency needs a clock');
    this.#options = options;
    this.#tree = survived?.tree ?? new SimTree(new SimDirectory());
    this.#sequence = survived?.sequence ?? 0;
    this.#usedBytes = this.#tree.usedBytes();
    this.stopped = new Promise((resolve) => {
      this.#resolveStopped = resolve;
    });
  }

  /** How many operations were begun so far. */
  get operationCount(): number {
    return this.#sequence;
  }

  /** Bytes of all files that have a name. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** The disk in one possible state after a crash or power loss. `options` override the old ones. */
  crash(policy: CrashPolicy = 'random', options: Partial<SimDiskOptions> = {}): SimDisk {
    assert(this.#state !== 'crashed', 'a disk crashes once');
    this.#state = 'crashed';
    const random = options.random ?? this.#options.random;
    const survived = { tree: this.#tree.crash(policy, random), sequence: this.#sequence };
    return new SimDisk({ ...this.#options, ...options }, survived);
  }

  /** Where the last byte of a file that is not zero ends; not an operation. */
  writtenBytes(path: string): number {
    const node = this.#tree.find(path);
    assert(node instanceof SimFileNode, () => `no file ${path} to measure`);
    return node.read(0, node.size).findLastIndex((byte) => byte !== 0) + 1;
  }

  /** Bit rot at one byte, for tests. */
  corrupt(path: string, offset: number, mask = 0xff): void {
    const node = this.#tree.find(path);
    assert(node instanceof SimFileNode, () => `no file ${path} to corrupt`);
    node.corrupt(offset, mask);
  }

  /** All file paths in order, with their lengths; for tests and fault plans, not an operation. */
  files(): { readonly path: string; readonly sizeBytes: number }[] {
    return this.#tree.files();
  }

  open(path: string, mode: 'open' | 'create' | 'read'): Promise<DiskFile> {
    return this.#run('open', path, () => {
      const { directory, name } = this.#tree.parent('open', path);
      const found = directory.get(name);
      if (mode !== 'create') {
        if (!found) throw new DiskError('ENOENT', 'open', path);
        if (!(found instanceof SimFileNode)) throw new DiskError('EISDIR', 'open', path);
        return this.#handle(path, found);
      }
      if (found) throw new DiskError('EEXIST', 'open', path);
      const node = new SimFileNode();
      directory.link(name, node);
      return this.#handle(path, node);
    });
  }

  readFile(path: string): Promise<Uint8Array> {
    return this.#run('readFile', path, () => {
      const node = this.#tree.mustFind('readFile', path);
      if (!(node instanceof SimFileNode)) throw new DiskError('EISDIR', 'readFile', path);
      return node.read(0, node.size);
    });
  }

  list(path: string): Promise<string[]> {
    return this.#run('list', path, () => this.#tree.mustFindDirectory('list', path).names());
  }

  makeDirectory(path: string): Promise<void> {
    return this.#run('makeDirectory', path, () => this.#tree.makeDirectory(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#run('rename', from, () => {
      this.#tree.rename(from, to);
      this.#usedBytes = this.#tree.usedBytes();
    });
  }

  remove(path: string): Promise<void> {
    return this.#run('remove', path, () => {
      this.#tree.remove(path);
      this.#usedBytes = this.#tree.usedBytes();
    });
  }

  exists(path: string): Promise<boolean> {
    return this.#run('exists', path, () => this.#tree.find(path) !== undefined);
  }

  syncDirectory(path: string): Promise<void> {
    return this.#run(
      'syncDirectory',
      path,
      () => this.#tree.mustFindDirectory('syncDirectory', path).beginSync(),
      (end, outcome) => end(outcome),
    ).then(() => undefined);
  }

  freeBytes(path: string): Promise<number> {
    return this.#run('freeBytes', path, () => {
      this.#tree.mustFind('freeBytes', path);
      const capacity = this.#options.capacityBytes ?? Number.MAX_SAFE_INTEGER;
      return Math.max(0, capacity - this.#usedBytes);
    });
  }

  totalBytes(path: string): Promise<number> {
    return this.#run('totalBytes', path, () => {
      this.#tree.mustFind('totalBytes', path);
      return this.#options.capacityBytes ?? 0;
    });
  }

  lock(path: string): Promise<DiskLock> {
    return this.#run('lock', path, () => {
      const { directory, name } = this.#tree.parent('lock', path);
      if (this.#locks.has(path)) throw new DiskError('EBUSY', 'lock', path);
      if (!directory.get(name)) directory.link(name, new SimFileNode());
      this.#locks.add(path);
      return {
        path,
        release: () =>
          this.#run('unlock', path, () => {
            this.#locks.delete(path);
          }),
      };
    });
  }

  #handle(path: string, node: SimFileNode): DiskFile {
    let isOpen = true;
    const use = <T>(kind: SimDiskOperationKind, action: () => T, end?: (value: T, outcome: SyncOutcome) => void) =>
      this.#run(
        kind,
        path,
        () => {
          if (!isOpen) throw new DiskError('EBADF', kind, path);
          return action();
        },
        end,
      );
    return {
      path,
      size: () => use('size', () => node.size),
      read: (offset, length) => use('read', () => node.read(offset, length)),
      readInto: (offset, target) =>
        use('read', () => {
          const bytes = node.read(offset, target.length);
          target.set(bytes);
          return bytes.length;
        }),
      write: (offset, chunks) => use('write', () => this.#write(path, node, offset, chunks)),
      truncate: (length) =>
        use('truncate', () => {
          this.#usedBytes -= node.allocated;
          node.truncate(length);
          this.#usedBytes += node.allocated;
        }),
      dataSync: () =>
        use(
          'dataSync',
          () => node.beginSync(),
          (end, outcome) => end(outcome),
        ).then(() => undefined),
      close: () =>
        use('close', () => {
          isOpen = false;
        }),
    };
  }

  #write(path: string, node: SimFileNode, offset: number, chunks: readonly Uint8Array[]): void {
    const capacity = this.#options.capacityBytes ?? Number.POSITIVE_INFINITY;
    let position = offset;
    for (const chunk of chunks) {
      const room = node.allocated + Math.max(0, capacity - this.#usedBytes) - position;
      const part = chunk.length <= room ? chunk : chunk.subarray(0, Math.max(0, room));
      const before = node.allocated;
      node.write(position, part);
      this.#usedBytes += node.allocated - before;
      if (part.length < chunk.length) throw new DiskError('ENOSPC', 'write', path);
      position += chunk.length;
    }
  }

  /** Does `action` now and settles later; `end` runs at settling time, when the disk is still alive. */
  #run<T>(
    kind: SimDiskOperationKind,
    path: string,
    action: () => T,
    end?: (value: T, outcome: SyncOutcome) => void,
  ): Promise<T> {
    if (this.#state === 'crashed') return Promise.reject(new DiskError('EIO', kind, path));
    if (this.#state === 'stopped') return neverSettles();
    const operation: SimDiskOperation = { sequence: ++this.#sequence, kind, path };
    const fault = this.#options.onOperation?.(operation);
    let settle: (resolve: (value: T) => void, reject: (error: unknown) => void) => void;
    try {
      if (fault?.kind === 'error' && end === undefined) throw new DiskError(fault.code, kind, path);
      const value = action();
      settle = (resolve, reject) => {
        end?.(value, fault?.kind === 'error' ? 'failed' : 'done');
        if (fault?.kind === 'error') reject(new DiskError(fault.code, kind, path));
        else resolve(value);
      };
    } catch (error) {
      settle = (_resolve, reject) => reject(error);
    }
    if (fault?.kind === 'stop') {
      this.#state = 'stopped';
      this.#resolveStopped();
      return neverSettles();
    }
    const latencyMs = this.#options.latencyMs?.(operation) ?? 0;
    return new Promise<T>((resolve, reject) => {
      const finish = () => {
        if (this.#state === 'alive') settle(resolve, reject);
      };
      if (latencyMs > 0) this.#options.clock?.after(latencyMs, finish);
      else queueMicrotask(finish);
    });
  }
}

type SyncOutcome = 'done' | 'failed';

function neverSettles<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}
