/** A disk for the Raft harness: what was persisted, and how a record changes it. */
import { assert } from '../../src/env/assert.ts';
import { emptyConfState } from '../../src/raft/core/conf-change.ts';
import { noIndex, nobody, noTerm, toIndex, toReplicaId } from '../../src/raft/core/numbers.ts';
import type { ConfState, Entry, HardState, Index, Persist, SnapshotMeta, Term } from '../../src/raft/core/types.ts';

export interface SimulatedDisk {
  hardState: HardState;
  snapshot: SnapshotMeta;
  entries: Entry[];
  /** Entries up to here were durable and are gone, until the log reaches it again. */
  lostUpTo?: Index | undefined;
  lostTerm?: Term;
}

export function confStateOf(voters: readonly number[], learners: readonly number[] = []): ConfState {
  return { ...emptyConfState, voters: voters.map(toReplicaId), learners: learners.map(toReplicaId) };
}

/** `witnesses` are among the voters. */
export function confStateWith(voters: readonly number[], witnesses: readonly number[]): ConfState {
  return { ...confStateOf(voters), witnesses: witnesses.map(toReplicaId) };
}

export function emptyDisk(confState: ConfState): SimulatedDisk {
  const hardState = { term: noTerm, vote: nobody, commit: noIndex };
  return { hardState, snapshot: { index: noIndex, term: noTerm, confState }, entries: [] };
}

/** The record becomes durable. */
export function writeToDisk(disk: SimulatedDisk, record: Persist): void {
  if (record.snapshot !== undefined) {
    disk.snapshot = record.snapshot;
    disk.entries = [];
  }
  for (const entry of record.entries) {
    if (entry.index <= disk.snapshot.index) continue;
    assert(entry.index <= disk.snapshot.index + disk.entries.length + 1, 'records leave no gap on disk');
    disk.entries.length = entry.index - disk.snapshot.index - 1;
    disk.entries.push(entry);
  }
  if (record.hardState !== undefined) disk.hardState = record.hardState;
  if (disk.snapshot.index + disk.entries.length >= (disk.lostUpTo ?? 0)) disk.lostUpTo = undefined;
}

/** Damage: everything from `from` on cannot be read any more. A log knows how far it went. */
export function loseFromDisk(disk: SimulatedDisk, from: number): void {
  const last = disk.snapshot.index + disk.entries.length;
  if (from > last) return;
  assert(from > disk.snapshot.index, 'a snapshot is not lost');
  disk.entries.length = from - disk.snapshot.index - 1;
  if (disk.lostUpTo === undefined) disk.lostTerm = disk.hardState.term;
  disk.lostUpTo = toIndex(Math.max(last, disk.lostUpTo ?? 0));
}
