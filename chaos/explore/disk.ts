/** What a member of the search has on its disk, and what its messages may say about that. */
import { assert } from '../../src/env/assert.ts';
import { noIndex, nobody, noTerm } from '../../src/raft/core/numbers.ts';
import type { Entry, HardState, Message, Persist } from '../../src/raft/core/types.ts';
import { nameOf, type Naming } from './words.ts';

export interface MemberDisk {
  readonly hardState: HardState;
  readonly entries: readonly Entry[];
}

export const emptyDisk: MemberDisk = { hardState: { term: noTerm, vote: nobody, commit: noIndex }, entries: [] };

/** A hard state as part of a key. */
export function hardStateText({ term, vote, commit }: HardState, naming: Naming): string {
  return `${term} ${nameOf(naming, vote)} ${commit}`;
}

/** The disk after a record reached it. */
export function written(disk: MemberDisk, record: Persist): MemberDisk {
  const first = record.entries[0]?.index;
  assert(first === undefined || first <= disk.entries.length + 1, 'records leave no gap on disk');
  const entries = first === undefined ? disk.entries : [...disk.entries.slice(0, first - 1), ...record.entries];
  return { hardState: record.hardState ?? disk.hardState, entries };
}

/** What a message says that the sender's disk does not bear out. */
export function brokenPromiseOf(message: Message, { hardState, entries }: MemberDisk): string | undefined {
  if (message.type === 'appResp' && !message.reject && message.index > entries.length)
    return `acknowledges entry ${message.index}, and its disk ends at ${entries.length}`;
  if (message.type !== 'vote' && message.type !== 'voteResp') return undefined;
  if (message.type === 'voteResp' && message.reject) return undefined;
  const candidate = message.type === 'vote' ? message.from : message.to;
  const isBorneOut = hardState.term > message.term || (hardState.term === message.term && hardState.vote === candidate);
  if (isBorneOut) return undefined;
  return `votes for ${candidate} in term ${message.term}, and on its disk is term ${hardState.term} with a vote for ${hardState.vote}`;
}
