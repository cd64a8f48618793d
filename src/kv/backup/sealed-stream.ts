/**
 * A stream of bytes sealed with a passphrase, in pieces, so that it can be made and opened without holding it whole.
 *
 *     "keelson-sealed-1\n"
 *     length of the header u32, header as JSON: scrypt's cost and salt, bytes of a piece
 *     32 bytes: HMAC-SHA-256 of all before it
 *     pieces: AES-256-GCM, tag behind; the nonce is the piece's number and whether it is the last one
 *
 * Keys come out of scrypt over the passphrase and a salt that is random for each stream, so no key and nonce meet twice.
 * A wrong passphrase is told from damage by the header's HMAC; a changed, missing, moved or added piece, or a missing end, by
 * the pieces' tags. What was opened so far was not changed, but only the end says that nothing is missing.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, scrypt, timingSafeEqual } from 'node:crypto';
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { Random } from '../../env/random.ts';

const magic = Buffer.from('keelson-sealed-1\n');
const hmacBytes = 32;
const tagBytes = 16;
const pieceBytes = 64 * 1024;
const saltBytes = 16;
/** A header that is larger is none. */
const headerBytesMax = 4096;
/** 64 MB and a fifth of a second: little beside a backup, much beside a guess. */
const usualCost: Cost = { n: 2 ** 16, r: 8, p: 1 };
/** What a header may ask of whoever opens it. */
const costMax: Cost = { n: 2 ** 20, r: 16, p: 4 };

export interface Cost {
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

interface Keys {
  readonly header: Buffer;
  readonly pieces: Buffer;
}

/** Seals `content`. The passphrase must not be empty; `cost` is scrypt's, and lower only for tests. */
export async function* sealStream(
  content: AsyncIterable<Uint8Array>,
  passphrase: string,
  random: Random,
  cost: Cost = usualCost,
): AsyncGenerator<Uint8Array> {
  const salt = Buffer.from(random.bytes(saltBytes));
  const header = Buffer.from(JSON.stringify({ kdf: 'scrypt', ...cost, salt: salt.toString('base64'), pieceBytes }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(header.length, 0);
  const start = Buffer.concat([magic, length, header]);
  const keys = await keysOf(passphrase, salt, cost);
  yield Buffer.concat([start, createHmac('sha256', keys.header).update(start).digest()]);
  let number = 0;
  for await (const { piece, isLast } of cut(content, pieceBytes)) {
    const cipher = createCipheriv('aes-256-gcm', keys.pieces, nonceOf(number, isLast));
    yield Buffer.concat([cipher.update(piece), cipher.final(), cipher.getAuthTag()]);
    number += 1;
  }
}

/** Opens what `sealStream` made. Rejects with `SEALED_PASSPHRASE` or `SEALED_DAMAGED`; `name` is for the message. */
export async function* openStream(
  sealed: AsyncIterable<Uint8Array>,
  passphrase: string,
  name: string,
): AsyncGenerator<Uint8Array> {
  const source = new Bytes(sealed);
  try {
    const { start, cost, salt } = await readHeader(source, name);
    const keys = await keysOf(passphrase, salt, cost);
    const said = await source.take(hmacBytes);
    const computed = createHmac('sha256', keys.header).update(start).digest();
    if (said.length !== hmacBytes || !timingSafeEqual(said, computed)) {
      throw new KeelsonError(
        'SEALED_PASSPHRASE',
        `open ${name}: the passphrase does not fit: give the one it was made with`,
      );
    }
    let number = 0;
    for await (const { piece, isLast } of cut(source.rest(), pieceBytes + tagBytes)) {
      yield openPiece(piece, keys.pieces, nonceOf(number, isLast), () => damaged(name, `piece ${number} was changed`));
      number += 1;
    }
  } finally {
    await source.close();
  }
}

function openPiece(piece: Buffer, key: Buffer, nonce: Buffer, damage: () => KeelsonError): Buffer {
  if (piece.length < tagBytes) throw damage();
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  decipher.setAuthTag(piece.subarray(piece.length - tagBytes));
  const plain = decipher.update(piece.subarray(0, piece.length - tagBytes));
  try {
    return Buffer.concat([plain, decipher.final()]);
  } catch (error) {
    throw Object.assign(damage(), { cause: error });
  }
}

async function readHeader(source: Bytes, name: string) {
  const begin = await source.take(magic.length + 4);
  if (begin.length < magic.length + 4 || !begin.subarray(0, magic.length).equals(magic)) {
    throw damaged(name, 'it does not begin as a sealed file does');
  }
  const length = begin.readUInt32BE(magic.length);
  if (length > headerBytesMax) throw damaged(name, `its header would have ${length} bytes`);
  const header = await source.take(length);
  if (header.length < length) throw damaged(name, 'it ends inside its header');
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(header.toString('utf8')) as Record<string, unknown>;
  } catch (error) {
    throw Object.assign(damaged(name, 'its header cannot be read'), { cause: error });
  }
  const { n, r, p } = fields;
  const isWithin = (value: unknown, max: number): value is number =>
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= max;
  const isCost = isWithin(n, costMax.n) && isWithin(r, costMax.r) && isWithin(p, costMax.p) && (n & (n - 1)) === 0;
  if (fields['kdf'] !== 'scrypt' || !isCost || n < 2 || fields['pieceBytes'] !== pieceBytes) {
    throw damaged(name, `its header asks for what this program does not know: ${header.toString('utf8')}`);
  }
  const salt = Buffer.from(String(fields['salt']), 'base64');
  return { start: Buffer.concat([begin, header]), cost: { n, r, p }, salt };
}

async function keysOf(passphrase: string, salt: Buffer, cost: Cost): Promise<Keys> {
  assert(passphrase !== '', 'nothing is sealed with an empty passphrase');
  const secret = await new Promise<Buffer>((resolve, reject) => {
    const options = { N: cost.n, r: cost.r, p: cost.p, maxmem: 256 * cost.n * cost.r };
    // The same text typed on another machine may come composed in another way.
    scrypt(passphrase.normalize('NFC'), salt, 32, options, (error, key) => (error ? reject(error) : resolve(key)));
  });
  const derive = (purpose: string) => Buffer.from(hkdfSync('sha256', secret, salt, purpose, 32));
  return { header: derive('keelson sealed header'), pieces: derive('keelson sealed pieces') };
}

function nonceOf(number: number, isLast: boolean): Buffer {
  assert(Number.isSafeInteger(number), 'pieces are counted');
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64BE(BigInt(number), 0);
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

/** The same bytes in pieces of `size`; the last one is shorter or as long, and there is always one. */
async function* cut(
  content: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<{ readonly piece: Buffer; readonly isLast: boolean }> {
  let held: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of content) {
    held.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    bytes += chunk.length;
    // A full piece is held back until it is known that more comes behind it.
    if (bytes <= size) continue;
    const all = Buffer.concat(held, bytes);
    let at = 0;
    for (; bytes - at > size; at += size) yield { piece: all.subarray(at, at + size), isLast: false };
    held = [all.subarray(at)];
    bytes -= at;
  }
  yield { piece: Buffer.concat(held, bytes), isLast: true };
}

function damaged(name: string, what: string): KeelsonError {
  return new KeelsonError('SEALED_DAMAGED', `open ${name}: ${what}: the file is damaged or no backup: use another one`);
}

/** Takes a few bytes off the front of a stream. */
class Bytes {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** Fewer than `count` only at the end. */
  async take(count: number): Promise<Buffer> {
    while (this.#held.length < count) {
      const next = await this.#iterator.next();
      if (next.done) break;
      this.#held = Buffer.concat([this.#held, next.value]);
    }
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return taken;
  }

  /** The source may hold a file or a connection open. */
  async close(): Promise<void> {
    await this.#iterator.return?.();
  }

  async *rest(): AsyncGenerator<Uint8Array> {
    if (this.#held.length > 0) yield this.#held;
    this.#held = Buffer.alloc(0);
    for (;;) {
      const next = await this.#iterator.next();
      if (next.done) return;
      yield next.value;
    }
  }
}
