/**
 * Entries and messages as text: for people, and as keys. Two things have the same text exactly when they are the same. A
 * Naming gives members other names, so that states that differ only in who is who have the same text under some naming.
 */
import { unreachable } from '../../src/env/assert.ts';
import type { Entry, Message, ReplicaId } from '../../src/raft/core/types.ts';

/** Old id → new id, from 0 (nobody, who stays 0). */
export type Naming = readonly number[];

/** Every way to name `count` members; the first one changes nothing. */
export function namingsOf(count: number): readonly Naming[] {
  const permute = (rest: readonly number[]): number[][] =>
    rest.length === 0
      ? [[]]
      : rest.flatMap((first) => permute(rest.filter((id) => id !== first)).map((tail) => [first, ...tail]));
  return permute(Array.from({ length: count }, (_, at) => at + 1)).map((names) => [0, ...names]);
}

/** The member's new name. */
export function nameOf(naming: Naming, id: ReplicaId | number): number {
  return naming[id] as number;
}

/** `2` is an empty entry of term 2, `2p1` one that member 1 proposed. */
export function entryText({ term, data }: Pick<Entry, 'term' | 'data'>, naming: Naming): string {
  return data.byteLength === 0 ? `${term}` : `${term}p${nameOf(naming, data[0] as number)}`;
}

/** A log or a part of one. */
export function entriesText(entries: readonly Pick<Entry, 'term' | 'data'>[], naming: Naming): string {
  return `[${entries.map((entry) => entryText(entry, naming)).join(' ')}]`;
}

/** A message with everything in it, such as `vote 1>2 term 1 last 0/0`. */
export function messageText(message: Message, naming: Naming): string {
  const { type, from, to, term } = message;
  return `${type} ${nameOf(naming, from)}>${nameOf(naming, to)} term ${term}${contentText(message, naming)}`;
}

function contentText(message: Message, naming: Naming): string {
  switch (message.type) {
    case 'app': {
      const { prevIndex, prevTerm, entries, commit } = message;
      return ` after ${prevIndex}/${prevTerm} ${entriesText(entries, naming)} commit ${commit}`;
    }
    case 'appResp':
      return message.reject
        ? ` refuses ${message.index} hint ${message.hintIndex}/${message.hintTerm}`
        : ` has ${message.index}`;
    case 'heartbeat':
      return ` commit ${message.commit} read ${message.readContext}`;
    case 'heartbeatResp':
      return ` read ${message.readContext}`;
    case 'vote':
    case 'preVote':
      return ` last ${message.lastIndex}/${message.lastTerm}${message.isTransfer ? ' transfer' : ''}`;
    case 'voteResp':
    case 'preVoteResp': {
      const { reject, committed } = message;
      return reject ? ` no${committed === undefined ? '' : ` committed ${committed.index}/${committed.term}`}` : ' yes';
    }
    case 'snap':
      return ` ${message.snapshot.index}/${message.snapshot.term}`;
    case 'timeoutNow':
      return '';
    case 'transferLeader':
      return ` transferee ${nameOf(naming, message.transferee)}`;
    case 'prop':
    case 'readIndex':
    case 'readIndexResp':
      throw new Error(`the search makes no ${message.type}`);
    default:
      return unreachable(message);
  }
}
