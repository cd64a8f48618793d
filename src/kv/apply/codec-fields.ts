/** A decoded array as typed fields: what is not as expected is an error with a code, never a wrong request. */
import { KeelsonError } from '../../env/errors.ts';
import type { LeaseId } from '../api.ts';

/** Reads an array field by field, insisting on each one's type. */
export class Fields {
  readonly #values: readonly unknown[];
  #at = 0;

  constructor(values: unknown) {
    if (!Array.isArray(values)) throw unreadable('an array', values);
    this.#values = values;
  }

  /** True when there are fields that an older program did not write. */
  hasMore(): boolean {
    return this.#at < this.#values.length;
  }

  number(): number {
    const value = this.#next();
    if (typeof value !== 'number') throw unreadable('a number', value);
    return value;
  }

  lease(): LeaseId {
    const value = this.#next();
    if (typeof value !== 'bigint') throw unreadable('a lease id', value);
    return value;
  }

  flag(): boolean {
    const value = this.#next();
    if (typeof value !== 'boolean') throw unreadable('a flag', value);
    return value;
  }

  text(): string {
    const value = this.#next();
    if (typeof value !== 'string') throw unreadable('a text', value);
    return value;
  }

  bytes(): Uint8Array {
    const value = this.#next();
    if (!(value instanceof Uint8Array)) throw unreadable('bytes', value);
    return value;
  }

  texts(): string[] {
    const value = this.#next();
    if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) throw unreadable('texts', value);
    return value;
  }

  pick<T extends string>(choices: readonly T[]): T {
    const value = this.number();
    const choice = choices[value];
    if (choice === undefined) throw unreadable(`one of ${choices.join(', ')}`, value);
    return choice;
  }

  /** The fields of an array that is one field here. */
  inner(): Fields {
    return new Fields(this.#next());
  }

  list<T>(item: (fields: Fields) => T): T[] {
    const value = this.#next();
    if (!Array.isArray(value)) throw unreadable('a list', value);
    return value.map((fields) => item(new Fields(fields)));
  }

  #next(): unknown {
    return this.#values[this.#at++];
  }
}

function unreadable(wanted: string, found: unknown): KeelsonError {
  return new KeelsonError(
    'ENTRY_UNREADABLE',
    `cannot read a log entry: found ${typeof found} where ${wanted} was expected; the entry was written by another program version or is damaged, so check the versions of all members`,
  );
}
