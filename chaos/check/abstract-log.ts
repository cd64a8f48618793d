/** Logs as the abstract Raft (abstract-raft.ts) compares them, of which the beginning may have been compacted. */

export interface AbstractEntry {
  readonly term: number;
  readonly data: Uint8Array;
}

export interface AbstractLog {
  /** The last entry that was compacted away; (0, 0) when none was. */
  readonly base: { readonly index: number; readonly term: number };
  readonly entries: readonly AbstractEntry[];
}

export interface LastEntry {
  readonly index: number;
  readonly term: number;
}

export function entryAt({ base, entries }: AbstractLog, index: number): AbstractEntry | undefined {
  return entries[index - base.index - 1];
}

export function termAt(log: AbstractLog, index: number): number | undefined {
  return index === log.base.index ? log.base.term : entryAt(log, index)?.term;
}

export function lastOf({ base, entries }: AbstractLog): LastEntry {
  return { index: base.index + entries.length, term: entries.at(-1)?.term ?? base.term };
}

/** The end of the log without the entries of `term`, which are at its end. */
export function lastBefore(log: AbstractLog, term: number): LastEntry {
  let length = log.entries.length;
  while (length > 0 && log.entries[length - 1]?.term === term) length -= 1;
  return lastOf({ base: log.base, entries: log.entries.slice(0, length) });
}

export function isUpToDate(candidate: LastEntry, own: LastEntry): boolean {
  return candidate.term === own.term ? candidate.index >= own.index : candidate.term > own.term;
}

export function isSameEntry(one: AbstractEntry | undefined, other: AbstractEntry | undefined): boolean {
  if (one === other) return one !== undefined;
  if (one === undefined || other === undefined || one.term !== other.term) return false;
  return one.data.byteLength === other.data.byteLength && one.data.every((byte, at) => byte === other.data[at]);
}

/** The last index up to which both logs hold the same; what one of them has compacted is the same. */
export function commonOf(one: AbstractLog, other: AbstractLog): number {
  const last = Math.min(lastOf(one).index, lastOf(other).index);
  let index = Math.min(Math.max(one.base.index, other.base.index), last);
  while (index < last && isSameEntry(entryAt(one, index + 1), entryAt(other, index + 1))) index += 1;
  return index;
}

/** Everything after `same` in `log` is as in the leader's, and so is the entry before. */
export function isTakenFrom(leader: AbstractLog, log: AbstractLog, same: number): boolean {
  const last = lastOf(log).index;
  if (last > lastOf(leader).index) return false;
  if (same > leader.base.index && termAt(leader, same) !== termAt(log, same)) return false;
  for (let index = Math.max(same, leader.base.index, log.base.index) + 1; index <= last; index++)
    if (!isSameEntry(entryAt(leader, index), entryAt(log, index))) return false;
  return true;
}

/** The same for entries that are the same. */
export function textOf({ term, data }: AbstractEntry): string {
  return `${term}:${data.join('.')}`;
}
