/**
 * What the records of the log say, and how it is written (msgpackr arrays). Decoding checks shape and ranges: bytes whose
 * checksum is right but that this version cannot understand are refused, never guessed at.
 */
import { Packr } from 'msgpackr';
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { ConfState, Entry, HardState, Index, ReplicaId, SnapshotMeta, Term } from '../core/types.ts';
import type { WalIdentity } from './wal.ts';

/** A snapshot that counts: its file was durable before the mark was written. */
export interface SnapshotMark {
  readonly meta: SnapshotMeta;
  /** Came from the leader and replaced the log; entries before it do not lead up to it. */
  readonly isReceived: boolean;
}

/** First record of each segment: all that must be known when the segments before it are gone. */
export interface SegmentHeader {
  readonly identity: WalIdentity;
  readonly sequence: number;
  /** Index that the next new entry will have. */
  readonly firstIndex: Index;
  /** Checksum of the last record of the segment before; 0 in the first one. */
  readonly previousSegmentCrc: number;
  readonly hardState: HardState;
  /** Newest first, at most two. */
  readonly marks: readonly SnapshotMark[];
  /** Outcomes of membership changes after the oldest mark, ascending. */
  readonly confMarks: readonly ConfMark[];
  /** The log was written anew from here on; segments before this one are of no use any more. */
  readonly isNewBeginning: boolean;
  /** Absent when nothing is missing. */
  readonly lost?: LostEntries;
}

/** Entries that were acknowledged, or may have been, and are not in the log; until a leader has sent them again. */
export interface LostEntries {
  readonly upTo: Index;
  /** None of them is of a later term. */
  readonly term: Term;
}

/** One Ready's worth. Term and vote are always in the same record as what depends on them. */
export interface Batch {
  readonly hardState: HardState;
  readonly entries: readonly Entry[];
  readonly snapshot?: SnapshotMeta;
}

/** Membership after the committed membership entry at `index` was applied; a vetoed one left it as it was. */
export interface ConfMark {
  readonly index: Index;
  readonly confState: ConfState;
}

// Entries' data are views of the segment's bytes: most are of no use any more when they are read. Who keeps one copies it.
const packr = new Packr({ useRecords: false, copyBuffers: false, int64AsType: 'number' });
const kindNumbers = { normal: 0, confChange: 1 } as const;

type Packed = readonly unknown[];

function refuse(what: string): never {
  throw new KeelsonError('WAL_CORRUPT', `${what} has a valid checksum but not the shape this version writes`);
}

function unpack(payload: Uint8Array, what: string): Packed {
  let value: unknown;
  try {
    value = packr.unpack(payload as Buffer);
  } catch (cause) {
    throw new KeelsonError('WAL_CORRUPT', `${what} has a valid checksum but cannot be decoded`, { cause });
  }
  return Array.isArray(value) ? value : refuse(what);
}

function integer(value: unknown, what: string): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : refuse(what);
}

function text(value: unknown, what: string): string {
  return typeof value === 'string' ? value : refuse(what);
}

function list(value: unknown, what: string): Packed {
  return Array.isArray(value) ? value : refuse(what);
}

function packConfState(state: ConfState): Packed {
  const always = [state.voters, state.votersOutgoing, state.learners, state.learnersNext, state.autoLeave];
  return state.witnesses === undefined ? always : [...always, state.witnesses];
}

function toConfState(value: unknown): ConfState {
  const what = 'a membership';
  const [voters, votersOutgoing, learners, learnersNext, autoLeave, witnesses] = list(value, what);
  const ids = (part: unknown) => list(part, what).map((id) => integer(id, what) as ReplicaId);
  if (typeof autoLeave !== 'boolean') refuse(what);
  return {
    voters: ids(voters),
    votersOutgoing: ids(votersOutgoing),
    learners: ids(learners),
    learnersNext: ids(learnersNext),
    autoLeave,
    ...(witnesses !== undefined && { witnesses: ids(witnesses) }),
  };
}

function packMeta(meta: SnapshotMeta): Packed {
  return [meta.index, meta.term, packConfState(meta.confState)];
}

function toMeta(value: unknown): SnapshotMeta {
  const [index, term, confState] = list(value, 'a snapshot mark');
  return {
    index: integer(index, 'a snapshot index') as Index,
    term: integer(term, 'a snapshot term') as Term,
    confState: toConfState(confState),
  };
}

function packHardState(state: HardState): Packed {
  return [state.term, state.vote, state.commit];
}

function toHardState(value: unknown): HardState {
  const [term, vote, commit] = list(value, 'a hard state');
  return {
    term: integer(term, 'a term') as Term,
    vote: integer(vote, 'a vote') as ReplicaId,
    commit: integer(commit, 'a commit index') as Index,
  };
}

function packIdentity(identity: WalIdentity): Packed {
  return [identity.formatVersion, identity.clusterId, identity.memberId];
}

function toIdentity(value: unknown): WalIdentity {
  const [formatVersion, clusterId, memberId] = list(value, 'an identity');
  return {
    formatVersion: integer(formatVersion, 'a format version'),
    clusterId: text(clusterId, 'a cluster id'),
    memberId: text(memberId, 'a member id'),
  };
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  return packr.pack([
    packIdentity(header.identity),
    header.sequence,
    header.firstIndex,
    header.previousSegmentCrc,
    packHardState(header.hardState),
    header.marks.map((mark) => [packMeta(mark.meta), mark.isReceived]),
    header.confMarks.map((mark) => [mark.index, packConfState(mark.confState)]),
    header.isNewBeginning,
    header.lost === undefined ? null : [header.lost.upTo, header.lost.term],
  ]);
}

/** The identity alone, which every format version keeps in the same place. */
export function decodeIdentity(payload: Uint8Array): WalIdentity {
  return toIdentity(unpack(payload, 'a segment header')[0]);
}

export function decodeSegmentHeader(payload: Uint8Array): SegmentHeader {
  const what = 'a segment header';
  const [identity, sequence, firstIndex, previousSegmentCrc, hardState, marks, confMarks, isNewBeginning, lost] =
    unpack(payload, what);
  return {
    identity: toIdentity(identity),
    sequence: integer(sequence, what),
    firstIndex: integer(firstIndex, what) as Index,
    previousSegmentCrc: integer(previousSegmentCrc, what),
    hardState: toHardState(hardState),
    marks: list(marks, what).map((mark) => {
      const [meta, isReceived] = list(mark, what);
      return { meta: toMeta(meta), isReceived: isReceived === true };
    }),
    confMarks: list(confMarks, what).map((mark) => toConfMark(mark)),
    isNewBeginning: isNewBeginning === true,
    ...(lost === null ? {} : { lost: toLost(lost) }),
  };
}

function toLost(value: unknown): LostEntries {
  const [upTo, term] = list(value, 'lost entries');
  return { upTo: integer(upTo, 'a lost index') as Index, term: integer(term, 'a lost term') as Term };
}

export function encodeBatch(batch: Batch): Uint8Array {
  const first = batch.entries[0]?.index ?? 0;
  const entries: unknown[] = [];
  batch.entries.forEach((entry, position) => {
    assert(entry.index === first + position, () => `entries are contiguous at ${entry.index}`);
    entries.push(entry.term, kindNumbers[entry.kind], entry.data);
  });
  return packr.pack([
    packHardState(batch.hardState),
    first,
    entries,
    batch.snapshot === undefined ? null : packMeta(batch.snapshot),
  ]);
}

export function decodeBatch(payload: Uint8Array): Batch {
  const what = 'a batch';
  const [hardState, first, flat, snapshot] = unpack(payload, what);
  const parts = list(flat, what);
  if (parts.length % 3 !== 0) refuse(what);
  const entries: Entry[] = [];
  for (let at = 0; at < parts.length; at += 3) {
    const kind = parts[at + 1];
    const data = parts[at + 2];
    if ((kind !== 0 && kind !== 1) || !(data instanceof Uint8Array)) refuse('an entry');
    entries.push({
      term: integer(parts[at], 'an entry term') as Term,
      index: (integer(first, 'an entry index') + at / 3) as Index,
      kind: kind === 0 ? 'normal' : 'confChange',
      data,
    });
  }
  const batch = { hardState: toHardState(hardState), entries };
  return snapshot === null ? batch : { ...batch, snapshot: toMeta(snapshot) };
}

export function encodeSnapshotMark(meta: SnapshotMeta): Uint8Array {
  return packr.pack(packMeta(meta));
}

export function decodeSnapshotMark(payload: Uint8Array): SnapshotMeta {
  return toMeta(unpack(payload, 'a snapshot mark'));
}

export function encodeConfMark(mark: ConfMark): Uint8Array {
  return packr.pack([mark.index, packConfState(mark.confState)]);
}

function toConfMark(value: unknown): ConfMark {
  const [index, confState] = list(value, 'a membership mark');
  return { index: integer(index, 'a membership mark') as Index, confState: toConfState(confState) };
}

export function decodeConfMark(payload: Uint8Array): ConfMark {
  return toConfMark(unpack(payload, 'a membership mark'));
}

export function encodeSnapshotHeader(identity: WalIdentity, meta: SnapshotMeta): Uint8Array {
  return packr.pack([packIdentity(identity), packMeta(meta)]);
}

export function decodeSnapshotHeader(payload: Uint8Array): {
  readonly identity: WalIdentity;
  readonly meta: SnapshotMeta;
} {
  const [identity, meta] = unpack(payload, 'a snapshot header');
  return { identity: toIdentity(identity), meta: toMeta(meta) };
}

export interface SnapshotTotals {
  readonly chunks: number;
  readonly bytes: number;
}

export function encodeSnapshotTrailer(totals: SnapshotTotals): Uint8Array {
  return packr.pack([totals.chunks, totals.bytes]);
}

export function decodeSnapshotTrailer(payload: Uint8Array): SnapshotTotals {
  const [chunks, bytes] = unpack(payload, 'a snapshot trailer');
  return { chunks: integer(chunks, 'a chunk count'), bytes: integer(bytes, 'a byte count') };
}
