/** Strikes the faults of a schedule on time and takes down what they did: for the record, and for what is expected of writes meanwhile. */
import { type Clock, pause } from '../../src/env/clock.ts';
import type { RunMetrics } from '../report/run-metrics.ts';
import type { LinkChange, RecordedFault } from '../report/run-record.ts';
import type { ExpectingFault } from '../scenario/scenario.ts';
import type { ExpectedWindow } from './run-judge.ts';
import type { RunJournal } from './run-journal.ts';
import type { RunObserver } from './run-observer.ts';
import type { RunWorld } from './run-target.ts';

/** Timers of the world may end a fault this much earlier than was said. */
const windowMarginMs = 50;
/** An election and a write fit into this. */
const windowMinMs = 1_500;

export interface StrikesOptions {
  readonly world: RunWorld;
  readonly clock: Clock;
  readonly journal: RunJournal;
  readonly observer: RunObserver;
  readonly metrics: RunMetrics | undefined;
  /** Since the run began. */
  readonly nowMs: () => number;
  /** When the run began, on the clock of the world. */
  readonly startMs: number;
  /** When clients end. */
  readonly endMs: number;
}

export class RunStrikes {
  readonly faults: RecordedFault[] = [];
  readonly links: LinkChange[] = [];
  readonly windows: ExpectedWindow[] = [];
  readonly #options: StrikesOptions;

  constructor(options: StrikesOptions) {
    this.#options = options;
  }

  /** Resolves when clients end, or with the signal. Rejects when a fault could not be carried out. */
  async run(schedule: readonly ExpectingFault[], signal: AbortSignal): Promise<void> {
    const { clock, nowMs, endMs } = this.#options;
    const failing = new AbortController();
    const going = AbortSignal.any([signal, failing.signal]);
    const striking: Promise<void>[] = [];
    for (const fault of schedule) {
      await pause(clock, Math.max(0, fault.atMs - nowMs()), going);
      if (going.aborted) break;
      const struck = this.#strike(fault);
      struck.catch(() => failing.abort());
      striking.push(struck);
    }
    await pause(clock, Math.max(0, endMs - nowMs()), going);
    await Promise.all(striking);
  }

  async #strike({ fault, expect }: ExpectingFault): Promise<void> {
    const { world, startMs, journal, metrics, observer, nowMs } = this.#options;
    const struck = await world.strike(fault);
    const { text, members, links } = struck;
    const struckMs = nowMs();
    const atMs = struck.atMs - startMs;
    const endMs = struck.endMs === undefined ? undefined : struck.endMs - startMs;
    if (fault.kind === 'crashAll') journal.note({ type: 'powerLoss' });
    metrics?.faults(fault.kind);
    this.faults.push({ atMs, ...(endMs === undefined ? {} : { endMs }), kind: fault.kind, text, members });
    for (const link of links) {
      this.links.push({ atMs, ...link, isCut: true });
      if (endMs !== undefined) this.links.push({ atMs: endMs, ...link, isCut: false });
    }
    observer.say(endMs === undefined ? text : `${text} for ${((endMs - atMs) / 1_000).toFixed(1)} s`);
    // Where nobody led, nothing happened that anything could be expected of.
    const hasStruck = members.length > 0 || links.length > 0 || fault.kind === 'weather';
    if (expect === undefined || !hasStruck) return;
    const toMs = Math.min(endMs ?? this.#options.endMs, this.#options.endMs) - windowMarginMs;
    // On a busy machine a fault may strike so late that hardly anything of it is left to expect anything of.
    if (toMs - struckMs < windowMinMs) return;
    this.windows.push({ expect, fromMs: struckMs, toMs, text });
  }
}
