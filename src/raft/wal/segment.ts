/**
 * Segment files of the log: their names, and reading one whole.
 *
 * Names are `<sequence>-<firstIndex>.wal`, both 16 hex digits, so that names sort like the log. A segment begins with
 * its header record and has a final name only after the header was synced.
 */
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { Index } from '../core/types.ts';
import { decodeIdentity, decodeSegmentHeader, type SegmentHeader } from './payload.ts';
import { type BrokenRecord, findWitness, isBroken, readRecord, recordTypes, type WalRecord } from './record.ts';

/** Version of everything this folder writes. A newer one on disk is refused; there is no older one yet. */
export const walFormatVersion = 1;

export interface SegmentName {
  readonly name: string;
  readonly sequence: number;
  readonly firstIndex: Index;
}

export interface SegmentContent {
  readonly header: SegmentHeader;
  /** Without the header record. */
  readonly records: readonly WalRecord[];
  /** Where the valid records end. */
  readonly endOffset: number;
  readonly lastCrc: number;
  /** Everything before it was synced; what follows up to endOffset may only be in the page cache. */
  readonly lastGroupStart: number;
  /** What stands at endOffset when it is not the end of the file. */
  readonly broken?: BrokenRecord & { readonly witness?: WalRecord };
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

/** What to tell the operator about damage that must not be cut. */
export function corruptError(path: string, offset: number, reason: string): KeelsonError {
  return new KeelsonError(
    'WAL_CORRUPT',
    `open log: segment ${path} is damaged at offset ${offset}: ${reason}. What follows was once durable, so it is not ` +
      'cut. Keep this directory for inspection, remove this member from the cluster and add it again with an empty ' +
      'data directory; if it is the only member, restore the latest backup',
  );
}

/** Reads the records of one segment. Throws only when the header is unusable; a broken record ends the list. */
export function readSegment(path: string, bytes: Buffer): SegmentContent {
  const first = readRecord(bytes, 0);
  if (isBroken(first)) throw corruptError(path, 0, `segment header: ${first.reason}`);
  if (first.type !== recordTypes.segmentHeader) throw corruptError(path, 0, `record type ${first.type} is no header`);
  const { formatVersion } = decodeIdentity(first.payload);
  if (formatVersion > walFormatVersion) {
    throw new KeelsonError(
      'DATA_NEWER_VERSION',
      `open log: ${path} has format version ${formatVersion}, this program knows up to ${walFormatVersion}: ` +
        'start the newer Keelson that wrote it, or restore a backup made before the upgrade',
    );
  }
  const header = decodeSegmentHeader(first.payload);
  const records: WalRecord[] = [];
  let last = first;
  while (last.nextOffset < bytes.length) {
    const record = readRecord(bytes, last.nextOffset);
    const broken = isBroken(record) ? record : chainBreak(record, last);
    if (broken) return { ...contentUpTo(header, records, last), broken: judge(bytes, broken) };
    assert(!isBroken(record), 'a record that is not broken is whole');
    records.push(record);
    last = record;
  }
  return contentUpTo(header, records, last);
}

function contentUpTo(header: SegmentHeader, records: readonly WalRecord[], last: WalRecord): SegmentContent {
  assert(last.groupStart <= last.offset, 'a record is part of its group');
  const { nextOffset, crc, groupStart } = last;
  return { header, records, endOffset: nextOffset, lastCrc: crc, lastGroupStart: groupStart };
}

function chainBreak(record: WalRecord, last: WalRecord): BrokenRecord | undefined {
  if (record.previousCrc === last.crc) return undefined;
  return { offset: record.offset, reason: 'the record does not follow the one before it' };
}

function judge(bytes: Buffer, broken: BrokenRecord): BrokenRecord & { readonly witness?: WalRecord } {
  const witness = findWitness(bytes, broken.offset);
  return witness === undefined ? broken : { ...broken, witness };
}
