/**
 * Segment files of the log: their names, and reading one whole.
 *
 * Names are `<sequence>-<firstIndex>.wal`, both 16 hex digits, so that names sort like the log. A segment begins with
 * its header record and has a final name only after the header was synced. It ends where its records end: what follows
 * is zeros, because the file is made longer ahead of what is written (a sync is cheaper when the length stays).
 */
import { crc32 } from 'node:zlib';
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { Index } from '../core/types.ts';
import { decodeIdentity, decodeSegmentHeader, type SegmentHeader } from './payload.ts';
import {
  type BrokenRecord,
  endOfData,
  findHead,
  isBroken,
  lacksSector,
  readRecord,
  type RecordHead,
  recordHeadBytes,
  recordTypes,
  type WalRecord,
} from './record.ts';

/** Version of everything this folder writes. A newer one on disk is refused, and so is 1, which was never released. */
export const walFormatVersion = 2;

export interface SegmentName {
  readonly name: string;
  readonly sequence: number;
  readonly firstIndex: Index;
}

/** Something that cannot be read and was once durable, or may have been. */
export interface Damage {
  readonly path: string;
  readonly offset: number;
  readonly bytes: number;
  readonly reason: string;
  /** When only the payload is damaged. */
  readonly head?: RecordHead;
  /** What can be read next. */
  readonly next?: { readonly term: number };
}

export type SegmentItem =
  | { readonly kind: 'record'; readonly record: WalRecord }
  | { readonly kind: 'damage'; readonly damage: Damage };

export interface SegmentContent {
  /** Absent when it is damaged. */
  readonly header: SegmentHeader | undefined;
  /** Without the header record, in order. */
  readonly items: readonly SegmentItem[];
  /** Where the records end. */
  readonly endOffset: number;
  /** Undefined when the last record's place is damaged. */
  readonly lastCrc: number | undefined;
  /** Everything before it was synced; what follows up to endOffset may only be in the page cache. */
  readonly lastGroupStart: number;
  /** What a crash left at endOffset of a group that was never durable. */
  readonly torn?: BrokenRecord & { readonly bytes: number };
}

export function segmentName(sequence: number, firstIndex: Index): SegmentName {
  assert(sequence > 0 && firstIndex > 0, 'segments and entries count from 1');
  return { name: `${hex(sequence)}-${hex(firstIndex)}.wal`, sequence, firstIndex };
}

/** Undefined for a name that is not a segment's. */
export function parseSegmentName(name: string): SegmentName | undefined {
  const match = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/.exec(name);
  if (!match) return undefined;
  return {
    name,
    sequence: Number.parseInt(match[1] as string, 16),
    firstIndex: Number.parseInt(match[2] as string, 16) as Index,
  };
}

export function hex(value: number): string {
  assert(Number.isSafeInteger(value) && value >= 0, () => `${value} is written as hex`);
  return value.toString(16).padStart(16, '0');
}

/** For people: where and what. */
export function describeDamage(damage: Damage): string {
  return `segment ${damage.path} is damaged at offset ${damage.offset} (${damage.bytes} bytes): ${damage.reason}`;
}

/**
 * Reads one segment whole. `isLast`: no later segment proves that everything in it was durable, so its end may be torn.
 * Throws only for a version it does not know; damage is an item of its own.
 */
export function readSegment(path: string, bytes: Buffer, isLast: boolean): SegmentContent {
  const items: SegmentItem[] = [];
  const dataEnd = endOfData(bytes);
  const first = readRecord(bytes, 0);
  let header: SegmentHeader | undefined;
  /** The record that the next one has to follow; undefined after a place where none could be read. */
  let last: RecordHead | undefined;
  let offset: number;
  if (isBroken(first) || first.type !== recordTypes.segmentHeader) {
    refuseOldVersion(path, bytes);
    const reason = isBroken(first) ? first.reason : `record type ${first.type} is no header`;
    const head = isBroken(first) ? first.head : undefined;
    const next = head ?? findHead(bytes, 8);
    offset = head?.nextOffset ?? next?.offset ?? dataEnd;
    last = head;
    const damage = { path, offset: 0, bytes: offset, reason: `segment header: ${reason}`, ...(next && { next }) };
    items.push({ kind: 'damage', damage });
  } else {
    refuseNewerVersion(path, first);
    header = decodeSegmentHeader(first.payload);
    last = first;
    offset = first.nextOffset;
  }
  let lastGroupStart = 0;
  while (offset < dataEnd) {
    const record = followed(readRecord(bytes, offset), last);
    if (!isBroken(record)) {
      items.push({ kind: 'record', record });
      lastGroupStart = record.groupStart;
      offset = record.nextOffset;
      last = record;
      continue;
    }
    if (isLast && isTorn(bytes, record, last)) {
      const torn = { ...record, bytes: dataEnd - offset };
      return { header, items, endOffset: offset, lastCrc: last?.crc, lastGroupStart, torn };
    }
    const { head, reason } = record;
    const next = findHead(bytes, head?.nextOffset ?? offset + 8);
    const after = head?.nextOffset ?? next?.offset ?? dataEnd;
    const damage = { path, offset, bytes: after - offset, reason, ...(head && { head }), ...(next && { next }) };
    items.push({ kind: 'damage', damage });
    last = head;
    offset = after;
  }
  return { header, items, endOffset: offset, lastCrc: last?.crc, lastGroupStart };
}

function followed(record: WalRecord | BrokenRecord, last: RecordHead | undefined): WalRecord | BrokenRecord {
  if (isBroken(record) || last === undefined || record.previousCrc === last.crc) return record;
  return { offset: record.offset, reason: 'the record does not follow the one before it' };
}

/**
 * Whether what stands at a broken record was never durable. It was once, when a later head says so; it was not, when the group
 * lacks a sector. With neither, the group was written whole and something changed it since: nobody can say whether
 * it was acknowledged, so it counts as if it was.
 */
function isTorn(bytes: Buffer, broken: BrokenRecord, last: RecordHead | undefined): boolean {
  let groupEnd = broken.head?.groupEnd ?? 0;
  if (last && last.groupEnd > broken.offset) groupEnd = Math.max(groupEnd, last.groupEnd);
  let head = findHead(bytes, broken.head?.nextOffset ?? broken.offset + 8);
  while (head) {
    if (head.groupStart > broken.offset) return false;
    groupEnd = Math.max(groupEnd, head.groupEnd);
    head = findHead(bytes, head.nextOffset);
  }
  // Without a readable head nobody knows where the group ended: at the end of what is there, and not within its first head.
  const dataEnd = Math.max(endOfData(bytes), broken.offset + recordHeadBytes);
  return lacksSector(bytes, broken.offset, groupEnd > 0 ? groupEnd : dataEnd);
}

function refuseNewerVersion(path: string, first: WalRecord): void {
  const { formatVersion } = decodeIdentity(first.payload);
  if (formatVersion <= walFormatVersion) return;
  throw new KeelsonError(
    'DATA_NEWER_VERSION',
    `open log: ${path} has format version ${formatVersion}, this program knows up to ${walFormatVersion}: ` +
      'start the newer Keelson that wrote it, or restore a backup made before the upgrade',
  );
}

/** The head of version 1 had 24 bytes. */
function refuseOldVersion(path: string, bytes: Buffer): void {
  if (bytes.length < 24) return;
  const end = 24 + bytes.readUInt32LE(4);
  if (end > bytes.length || crc32(bytes.subarray(4, end)) !== bytes.readUInt32LE(0)) return;
  throw new KeelsonError(
    'DATA_OLDER_VERSION',
    `open log: ${path} has format version 1 of before the first release, this program reads ${walFormatVersion}: ` +
      'export the data with the program that wrote it',
  );
}
