/** Pages as values: the elements of a leaf or a branch out of its bytes, every length checked before it is believed. */
import { branchElementOf, damaged, elementBytes, leafElementOf, pageFlags, pageHeaderBytes } from './format.ts';

export interface LeafElement {
  readonly isBucket: boolean;
  readonly key: Buffer;
  readonly value: Buffer;
}

export interface BranchElement {
  readonly key: Buffer;
  readonly page: number;
}

export type Page =
  | { readonly kind: 'leaf'; readonly id: number; readonly elements: readonly LeafElement[] }
  | { readonly kind: 'branch'; readonly id: number; readonly elements: readonly BranchElement[] };

/** Keys and values are views of `bytes`. `id` is only for the message. */
export function decodePage(bytes: Buffer, id: number): Page {
  if (bytes.length < pageHeaderBytes) throw damaged(`${bytes.length} bytes hold no page`, id);
  const flags = bytes.readUInt16LE(8);
  const count = bytes.readUInt16LE(10);
  const elementsEnd = pageHeaderBytes + count * elementBytes;
  if (elementsEnd > bytes.length) throw damaged(`${count} elements do not fit ${bytes.length} bytes`, id);
  if (flags === pageFlags.leaf) return { kind: 'leaf', id, elements: leafElements(bytes, id, count) };
  if (flags === pageFlags.branch) return { kind: 'branch', id, elements: branchElements(bytes, id, count) };
  throw damaged(`its flags are ${flags}, neither a leaf's nor a branch's`, id);
}

function leafElements(bytes: Buffer, id: number, count: number): LeafElement[] {
  const elements: LeafElement[] = [];
  for (let number = 0; number < count; number++) {
    const { flags, start, keyBytes, valueBytes } = leafElementOf(bytes, number);
    const valueStart = start + keyBytes;
    const end = valueStart + valueBytes;
    if (end > bytes.length) throw damaged(`element ${number} reaches to byte ${end} of ${bytes.length}`, id);
    if (flags > 1) throw damaged(`element ${number} has flags ${flags}`, id);
    const key = bytes.subarray(start, valueStart);
    elements.push({ isBucket: flags === 1, key, value: bytes.subarray(valueStart, end) });
  }
  return elements;
}

function branchElements(bytes: Buffer, id: number, count: number): BranchElement[] {
  const elements: BranchElement[] = [];
  for (let number = 0; number < count; number++) {
    const { start, keyBytes, page } = branchElementOf(bytes, number);
    const end = start + keyBytes;
    if (end > bytes.length) throw damaged(`element ${number} reaches to byte ${end} of ${bytes.length}`, id);
    elements.push({ key: bytes.subarray(start, end), page });
  }
  return elements;
}
