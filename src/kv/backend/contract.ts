/**
 * Ordered bytes on disk: contract, implemented by LevelDB (`level`) and by memory, judged by one suite.
 *
 * Keys are compared as bytes. Writes are handed over synchronously and are visible to reads at once; they reach the
 * disk later, batch by batch, in order, each batch whole. The log is the truth: after a crash the backend may miss the
 * newest batches, never a middle one, and `consistentIndex` in the same batch tells how far it got.
 *
 * A failed write is fatal: the owner is told once, and from then on every call throws that failure. Byte arrays handed over
 * belong to the backend and those handed out to the store: nobody changes them.
 */
export interface Backend {
  get(key: Uint8Array): Uint8Array | undefined;
  /** Ascending, [from, to), as of the call. */
  scan(from: Uint8Array, to: Uint8Array): AsyncIterable<readonly [Uint8Array, Uint8Array]>;
  /**
   * The same rows in blocks (row-blocks.ts), for scans of everything: each block is valid until the next one is asked for, and the
   * loop has turns in between. Absent where nothing is gained; `blocksOf` has them of every backend.
   */
  blocks?(from: Uint8Array, to: Uint8Array): AsyncIterable<Uint8Array>;
  write(batch: readonly BackendWrite[]): void;
  /** Resolves when everything written so far is on disk and synced. */
  sync(): Promise<void>;
  /** Bytes the backend takes on disk, approximately. */
  bytesOnDisk(): number;
  /** Bytes written but not yet handed to the disk; the owner slows down above its limit. */
  pendingBytes(): number;
  /** Gives space back where the backend can. */
  compactRange(from: Uint8Array, to: Uint8Array): Promise<void>;
  /** Removes everything, in order with the writes: gone for reads at once, from the disk when it resolves. */
  clear(): Promise<void>;
  /** Writes what is pending, then closes. */
  close(): Promise<void>;
}

export type BackendWrite =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'delete'; readonly key: Uint8Array };
