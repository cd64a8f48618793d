/**
 * `npm run sim` and `keelson chaos sim`: simulated worlds, one per seed, until told to stop or one breaks a promise. On
 * failure it prints the seed, the broken property, the shortest story that still fails, and the one command that replays it.
 */
import { writeFile } from 'node:fs/promises';
import { parseFlags, flagHelp, UsageError } from '../../src/cli/flags.ts';
import { realClock } from '../../src/env/real.ts';
import { renderReport } from '../report/render-report.ts';
import { createRunMetrics } from '../report/run-metrics.ts';
import { serveRunMetrics } from '../report/serve-run-metrics.ts';
import { commitOfSources } from './commit.ts';
import { describeFailure } from './failure.ts';
import { type Profile, profiles } from './plan.ts';
import { Recorder } from './recorder.ts';
import { Sweep, type SweepOptions } from './sweep.ts';
import { describe, describeProgress, totalsOf } from './totals.ts';
import { World } from './world.ts';

const flags = {
  seed: { type: 'string', help: 'run this one world and print its trace hash' },
  faults: { type: 'string', help: 'with --seed: only these of its faults, by position from 0: 3,7 or none' },
  seeds: { type: 'number', min: 1, help: 'how many worlds to run; without it and --minutes, until told to stop' },
  profile: { type: 'string', default: 'swarm', help: `what the worlds are about: ${profiles.join(', ')}` },
  first: { type: 'number', default: 1, help: 'seed of the first world' },
  jobs: { type: 'number', default: 2, min: 1, max: 64, help: 'processes' },
  minutes: { type: 'number', min: 1, help: 'stop after this long' },
  record: { type: 'string', help: 'with --seed: write all that happened to this file, for keelson chaos report' },
  report: { type: 'string', help: 'with --seed: write a page about it, to be opened in a browser' },
  'metrics-port': {
    type: 'number',
    max: 65_535,
    help: 'serve Prometheus metrics at this port of this machine meanwhile',
  },
  shrink: { type: 'boolean', default: true, help: 'look for the shortest story that still fails' },
  'trace-hash': { type: 'boolean', help: 'print the hash of everything that happened, last' },
} as const;

/** A line a second on a terminal, over the last one; elsewhere one now and then, so that a log tells that it lives. */
const terminalEveryMs = 1_000;
const logEveryMs = 60_000;

/** What a sweep counts, for Prometheus. Resolves with how to end it. */
async function serveMetrics(sweep: Sweep, port: number): Promise<() => Promise<void>> {
  const metrics = createRunMetrics();
  sweep.onProgress = (more) => {
    metrics.operations('ok', more.acknowledged);
    metrics.operations('unknown', more.operations - more.acknowledged);
    metrics.simulated(more.simulatedMs);
    for (const [kind, count] of Object.entries(more.faults)) metrics.faults(kind, count);
    metrics.world('unknown', more.unknownVerdicts);
    metrics.world('passed', more.worlds - more.unknownVerdicts);
  };
  sweep.onFailure = (property) => {
    metrics.world('failed');
    metrics.violation(property);
  };
  const served = await serveRunMetrics(metrics, port);
  console.log(`metrics at http://127.0.0.1:${served.port}/metrics`);
  return () => served.close();
}

async function runMany(options: SweepOptions, metricsPort: number | undefined): Promise<number> {
  const startMs = realClock.monotonicMs();
  const seconds = () => (realClock.monotonicMs() - startMs) / 1000;
  const sweep = new Sweep();
  const endMetrics = metricsPort === undefined ? undefined : await serveMetrics(sweep, metricsPort);
  const isTerminal = process.stdout.isTTY === true;
  const showProgress = () => {
    const line = describeProgress(sweep.totals, seconds());
    if (isTerminal) process.stdout.write(`\r\u001b[K${line}`);
    else console.log(line);
  };
  const endProgress = realClock.every(isTerminal ? terminalEveryMs : logEveryMs, showProgress);
  const stop = () => sweep.stop();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    await sweep.run(options);
  } finally {
    endProgress();
    await endMetrics?.();
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    if (isTerminal) process.stdout.write('\r\u001b[K');
  }
  console.log(describe(sweep.totals, seconds()));
  for (const failure of sweep.failures) console.log(failure);
  return sweep.failures.length === 0 ? 0 : 1;
}

interface OneWorld {
  readonly seed: string;
  readonly profile: Profile;
  readonly faults: readonly number[] | undefined;
  readonly record: string | undefined;
  readonly report: string | undefined;
}

async function runOne({ seed, profile, faults, record, report }: OneWorld): Promise<number> {
  const startMs = realClock.monotonicMs();
  const recorder = record === undefined && report === undefined ? undefined : new Recorder();
  const world = new World(seed, profile, faults, recorder);
  const result = await world.run();
  console.log(describe(totalsOf(result), (realClock.monotonicMs() - startMs) / 1000));
  const commit = commitOfSources();
  if (result.violation !== undefined) {
    const failure = { result, ...(faults === undefined ? {} : { faults }) };
    console.log(`${describeFailure(failure, commit)}\n${result.violation.stack ?? ''}`);
  }
  const told = recorder?.record(result, { faults, commit, names: world.names });
  if (told !== undefined && record !== undefined) await writeFile(record, JSON.stringify(told));
  if (told !== undefined && report !== undefined) await writeFile(report, renderReport(told));
  console.log(`trace ${result.traceHash}`);
  return result.violation === undefined ? 0 : 1;
}

function profileOf(name: string): Profile {
  const profile = profiles.find((one) => one === name);
  if (profile === undefined) throw new UsageError(`sim: no profile ${name}: want one of ${profiles.join(', ')}`);
  return profile;
}

function faultsOf(text: string | undefined): readonly number[] | undefined {
  if (text === undefined) return undefined;
  if (text === 'none') return [];
  const positions = text.split(',').map(Number);
  if (positions.every((position) => Number.isSafeInteger(position) && position >= 0)) return positions;
  throw new UsageError(`sim: --faults ${text}: want positions from 0, such as 3,7, or none`);
}

/** Resolves with the exit code. Rejects with UsageError. */
export async function runSim(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    const about = 'Runs simulated worlds of the store under faults and checks every promise.';
    console.log(flagHelp('npm run sim -- [flags]', about, flags));
    return 0;
  }
  const { values } = parseFlags(flags, { command: 'chaos sim', args });
  const profile = profileOf(values.profile);
  const faults = faultsOf(values.faults);
  const { record, report } = values;
  if (values.seed !== undefined) return runOne({ seed: values.seed, profile, faults, record, report });
  for (const name of ['faults', 'record', 'report'] as const)
    if (values[name] !== undefined) throw new UsageError(`sim: --${name} is about one world: give its --seed`);
  const { first, seeds, minutes, jobs, shrink: isShrinking } = values;
  return runMany({ first, seeds, minutes, jobs, profile, isShrinking }, values['metrics-port']);
}
