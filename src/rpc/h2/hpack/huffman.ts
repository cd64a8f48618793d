/**
 * HPACK's Huffman code (RFC 7541, appendix B). The code is canonical: among codes of one length the order is that of the
 * symbols, so the lengths say everything, and both tables are worked out from them.
 *
 * Decoding takes four bits at a time: for each inner node of the tree and each of 16 values the table says the next node
 * and the symbol that was completed on the way; the shortest code has five bits, so there is at most one.
 */
import { assert } from '../../../env/assert.ts';

const endOfString = 256;

/** The symbols of each code length. */
function symbolsByLength(): ReadonlyMap<number, readonly number[]> {
  const of = (text: string, ...more: readonly number[]) =>
    [...Buffer.from(text, 'latin1'), ...more].toSorted((a, b) => a - b);
  return new Map([
    [5, of('012aceiost')],
    [6, of(' %-./3456789=A_bdfghlmnpru')],
    [7, of(':BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz')],
    [8, of('&*,;XZ')],
    [10, of('!"()?')],
    [11, of("'+|")],
    [12, of('#>')],
    [13, of('$@[]~', 0)],
    [14, of('^}')],
    [15, of('<`{')],
    [19, of('\\', 195, 208)],
    [20, of('', 128, 130, 131, 162, 184, 194, 224, 226)],
    [21, of('', 153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230)],
    [
      22,
      of(
        '',
        129,
        132,
        133,
        134,
        136,
        146,
        154,
        156,
        160,
        163,
        164,
        169,
        170,
        173,
        178,
        181,
        185,
        186,
        187,
        189,
        190,
      ).concat([196, 198, 228, 232, 233]),
    ],
    [
      23,
      of(
        '',
        1,
        135,
        137,
        138,
        139,
        140,
        141,
        143,
        147,
        149,
        150,
        151,
        152,
        155,
        157,
        158,
        165,
        166,
        168,
        174,
        175,
      ).concat([180, 182, 183, 188, 191, 197, 231, 239]),
    ],
    [24, of('', 9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237)],
    [25, of('', 199, 207, 234, 235)],
    [26, of('', 192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255)],
    [27, of('', 203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254)],
    [
      28,
      of('', 2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31).concat([
        127, 220, 249,
      ]),
    ],
    [30, of('', 10, 13, 22, endOfString)],
  ]);
}

const codes = new Uint32Array(257);
const lengths = new Uint8Array(257);
let nextCode = 0;
let lengthBefore = 0;
for (const [length, symbols] of symbolsByLength()) {
  nextCode <<= length - lengthBefore;
  lengthBefore = length;
  for (const symbol of symbols) {
    codes[symbol] = nextCode++;
    lengths[symbol] = length;
  }
}
assert(nextCode === 2 ** 30, 'the code uses every word of 30 bits');

/** Entry: next node, symbol, whether there is a symbol, whether the string must end here with an error. */
const symbolShift = 8;
const hasSymbol = 1 << 16;
const isBad = 1 << 17;
const transitions = new Uint32Array(256 * 16);
/** Nodes where a string may end: up to seven ones, the beginning of the end of string. */
const isAccepting = new Uint8Array(256);
buildTables();

function buildTables(): void {
  // A child is an inner node (number ≥ 0) or a leaf (-1 - symbol).
  const children: [number, number][] = [[0, 0]];
  for (let symbol = 0; symbol <= endOfString; symbol++) {
    let node = 0;
    for (let bit = (lengths[symbol] as number) - 1; bit >= 0; bit--) {
      const side = ((codes[symbol] as number) >>> bit) & 1;
      const pair = children[node] as [number, number];
      if (bit === 0) pair[side] = -1 - symbol;
      else {
        if (pair[side] === 0) pair[side] = children.push([0, 0]) - 1;
        node = pair[side] as number;
      }
    }
  }
  assert(children.length === 256, 'a tree of 257 leaves has 256 inner nodes');
  for (let node = 0; node < 256; node++) {
    for (let nibble = 0; nibble < 16; nibble++) transitions[node * 16 + nibble] = walk(children, node, nibble);
  }
  for (let node = 0, depth = 0; depth < 8; depth++) {
    isAccepting[node] = 1;
    node = (children[node] as [number, number])[1];
  }
}

function walk(children: readonly (readonly [number, number])[], from: number, nibble: number): number {
  let node = from;
  let entry = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const child = (children[node] as readonly [number, number])[(nibble >>> bit) & 1] as number;
    if (child >= 0) node = child;
    else {
      const symbol = -1 - child;
      if (symbol === endOfString) return isBad;
      entry = hasSymbol | (symbol << symbolShift);
      node = 0;
    }
  }
  return entry | node;
}

/** Where a decoded string is put together; grows to the longest that the limits let through. */
let scratch = Buffer.allocUnsafeSlow(4096);

/** The text of `bytes[start, end)`; undefined when it is no valid code. */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string | undefined {
  // No symbol takes less than five bits.
  const mostBytes = Math.ceil(((end - start) * 8) / 5);
  if (scratch.length < mostBytes) scratch = Buffer.allocUnsafeSlow(mostBytes * 2);
  let node = 0;
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    let entry = transitions[(node << 4) | (byte >>> 4)] as number;
    if ((entry & hasSymbol) !== 0) scratch[length++] = entry >>> symbolShift;
    else if ((entry & isBad) !== 0) return undefined;
    entry = transitions[((entry & 0xff) << 4) | (byte & 0xf)] as number;
    if ((entry & hasSymbol) !== 0) scratch[length++] = entry >>> symbolShift;
    else if ((entry & isBad) !== 0) return undefined;
    node = entry & 0xff;
  }
  if (isAccepting[node] === 0) return undefined;
  return scratch.toString('latin1', 0, length);
}

/** For tests and for whoever prefers fewer bytes to fewer instructions. */
export function encodeHuffman(bytes: Uint8Array): Buffer {
  let bits = 0;
  for (const byte of bytes) bits += lengths[byte] as number;
  const encoded = Buffer.alloc(Math.ceil(bits / 8), 0xff);
  let at = 0;
  for (const byte of bytes) {
    const code = codes[byte] as number;
    for (let bit = (lengths[byte] as number) - 1; bit >= 0; bit--, at++) {
      if (((code >>> bit) & 1) === 0) encoded[at >>> 3] = (encoded[at >>> 3] as number) & ~(0x80 >>> (at & 7));
    }
  }
  return encoded;
}
