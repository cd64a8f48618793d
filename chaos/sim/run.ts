/**
 * `npm run sim`: simulated worlds, one per seed, until told to stop or one breaks a promise. On failure it prints the seed,
 * the broken property, what happened, and the one command that replays it.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { flagHelp, parseFlags, UsageError } from '../../src/cli/flags.ts';
import { realClock } from '../../src/env/real.ts';
import { type FaultKind, faultKinds } from '../scenario/faults.ts';
import { type Profile, profiles } from './plan.ts';
import { World, type WorldResult } from './world.ts';

const flags = {
  seed: { type: 'string', help: 'run this one world and print its trace hash' },
  seeds: { type: 'number', default: 500, min: 1, help: 'how many worlds to run' },
  profile: { type: 'string', default: 'swarm', help: `what the worlds are about: ${profiles.join(', ')}` },
  first: { type: 'number', default: 1, help: 'seed of the first world' },
  jobs: { type: 'number', default: 2, min: 1, max: 64, help: 'processes' },
  minutes: { type: 'number', min: 1, help: 'stop after this long instead of after a number of worlds' },
  'trace-hash': { type: 'boolean', help: 'print the hash of everything that happened, last' },
} as const;

interface Totals {
  worlds: number;
  events: number;
  simulatedMs: number;
  operations: number;
  acknowledged: number;
  unknownVerdicts: number;
  faults: Partial<Record<FaultKind, number>>;
}

const newTotals = (): Totals => ({
  worlds: 0,
  events: 0,
  simulatedMs: 0,
  operations: 0,
  acknowledged: 0,
  unknownVerdicts: 0,
  faults: {},
});

function add(totals: Totals, result: WorldResult): void {
  totals.worlds += 1;
  totals.events += result.events;
  totals.simulatedMs += result.simulatedMs;
  totals.operations += result.operations;
  totals.acknowledged += result.acknowledged;
  if (result.isVerdictUnknown) totals.unknownVerdicts += 1;
  for (const kind of faultKinds) totals.faults[kind] = (totals.faults[kind] ?? 0) + (result.faults[kind] ?? 0);
}

function merge(into: Totals, from: Totals): void {
  into.worlds += from.worlds;
  into.events += from.events;
  into.simulatedMs += from.simulatedMs;
  into.operations += from.operations;
  into.acknowledged += from.acknowledged;
  into.unknownVerdicts += from.unknownVerdicts;
  for (const kind of faultKinds) into.faults[kind] = (into.faults[kind] ?? 0) + (from.faults[kind] ?? 0);
}

function describeFailure(result: WorldResult): string {
  const { plan, violation } = result;
  const story = plan.faults
    .filter((fault) => fault.atMs <= result.simulatedMs)
    .map(({ atMs, fault }) => `  ${String(atMs).padStart(6)} ms  ${JSON.stringify(fault)}`);
  return [
    `FAILED seed ${plan.seed}: ${violation?.message ?? ''}`,
    `  after ${result.events} events, ${Math.round(result.simulatedMs)} simulated ms, ${plan.members} members, election ${plan.electionTicks} ticks of ${plan.tickMs} ms, snapshot every ${plan.snapshotEntries} entries, disk up to ${plan.diskDelayMaxMs} ms`,
    ...story,
    ...plan.outside.map((fault) => `     for ever  ${JSON.stringify(fault)}`),
    `Replay it with: npm run sim -- --seed ${plan.seed}${plan.profile === 'swarm' ? '' : ` --profile ${plan.profile}`}`,
  ].join('\n');
}

function describe(totals: Totals, seconds: number): string {
  const faults = faultKinds.map((kind) => `${kind} ${totals.faults[kind] ?? 0}`).join(', ');
  return (
    `${totals.worlds} worlds, ${(totals.simulatedMs / 3_600_000).toFixed(2)} simulated hours, ${totals.events} events (${Math.round(totals.events / seconds)}/s), ` +
    `${totals.acknowledged} of ${totals.operations} operations acknowledged, ${totals.unknownVerdicts} verdicts not reached\nfaults: ${faults}`
  );
}

type FromWorker =
  | { readonly kind: 'done'; readonly totals: Totals }
  | { readonly kind: 'failed'; readonly text: string; readonly totals: Totals };

/** Every `step`-th seed from `first`, in this process. */
async function work(
  [first, step, count]: readonly [number, number, number],
  endMs: number,
  profile: Profile,
): Promise<FromWorker> {
  const totals = newTotals();
  for (let number = 0; number < count && realClock.monotonicMs() < endMs; number++) {
    const result = await new World(String(first + number * step), profile).run();
    add(totals, result);
    if (result.violation !== undefined) return { kind: 'failed', text: describeFailure(result), totals };
  }
  return { kind: 'done', totals };
}

async function runMany(
  first: number,
  seeds: number,
  options: { readonly jobs: number; readonly minutes: number | undefined; readonly profile: Profile },
): Promise<number> {
  const startMs = realClock.monotonicMs();
  const totals = newTotals();
  const failures: string[] = [];
  const children = Array.from({ length: options.jobs }, (_, job) => {
    const count = options.minutes === undefined ? Math.ceil((seeds - job) / options.jobs) : Number.MAX_SAFE_INTEGER;
    const child = fork(fileURLToPath(import.meta.url), [
      'worker',
      String(first + job),
      String(options.jobs),
      String(count),
      String(options.minutes ?? 0),
      options.profile,
    ]);
    return new Promise<void>((resolve) => {
      let hasReported = false;
      child.on('message', (message: FromWorker) => {
        hasReported = true;
        merge(totals, message.totals);
        if (message.kind === 'failed') failures.push(message.text);
      });
      child.on('exit', (code) => {
        if (!hasReported) failures.push(`FAILED: a simulation process ended with code ${code} and no verdict`);
        resolve();
      });
    });
  });
  await Promise.all(children);
  console.log(describe(totals, (realClock.monotonicMs() - startMs) / 1000));
  for (const failure of failures) console.log(failure);
  return failures.length === 0 ? 0 : 1;
}

async function runOne(seed: string, profile: Profile): Promise<number> {
  const result = await new World(seed, profile).run();
  const totals = newTotals();
  add(totals, result);
  console.log(describe(totals, 1));
  if (result.violation !== undefined) console.log(`${describeFailure(result)}\n${result.violation.stack ?? ''}`);
  console.log(`trace ${result.traceHash}`);
  return result.violation === undefined ? 0 : 1;
}

async function main(args: readonly string[]): Promise<number> {
  if (args[0] === 'worker') {
    const [first, step, count, minutes] = args.slice(1, 5).map(Number) as [number, number, number, number];
    const endMs = minutes === 0 ? Number.POSITIVE_INFINITY : realClock.monotonicMs() + minutes * 60_000;
    const message = await work([first, step, count], endMs, profileOf(args[5] ?? 'swarm'));
    await new Promise<void>((resolve) => {
      process.send?.(message, undefined, {}, () => resolve());
    });
    process.disconnect();
    return message.kind === 'done' ? 0 : 1;
  }
  if (args.includes('--help')) {
    console.log(
      flagHelp(
        'npm run sim -- [flags]',
        'Runs simulated worlds of the store under faults and checks every promise.',
        flags,
      ),
    );
    return 0;
  }
  const { values } = parseFlags(flags, { command: 'sim', args });
  const profile = profileOf(values.profile);
  if (values.seed !== undefined) return runOne(values.seed, profile);
  return runMany(values.first, values.seeds, { jobs: values.jobs, minutes: values.minutes, profile });
}

function profileOf(name: string): Profile {
  const profile = profiles.find((one) => one === name);
  if (profile === undefined) throw new UsageError(`sim: no profile ${name}: want one of ${profiles.join(', ')}`);
  return profile;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
