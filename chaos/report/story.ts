/**
 * A run in a few lines, for someone who has ten seconds: who led when, what struck, what broke. Of a long run only the moments
 * before the violation (or the first ones, when nothing broke) are told, and how many were left out.
 */
import { assert } from '../../src/env/assert.ts';
import type { RunRecord } from './run-record.ts';

export interface Moment {
  readonly atMs: number;
  readonly kind: 'leader' | 'noLeader' | 'fault' | 'healed' | 'broken';
  readonly text: string;
}

export interface Story {
  readonly moments: readonly Moment[];
  readonly leftOut: number;
}

/** Fits a screen beside the head of the page. */
const momentsMax = 12;

function leaderMoments(record: RunRecord): readonly Moment[] {
  const moments: Moment[] = [];
  const leaders = new Set<number>();
  const ordered = record.states.toSorted((a, b) => a.atMs - b.atMs);
  for (const { atMs, member, state, term } of ordered) {
    const name = record.members[member] ?? `member ${member}`;
    if (state === 'leader' && !leaders.has(member)) {
      leaders.add(member);
      const others = [...leaders].filter((other) => other !== member).map((other) => record.members[other]);
      const holds = others.length === 1 ? 'still holds itself' : 'still hold themselves';
      const beside = others.length === 0 ? '' : `, while ${others.join(' and ')} ${holds} for leader`;
      moments.push({ atMs, kind: 'leader', text: `${name} leads${term === 0 ? '' : ` in term ${term}`}${beside}` });
    } else if (state !== 'leader' && leaders.delete(member)) {
      const why = state === 'down' || state === 'paused' ? `the leader ${name} is ${state}` : `${name} leads no more`;
      moments.push({ atMs, kind: 'noLeader', text: why });
    }
  }
  return moments;
}

export function storyOf(record: RunRecord): Story {
  const { violation } = record;
  const endMs = violation?.atMs ?? Number.POSITIVE_INFINITY;
  const faults = record.faults.flatMap(({ atMs, endMs: healedMs, text }): Moment[] => [
    { atMs, kind: 'fault', text },
    ...(healedMs === undefined ? [] : [{ atMs: healedMs, kind: 'healed' as const, text: `over: ${text}` }]),
  ]);
  // A fault stands before what it did in the same millisecond.
  const all = [...faults, ...leaderMoments(record)]
    .filter((moment) => moment.atMs <= endMs)
    .sort((a, b) => a.atMs - b.atMs);
  // Ends of faults are told only where there is room: what begins says more.
  const told = all.length <= momentsMax ? all : all.filter(({ kind }) => kind !== 'healed');
  const kept = violation === undefined ? told.slice(0, momentsMax) : told.slice(-momentsMax);
  assert(kept.length <= momentsMax, 'a story fits a screen');
  const last: Moment[] =
    violation === undefined
      ? []
      : [{ atMs: violation.atMs ?? record.durationMs, kind: 'broken', text: violation.detail }];
  return { moments: [...kept, ...last], leftOut: all.length - kept.length };
}
