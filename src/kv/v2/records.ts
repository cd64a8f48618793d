/**
 * How the nodes of etcd's first API lie in the store: each is a key under a reserved prefix that no client of today's API
 * uses by accident, and its value says what it is.
 *
 *   "\0v2/" + "/dir/name"   ->   kind, action, created index, then the value of a file
 *
 * The created index is that of the write that made the node; 0 = this one, whose revision is not known when it is written.
 *
 * A directory is a node of its own. What lies under a directory that is not there (it has ended with its lease) is not
 * there either, and is removed when the directory is made again.
 */
import { assert } from '../../env/assert.ts';
import type { Bytes, KeyValue } from '../api.ts';

const prefix = '\0v2/';
const fileKind = 0x66;
const directoryKind = 0x64;
const slash = 0x2f;
const headerBytes = 10;

/** What made a node what it is; the position is its number in a record. */
const actions = ['set', 'create', 'update', 'compareAndSwap'] as const;
export type WriteAction = (typeof actions)[number];

export interface V2Node {
  /** `/dir/name`; `/` is the root. */
  readonly path: string;
  readonly isDirectory: boolean;
  readonly value: string;
  readonly action: WriteAction;
  readonly createdIndex: number;
  readonly modifiedIndex: number;
  readonly lease: bigint;
}

/** A clean absolute path: no empty parts, no dots. */
export function cleanPath(text: string): string {
  const parts: string[] = [];
  for (const part of text.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

/** Every directory above, outermost first, without the root. */
export function ancestorsOf(path: string): readonly string[] {
  const parts = path.split('/').slice(1, -1);
  return parts.map((_, place) => `/${parts.slice(0, place + 1).join('/')}`);
}

export function keyOf(path: string): Bytes {
  assert(path.startsWith('/') && path !== '/', 'the root has no key');
  return Buffer.from(prefix + path);
}

/** The interval of everything under a directory. */
export function rangeUnder(path: string): { readonly key: Bytes; readonly rangeEnd: Bytes } {
  const key = Buffer.from(`${prefix}${path === '/' ? '' : path}/`);
  const rangeEnd = Buffer.from(key);
  assert(rangeEnd.at(-1) === slash, 'what lies under a directory begins with its path and a slash');
  rangeEnd[rangeEnd.length - 1] = slash + 1;
  return { key, rangeEnd };
}

/** `value` undefined: a directory. `createdIndex` 0: the node begins with this write. */
export function encodeRecord(action: WriteAction, value: string | undefined, createdIndex = 0): Bytes {
  const header = Buffer.alloc(headerBytes);
  header[0] = value === undefined ? directoryKind : fileKind;
  header[1] = actions.indexOf(action);
  header.writeBigUInt64BE(BigInt(createdIndex), 2);
  return Buffer.concat([header, Buffer.from(value ?? '')]);
}

export function nodeOf(kv: KeyValue): V2Node {
  const bytes = Buffer.from(kv.value.buffer, kv.value.byteOffset, kv.value.byteLength);
  assert(bytes.length >= headerBytes, 'a record has its header');
  return {
    path: Buffer.from(kv.key).toString().slice(prefix.length),
    isDirectory: bytes[0] === directoryKind,
    value: bytes.toString('utf8', headerBytes),
    action: actions[bytes[1] ?? 0] ?? 'set',
    createdIndex: Number(bytes.readBigUInt64BE(2)) || kv.modRevision,
    modifiedIndex: kv.modRevision,
    lease: kv.lease,
  };
}

/** The path of a key, for events that carry nothing else. */
export function pathOf(key: Bytes): string {
  return Buffer.from(key).toString().slice(prefix.length);
}
