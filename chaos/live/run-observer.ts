/** Looks at the members while a run goes on: what each is, who ended by itself and what it wrote last; and says how things are. */
import { present } from '../../src/env/assert.ts';
import { type Clock, pause } from '../../src/env/clock.ts';
import type { RunMetrics } from '../report/run-metrics.ts';
import type { RecordedFault, StateChange } from '../report/run-record.ts';
import type { RunJournal } from './run-journal.ts';
import type { RunWorld } from './run-target.ts';

const stateEveryMs = 250;
/** Whoever wants to see more looks at the member's own log, with --keep. */
const lastLines = 3;
const lineCharactersMax = 300;
/** A member whose disk fails has to end. */
const faultsThatEnd: ReadonlySet<string> = new Set(['diskError', 'fullDisk', 'rot', 'crashInDisk']);

export interface ObserverOptions {
  readonly world: RunWorld;
  readonly clock: Clock;
  readonly journal: RunJournal;
  readonly metrics: RunMetrics | undefined;
  /** Since the run began. */
  readonly nowMs: () => number;
  readonly say: (line: string) => void;
}

export class RunObserver {
  readonly states: StateChange[] = [];
  readonly #options: ObserverOptions;
  /** Of each unexpected exit, in order. */
  readonly #lastWords: string[] = [];
  #measured = { ok: 0, unknown: 0 };

  constructor(options: ObserverOptions) {
    this.#options = options;
  }

  /** Until the signal. */
  async watch(signal: AbortSignal): Promise<void> {
    const { clock, world, nowMs } = this.#options;
    const last = world.members.map(() => '');
    while (!signal.aborted) {
      const atMs = nowMs();
      const states = await world.states();
      this.#noteExits();
      this.#measure(states.map(({ state }) => state));
      for (const [member, { state, term }] of states.entries()) {
        const text = `${state} ${term}`;
        if (last[member] === text) continue;
        last[member] = text;
        this.states.push({ atMs, member, state, term });
      }
      await pause(clock, stateEveryMs, signal);
    }
  }

  /** A line, with the time before it. */
  say(line: string): void {
    this.#options.say(`${(this.#options.nowMs() / 1_000).toFixed(1).padStart(6)} s  ${line}`);
  }

  sayHow(): void {
    const { world, journal } = this.#options;
    const now = world.members.flatMap((_, member) => this.states.findLast((change) => change.member === member) ?? []);
    // Who was cut off may believe for a while that it still leads.
    const [leader] = now.filter(({ state }) => state === 'leader').sort((a, b) => b.term - a.term);
    const leads = leader ? `${world.members[leader.member]?.name} leads in term ${leader.term}` : 'nobody leads';
    this.say(`${journal.acknowledged} of ${journal.entries.length} operations answered; ${leads}`);
  }

  /** Who ended although nobody had ended it, nor its disk. */
  misdeeds(faults: readonly RecordedFault[]): readonly string[] {
    const { world } = this.#options;
    this.#noteExits();
    const struck = faults.filter(({ kind }) => faultsThatEnd.has(kind)).flatMap(({ members }) => members);
    const told = new Set(struck);
    return world.unexpectedExits().flatMap(({ member, code, signal }, index) => {
      if (told.has(member)) return [];
      told.add(member);
      const { name } = present(world.members[member], 'the member that ended');
      return [
        `${name} ended by itself (${signal ?? `exit code ${code}`}) and wrote last: ${this.#lastWords[index] ?? ''}`,
      ];
    });
  }

  /** Before it is started again and writes something else. */
  #noteExits(): void {
    const { world } = this.#options;
    const exits = world.unexpectedExits();
    for (const { member } of exits.slice(this.#lastWords.length)) {
      const lines = world.output(member).trimEnd().split('\n').slice(-lastLines);
      const shortened = lines.map((line) => `          ${line.slice(0, lineCharactersMax)}`);
      this.#lastWords.push((lines.at(-1) ?? '').slice(0, lineCharactersMax));
      this.say(`${world.members[member]?.name} ended by itself; it wrote last:\n${shortened.join('\n')}`);
    }
  }

  #measure(states: readonly string[]): void {
    const { metrics, journal } = this.#options;
    if (metrics === undefined) return;
    const counts: Record<string, number> = {};
    for (const state of states) counts[state] = (counts[state] ?? 0) + 1;
    metrics.members(counts);
    const { acknowledged: ok, unanswered: unknown } = journal;
    metrics.operations('ok', ok - this.#measured.ok);
    metrics.operations('unknown', unknown - this.#measured.unknown);
    this.#measured = { ok, unknown };
  }
}
