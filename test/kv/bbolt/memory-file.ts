/** A file in memory: what the bbolt reader and writer need of one. */
export class MemoryFile {
  bytes: Buffer;
  reads = 0;

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.bytes = Buffer.from(bytes);
  }

  size(): Promise<number> {
    return Promise.resolve(this.bytes.length);
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    this.reads += 1;
    return Promise.resolve(Buffer.from(this.bytes.subarray(offset, offset + length)));
  }

  write(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    const added = Buffer.concat(chunks);
    if (offset + added.length > this.bytes.length) {
      this.bytes = Buffer.concat([this.bytes], offset + added.length);
    }
    this.bytes.set(added, offset);
    return Promise.resolve();
  }
}
