/**
 * Ordered bytes on disk: contract, implemented by LevelDB (`level`) and by memory, judged by one suite.
 *
 * Keys are compared as bytes. Writes are handed over synchronously and are visible to reads at once; they reach the
 * disk later, batch by batch, in order, each batch whole. The log is the truth: after a crash the backend may miss the
 * newest batches, never a middle one, and `consistentIndex` in the same batch tells how far it got.
 */
export interface Backend {
  get(key: Uint8Array): Uint8Array | undefined;
  /** Ascending, [from, to), as of the call. */
  scan(from: Uint8Array, to: Uint8Array): AsyncIterable<readonly [Uint8Array, Uint8Array]>;
  write(batch: readonly BackendWrite[]): void;
  /** Resolves when everything written so far is on disk and synced. */
  sync(): Promise<void>;
  /** Bytes the backend takes on disk, approximately. */
  bytesOnDisk(): number;
  /** Bytes written but not yet handed to the disk; the owner slows down above its limit. */
  pendingBytes(): number;
  /** Gives space back where the backend can. */
  compactRange(from: Uint8Array, to: Uint8Array): Promise<void>;
  clear(): Promise<void>;
  close(): Promise<void>;
}

export type BackendWrite =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'delete'; readonly key: Uint8Array };
