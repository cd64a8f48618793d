/** Where backups lie: contract. A name is a plain file name; what is there under a name is always whole. */
export interface Destination {
  /** For messages; holds no secret. */
  readonly description: string;
  /** Every name, in no order. */
  list(): Promise<readonly string[]>;
  /** Stores `content` under `name`, whole or not at all; durable when it resolves. An existing one is replaced. */
  put(name: string, content: AsyncIterable<Uint8Array>): Promise<void>;
  /** Rejects with KeelsonError `BACKUP_MISSING` when there is none of that name. */
  get(name: string): AsyncGenerator<Uint8Array>;
  remove(name: string): Promise<void>;
}
