/**
 * The disk as the program sees it: POSIX files with honest durability.
 *
 * Promises: what `dataSync` has resolved for survives a crash; anything written since may be kept, lost or torn, in any
 * order. A created, renamed or removed name survives a crash only after `syncDirectory` of its parent. Every method
 * rejects with a DiskError. After a failed sync nothing may be assumed about what was written before it: the caller stops.
 */
export interface Disk {
  /**
   * Opens for reading and writing; `create` fails with EEXIST when the name exists, `open` with ENOENT when it does not.
   * `read` opens what exists for reading alone, so that a file that may not be written can be read.
   */
  open(path: string, mode: 'open' | 'create' | 'read'): Promise<DiskFile>;
  /** Whole content; ENOENT when there is none. */
  readFile(path: string): Promise<Uint8Array>;
  /** Names in a directory, sorted; ENOENT when there is none. */
  list(path: string): Promise<string[]>;
  /** Creates a directory and its parents; no error when it exists. */
  makeDirectory(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  exists(path: string): Promise<boolean>;
  /** Makes creations, renames and removals in `path` durable. */
  syncDirectory(path: string): Promise<void>;
  /** Free bytes on the file system that holds `path`. */
  freeBytes(path: string): Promise<number>;
  /** Size of that file system; 0 when it has no limit that is known. */
  totalBytes(path: string): Promise<number>;
  /**
   * Takes the exclusive lock of the file at `path`, which is made when there is none and stays when the lock is given
   * back. Rejects with EBUSY, having changed nothing, while anybody else on this machine holds it. A process that is gone holds
   * nothing, however it ended.
   */
  lock(path: string): Promise<DiskLock>;
}

export interface DiskLock {
  readonly path: string;
  /** Resolves once others can take it. */
  release(): Promise<void>;
}

export interface DiskFile {
  readonly path: string;
  /** Current length in bytes. */
  size(): Promise<number>;
  /** Up to `length` bytes from `offset`; shorter only at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /**
   * Fills `target`, which the caller leaves alone meanwhile; returns the bytes read, fewer only at the end of the file. For
   * files that are read again and again into the same memory.
   */
  readInto(offset: number, target: Uint8Array): Promise<number>;
  /** Writes all of `chunks`, one after another, from `offset`. Not durable until `dataSync` resolves. */
  write(offset: number, chunks: readonly Uint8Array[]): Promise<void>;
  truncate(length: number): Promise<void>;
  dataSync(): Promise<void>;
  close(): Promise<void>;
}

/** `file` with some of its operations done differently. */
export function fileOver(file: DiskFile, changed: Partial<DiskFile>): DiskFile {
  return {
    path: file.path,
    size: () => file.size(),
    read: (offset, length) => file.read(offset, length),
    readInto: (offset, target) => file.readInto(offset, target),
    write: (offset, chunks) => file.write(offset, chunks),
    truncate: (length) => file.truncate(length),
    dataSync: () => file.dataSync(),
    close: () => file.close(),
    ...changed,
  };
}

/** `code` is the errno name (`EIO`, `ENOSPC`, `ENOENT`, …). */
export class DiskError extends Error {
  override readonly name = 'DiskError';
  readonly code: string;
  readonly operation: string;
  readonly path: string;
  constructor(code: string, operation: string, path: string, options?: { cause?: unknown }) {
    super(`${operation} ${path}: ${code}`, options);
    this.code = code;
    this.operation = operation;
    this.path = path;
  }
}
