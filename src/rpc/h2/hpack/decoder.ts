/**
 * HPACK decoding (RFC 7541): one decoder per connection, as every block may change the table that the next ones refer to.
 *
 * A block must be decoded to its end even when nobody wants its fields. Beyond `headerListBytesMax` the fields are
 * dropped and the list says so, so that a small block cannot unfold into much memory.
 */
import { ConnectionError, errorCode } from '../frames.ts';
import { headerListBytesMax, headerTableBytes } from '../limits.ts';
import { Field, fieldKind, kindOfName } from './field.ts';
import { decodeHuffman } from './huffman.ts';
import { staticTable } from './static-table.ts';

export interface HeaderList {
  readonly fields: readonly Field[];
  /** Fields are missing: there were more than allowed. */
  readonly isTooLarge: boolean;
}

/** More entries cannot be there: each counts 32 bytes and more. Invariant: a power of two. */
const slots = 128;
/** Longer than any block, and far from where shifts go wrong. */
const integerMax = 2 ** 24;

export class HpackDecoder {
  /** Ring of entries, the newest at `#inserted - 1`; made when the first is inserted. */
  readonly #entries: Field[] = [];
  #inserted = 0;
  #count = 0;
  #sizeBytes = 0;
  #limitBytes = headerTableBytes;
  /** Of the block being decoded. */
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  /** Throws ConnectionError when the block is no valid HPACK. */
  decode(bytes: Buffer, start: number, end: number): HeaderList {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    const fields: Field[] = [];
    let listBytes = 0;
    let mayResize = true;
    while (this.#at < end) {
      const first = bytes[this.#at] as number;
      if ((first & 0xe0) === 0x20) {
        if (!mayResize) throw bad('the table may change its size only where a block begins');
        this.#resize(this.#integer(0x1f));
        continue;
      }
      mayResize = false;
      const field = first >= 0x80 ? this.#entry(this.#integer(0x7f)) : this.#literal(first);
      listBytes += field.sizeBytes;
      if (listBytes <= headerListBytesMax) fields.push(field);
    }
    return { fields, isTooLarge: listBytes > headerListBytesMax };
  }

  #literal(first: number): Field {
    const isIndexed = first >= 0x40;
    const index = this.#integer(isIndexed ? 0x3f : 0x0f);
    let name: string;
    let nameKind: number;
    if (index === 0) {
      name = this.#string();
      nameKind = kindOfName(name);
    } else {
      const named = this.#entry(index);
      name = named.name;
      // The entry may be malformed for its value alone.
      nameKind = named.kind === fieldKind.malformed ? kindOfName(name) : named.kind;
    }
    const field = new Field(name, this.#string(), nameKind);
    if (isIndexed) this.#insert(field);
    return field;
  }

  #entry(index: number): Field {
    if (index === 0) throw bad('there is no entry 0');
    if (index <= staticTable.length) return staticTable[index - 1] as Field;
    const age = index - staticTable.length - 1;
    if (age >= this.#count) throw bad(`there is no entry ${index}`);
    return this.#entries[(this.#inserted - 1 - age) & (slots - 1)] as Field;
  }

  #insert(field: Field): void {
    this.#evict(this.#limitBytes - field.sizeBytes);
    // A field larger than the table empties it and is not kept.
    if (field.sizeBytes > this.#limitBytes) return;
    this.#entries[this.#inserted & (slots - 1)] = field;
    // Only the ring's position matters; the sum must stay a small integer.
    this.#inserted = (this.#inserted + 1) & 0xffffff;
    this.#count++;
    this.#sizeBytes += field.sizeBytes;
  }

  #evict(limitBytes: number): void {
    while (this.#count > 0 && this.#sizeBytes > limitBytes) {
      const oldest = this.#entries[(this.#inserted - this.#count) & (slots - 1)] as Field;
      this.#sizeBytes -= oldest.sizeBytes;
      this.#count--;
    }
  }

  #resize(limitBytes: number): void {
    if (limitBytes > headerTableBytes)
      throw bad(`a table of ${limitBytes} bytes, at most ${headerTableBytes} are allowed`);
    this.#limitBytes = limitBytes;
    this.#evict(limitBytes);
  }

  /** A number whose first bits are under `mask` (RFC 7541, section 5.1). */
  #integer(mask: number): number {
    let value = (this.#bytes[this.#at++] as number) & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      if (this.#at >= this.#end) throw bad('a number is cut off');
      const byte = this.#bytes[this.#at++] as number;
      value += (byte & 0x7f) * 2 ** shift;
      if (value > integerMax || shift > 28) throw bad('a number is too large');
      if (byte < 0x80) return value;
    }
  }

  #string(): string {
    if (this.#at >= this.#end) throw bad('a string is missing');
    const isHuffman = (this.#bytes[this.#at] as number) >= 0x80;
    const length = this.#integer(0x7f);
    const start = this.#at;
    const stop = start + length;
    if (stop > this.#end) throw bad('a string is cut off');
    this.#at = stop;
    if (!isHuffman) return this.#bytes.toString('latin1', start, stop);
    const text = decodeHuffman(this.#bytes, start, stop);
    if (text === undefined) throw bad('a string is no Huffman code');
    return text;
  }
}

function bad(reason: string): ConnectionError {
  return new ConnectionError(errorCode.compressionError, `HPACK: ${reason}`);
}
