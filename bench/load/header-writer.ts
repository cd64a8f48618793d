import { assert } from '../../src/env/assert.ts';

/** Request headers in HPACK: each field is sent once in full and by its place in the dynamic table afterwards. */
export class HeaderWriter {
  readonly #authority: string;
  readonly #scheme: number;
  /** Field to the count of insertions when it was inserted. */
  readonly #inserted = new Map<string, number>();
  #insertions = 0;

  constructor(authority: string, isSecure: boolean) {
    this.#authority = authority;
    this.#scheme = isSecure ? 0x87 : 0x86;
  }

  block(path: string): Buffer {
    const fields: readonly (readonly [name: string, nameIndex: number, value: string])[] = [
      [':path', 4, path],
      [':authority', 1, this.#authority],
      ['content-type', 31, 'application/grpc'],
      ['te', 0, 'trailers'],
      ['user-agent', 58, 'keelson-bench'],
    ];
    const parts: Buffer[] = [Buffer.from([0x83, this.#scheme])];
    for (const [name, nameIndex, value] of fields) parts.push(this.#field(name, nameIndex, value));
    return Buffer.concat(parts);
  }

  #field(name: string, nameIndex: number, value: string): Buffer {
    const known = this.#inserted.get(`${name}\n${value}`);
    // Index 62 is the newest entry.
    if (known !== undefined) return Buffer.from([0x80 | (62 + this.#insertions - known - 1)]);
    this.#inserted.set(`${name}\n${value}`, this.#insertions++);
    assert(this.#insertions < 40 && value.length < 127, 'few and short headers');
    const text = (content: string) => [content.length, ...Buffer.from(content, 'latin1')];
    return Buffer.from([0x40 | nameIndex, ...(nameIndex === 0 ? text(name) : []), ...text(value)]);
  }
}
