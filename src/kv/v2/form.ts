/** What a request of etcd's first API asks for: fields of the query and of the form in its body, checked. */
import { V2Error } from './errors.ts';

export class Form {
  readonly #fields: URLSearchParams;

  /** A field of the body outweighs the one of the query. */
  constructor(query: URLSearchParams, body: string) {
    this.#fields = new URLSearchParams(query);
    const inBody = new URLSearchParams(body);
    for (const name of new Set(inBody.keys())) this.#fields.set(name, inBody.get(name) ?? '');
  }

  has(name: string): boolean {
    return this.#fields.has(name);
  }

  text(name: string): string {
    return this.#fields.get(name) ?? '';
  }

  flag(name: string): boolean {
    return this.maybeFlag(name) ?? false;
  }

  maybeFlag(name: string): boolean | undefined {
    const text = this.#fields.get(name);
    if (text === null) return undefined;
    if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true;
    if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false;
    throw new V2Error('invalidField', `invalid value for "${name}"`);
  }

  index(name: string): number | undefined {
    const text = this.#fields.get(name);
    if (text === null || text === '') return undefined;
    const index = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(index)) {
      throw new V2Error('indexNotNumber', `invalid value for "${name}"`);
    }
    return index;
  }

  ttlSeconds(): number {
    const text = this.text('ttl');
    if (text === '') return 0;
    const seconds = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(seconds))
      throw new V2Error('ttlNotNumber', 'invalid value for "ttl"');
    return seconds;
  }
}
