/**
 * Certificate, key, authority and revocation list of one side, as they are on disk now. Whoever begins a handshake asks
 * `fresh`, which reads the files again; those that come while a reading is under way share the next one, so a storm of
 * connections costs no storm of readings. For what cannot wait (a connection that goes out) the files are looked at every
 * few seconds as well. Files that cannot be used leave the last good ones in place, with one warning for each bad state.
 */
import { createHash } from 'node:crypto';
import type { Cancel, Clock } from '../../env/clock.ts';
import { type Disk, DiskError } from '../../env/disk.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';

/** Paths by the name of the flag that gave them. */
export type NamedPaths = Readonly<Record<string, string>>;

export interface LiveFilesOptions<T> {
  readonly disk: Pick<Disk, 'readFile'>;
  readonly clock: Pick<Clock, 'every'>;
  readonly log: Log;
  readonly paths: NamedPaths;
  /** Throws when the files cannot be used, alone or together. */
  readonly parse: (bytes: ReadonlyMap<string, Uint8Array>) => T;
  readonly everyMs?: number;
}

/** Long enough to cost nothing, short enough for whoever has just replaced a certificate. */
const everyMsDefault = 5_000;

export class LiveFiles<T> {
  readonly #options: LiveFilesOptions<T>;
  readonly #listeners = new Set<(value: T) => void>();
  readonly #cancelPoll: Cancel;
  #value: T;
  #fingerprint: string;
  /** The bad state that has been warned about; empty when all is well. */
  #badFingerprint = '';
  #reading: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  private constructor(options: LiveFilesOptions<T>, value: T, fingerprint: string) {
    this.#options = options;
    this.#value = value;
    this.#fingerprint = fingerprint;
    this.#cancelPoll = options.clock.every(options.everyMs ?? everyMsDefault, () => void this.fresh());
  }

  /** Rejects with the reason when the files cannot be used to begin with. */
  static async open<T>(options: LiveFilesOptions<T>): Promise<LiveFiles<T>> {
    const { bytes, fingerprint } = await readAll(options);
    return new LiveFiles(options, options.parse(bytes), fingerprint);
  }

  /** As last read. */
  current(): T {
    return this.#value;
  }

  /** As on disk now, or the last good state. Never rejects. */
  async fresh(): Promise<T> {
    if (this.#reading === undefined) {
      this.#reading = this.#read().finally(() => {
        this.#reading = undefined;
      });
      await this.#reading;
    } else {
      // The reading under way may have begun before the files changed.
      this.#next ??= this.#reading
        .then(() => {
          this.#next = undefined;
          return this.fresh();
        })
        .then(() => undefined);
      await this.#next;
    }
    return this.#value;
  }

  onReload(listener: (value: T) => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#cancelPoll();
    this.#listeners.clear();
  }

  async #read(): Promise<void> {
    const { log, parse, paths } = this.#options;
    let fingerprint = 'unreadable';
    try {
      const read = await readAll(this.#options);
      fingerprint = read.fingerprint;
      if (fingerprint === this.#fingerprint || fingerprint === this.#badFingerprint) {
        if (fingerprint === this.#fingerprint) this.#badFingerprint = '';
        return;
      }
      this.#value = parse(read.bytes);
    } catch (error) {
      const state = error instanceof DiskError ? `${error.path} ${error.code}` : fingerprint;
      if (state === this.#badFingerprint) return;
      this.#badFingerprint = state;
      log.warn('kept the certificates in use, as the changed files cannot be used', {
        error: errorText(error),
        ...paths,
      });
      return;
    }
    this.#fingerprint = fingerprint;
    this.#badFingerprint = '';
    log.info('reloaded certificates', { ...paths });
    for (const listener of this.#listeners) listener(this.#value);
  }
}

async function readAll(options: Pick<LiveFilesOptions<unknown>, 'disk' | 'paths'>) {
  const bytes = new Map<string, Uint8Array>();
  const hash = createHash('sha256');
  for (const [flag, path] of Object.entries(options.paths)) {
    const content = await options.disk.readFile(path);
    bytes.set(flag, content);
    hash.update(`${flag}:${content.length}:`).update(content);
  }
  return { bytes, fingerprint: hash.digest('hex') };
}
