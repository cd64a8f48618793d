/**
 * HPACK encoding of answers. Nearly all answers have the same two header blocks, so just two fields enter the table, once
 * each, and from then on a block is two bytes and one byte. Everything else is sent literally and never indexed.
 *
 * Blocks must be written in the order in which they were encoded.
 */
import { staticNames } from './static-table.ts';

const contentTypeName = 'content-type';
const grpcContentType = 'application/grpc';
const firstDynamicIndex = 62;
/** What the two fields take in the table is far less; a client that wants less than the default gets literals. */
const tableBytesWanted = 4096;

const indexedStatus200 = 0x88;
const literal: Record<'head' | 'trailers', Buffer> = {
  head: Buffer.concat([Buffer.from([indexedStatus200]), encodeLiteral(contentTypeName, grpcContentType)]),
  trailers: encodeLiteral('grpc-status', '0'),
};
const inserting: Record<'head' | 'trailers', Buffer> = {
  head: Buffer.concat([
    Buffer.from([indexedStatus200, 0x40 | (staticNames.get(contentTypeName) ?? 0)]),
    encodeText(grpcContentType),
  ]),
  trailers: Buffer.concat([Buffer.from([0x40]), encodeText('grpc-status'), encodeText('0')]),
};
const indexed = {
  headAlone: Buffer.from([indexedStatus200, 0x80 | firstDynamicIndex]),
  head: Buffer.from([indexedStatus200, 0x80 | (firstDynamicIndex + 1)]),
  trailers: Buffer.from([0x80 | firstDynamicIndex]),
};
const emptyTable = Buffer.from([0x20]);

export class HpackEncoder {
  #isLiteral = false;
  /** Invariant: the trailers enter the table only after the head. */
  #isHeadInTable = false;
  #areTrailersInTable = false;
  #mustEmptyTable = false;

  /** The client allows a table of this size. */
  limitTable(sizeBytes: number): void {
    if (sizeBytes >= tableBytesWanted || this.#isLiteral) return;
    this.#isLiteral = true;
    this.#mustEmptyTable = true;
  }

  /** `:status: 200`, `content-type: application/grpc`. */
  grpcHead(): Buffer {
    if (this.#isLiteral) return this.#afterResize(literal.head);
    if (this.#isHeadInTable) return this.#areTrailersInTable ? indexed.head : indexed.headAlone;
    this.#isHeadInTable = true;
    return inserting.head;
  }

  /** `grpc-status: 0`. */
  grpcTrailers(): Buffer {
    if (this.#isLiteral || !this.#isHeadInTable) return this.#afterResize(literal.trailers);
    if (this.#areTrailersInTable) return indexed.trailers;
    this.#areTrailersInTable = true;
    return inserting.trailers;
  }

  /** Any fields; `:status` first. */
  block(fields: readonly (readonly [name: string, value: string])[]): Buffer {
    return this.#afterResize(Buffer.concat(fields.map(([name, value]) => encodeLiteral(name, value))));
  }

  #afterResize(block: Buffer): Buffer {
    if (!this.#mustEmptyTable) return block;
    this.#mustEmptyTable = false;
    return Buffer.concat([emptyTable, block]);
  }
}

/** Without indexing, the name by its static index where it has one. */
function encodeLiteral(name: string, value: string): Buffer {
  const index = staticNames.get(name);
  const head =
    index === undefined ? Buffer.concat([Buffer.from([0]), encodeText(name)]) : encodeInteger(0, 0x0f, index);
  return Buffer.concat([head, encodeText(value)]);
}

function encodeText(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  return Buffer.concat([encodeInteger(0, 0x7f, bytes.length), bytes]);
}

/** `value` in the bits under `mask`, `bits` in those above (RFC 7541, section 5.1). */
export function encodeInteger(bits: number, mask: number, value: number): Buffer {
  if (value < mask) return Buffer.from([bits | value]);
  const bytes = [bits | mask];
  let rest = value - mask;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
