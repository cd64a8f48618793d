/** A disk for the Raft harness: what was persisted, and how a record changes it. */
import { assert } from '../../src/env/assert.ts';
import { emptyConfState } from '../../src/raft/core/conf-change.ts';
import { noIndex, nobody, noTerm, toReplicaId } from '../../src/raft/core/numbers.ts';
import type { ConfState, Entry, HardState, Persist, SnapshotMeta } from '../../src/raft/core/types.ts';

export interface SimulatedDisk {
  hardState: HardState;
  snapshot: SnapshotMeta;
  entries: Entry[];
}

export function confStateOf(voters: readonly number[], learners: readonly number[] = []): ConfState {
  return { ...emptyConfState, voters: voters.map(toReplicaId), learners: learners.map(toReplicaId) };
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
}
