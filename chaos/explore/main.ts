/**
 * `keelson chaos explore`: every state that a small cluster of Raft cores can get into within the bounds, checked. Exit code
 * 0 when all were seen and none was wrong, 1 with a counterexample, 2 when time or memory ended the search.
 */
import { flagHelp, type FlagValues, parseFlags, UsageError } from '../../src/cli/flags.ts';
import { KeelsonError } from '../../src/env/errors.ts';
import { realClock } from '../../src/env/real.ts';
import type { Bounds } from './cluster.ts';
import { Search, type SearchResult } from './search.ts';
import { retell, storyText } from './story.ts';

const flags = {
  members: { type: 'number', default: 3, min: 1, max: 5, help: 'members of the cluster' },
  terms: { type: 'number', default: 2, min: 1, max: 6, help: 'nobody is followed beyond this term' },
  entries: {
    type: 'number',
    default: 1,
    max: 8,
    help: 'proposals in the whole run, besides each leader’s empty entry',
  },
  crashes: { type: 'number', default: 1, max: 8, help: 'crashes in the whole run' },
  beats: { type: 'number', default: 0, max: 8, help: 'heartbeats of leaders in the whole run' },
  duplicates: { type: 'number', default: 0, max: 8, help: 'messages that arrive twice in the whole run' },
  wire: {
    type: 'number',
    default: 1,
    min: 1,
    max: 12,
    help: 'messages under way that still arrive; the others are lost',
  },
  records: { type: 'number', default: 1, max: 3, help: 'records before a disk until its member waits for it; 0: none' },
  'append-entries': { type: 'number', default: 1, min: 1, max: 8, help: 'entries in one append message' },
  'no-pre-vote': { type: 'boolean', help: 'without pre-votes' },
  'no-check-quorum': { type: 'boolean', help: 'leaders stay without a quorum, and followers are not loyal to them' },
  'no-refinement': { type: 'boolean', help: 'without the abstract Raft: some three times as fast' },
  audits: {
    type: 'number',
    default: 500,
    help: 'ways into known states that are tried again, to test the search itself',
  },
  states: { type: 'number', default: 20_000_000, min: 1, help: 'end after so many states' },
  seconds: { type: 'number', min: 1, help: 'end after this time' },
  replay: { type: 'string', help: 'take the steps of this story, as a counterexample prints it, and no others' },
} as const;

function boundsOf(values: FlagValues<typeof flags>): Bounds {
  const { members, terms, entries, crashes, beats, duplicates, wire, records } = values;
  return {
    members,
    terms,
    entries,
    crashes,
    beats,
    duplicates,
    wire,
    records,
    entriesPerAppend: values['append-entries'],
    preVote: !values['no-pre-vote'],
    checkQuorum: !values['no-check-quorum'],
    refinement: !values['no-refinement'],
  };
}

function describeResult(result: SearchResult, seconds: number): string {
  const { states, transitions, depth, localStates, localSteps, messages, abstractStates, audited } = result;
  return [
    `${states} states, ${transitions} transitions, depth ${depth}, ${seconds.toFixed(1)} s, ${Math.round(states / Math.max(seconds, 0.001))} states/s`,
    `${localStates} states and ${localSteps} steps of single members, ${messages} messages, ${abstractStates} states of the abstract Raft, ${audited} merged steps compared`,
  ].join('\n');
}

function replay(story: string, bounds: Bounds): number {
  try {
    const { lines, violation } = retell(story, bounds);
    console.log(lines.join('\n'));
    console.log(violation === undefined ? 'no promise is broken' : `BROKEN ${violation.message}`);
    return violation === undefined ? 0 : 1;
  } catch (error) {
    if (error instanceof KeelsonError) throw new UsageError(`chaos explore: ${error.message}`);
    throw error;
  }
}

/** What a failure looks like: the broken promise, the story, and the command that tells it again. */
function describeCounterexample(result: SearchResult, bounds: Bounds, args: readonly string[]): string {
  const { counterexample } = result;
  if (counterexample === undefined) return '';
  const text = storyText(counterexample.story, bounds.members);
  const { lines, violation } = retell(text, bounds);
  const isSame = violation?.message === counterexample.violation.message;
  return [
    `BROKEN ${counterexample.violation.message}`,
    ...lines,
    isSame ? '' : `the story taken again ends otherwise (${violation?.message ?? 'well'}): the search itself is wrong`,
    `again: keelson chaos explore ${args.join(' ')} --replay '${text}'`,
  ].join('\n');
}

/** Resolves with the exit code. Rejects with UsageError. */
export async function runExplore(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    const about = 'Visits every state that a small Raft cluster can get into within bounds, and checks each.';
    console.log(flagHelp('keelson chaos explore [flags]', about, flags));
    return 0;
  }
  const { values } = parseFlags(flags, { command: 'chaos explore', args });
  const bounds = boundsOf(values);
  if (values.replay !== undefined) return replay(values.replay, bounds);
  const startMs = realClock.monotonicMs();
  const { seconds: secondsMax, audits, states: statesMax } = values;
  const secondsSoFar = () => (realClock.monotonicMs() - startMs) / 1000;
  const isOver = () => secondsMax !== undefined && secondsSoFar() >= secondsMax;
  let toldAt = 0;
  const onLayer = (depth: number, states: number) => {
    if (secondsSoFar() < toldAt + 5) return;
    toldAt = secondsSoFar();
    console.log(`depth ${depth}: ${states} states, ${Math.round(states / toldAt)} states/s`);
  };
  const result = new Search(bounds, { isOver, onLayer, audits, statesMax }).run();
  console.log(describeResult(result, secondsSoFar()));
  if (result.counterexample !== undefined) {
    console.log(describeCounterexample(result, bounds, args));
    return 1;
  }
  console.log(
    result.isExhausted ? 'exhausted: every state within the bounds is good' : 'NOT exhausted: the search was ended',
  );
  return result.isExhausted ? 0 : 2;
}
