/**
 * `npm run chaos -- <scenario>`, `keelson chaos live`: starts real members in namespaces of their own, runs a scenario by name or from
 * a file, judges what came of it. Exit code 0: every promise was kept; 1: one was broken; 2: there is no verdict.
 *
 * Nothing is touched but what this program made, unless --target says otherwise, and then nothing is done to the servers but what
 * their clients may do.
 */
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { flagHelp, parseFlags, UsageError } from '../../src/cli/flags.ts';
import { errorText, KeelsonError } from '../../src/env/errors.ts';
import { realClock, realRandom } from '../../src/env/real.ts';
import type { KvClientTls } from '../../src/kv/client/contract.ts';
import type { FaultKind } from '../scenario/faults.ts';
import { createRunMetrics } from '../report/run-metrics.ts';
import { serveRunMetrics } from '../report/serve-run-metrics.ts';
import { compileScenario, parseScenario, type Scenario } from '../scenario/scenario.ts';
import { seededRandom } from '../sim/random.ts';
import type { StoreProgram, SupportedFaults } from './contract.ts';
import { createLiveWorld, removeLeftovers, supportedFaults, unsupportedReason } from './live-world.ts';
import { interruptible } from './run-interruption.ts';
import { tell } from './run-outputs.ts';
import { Run } from './run-scenario.ts';
import { type RunWorld, targetWorld } from './run-target.ts';
import { ownClockFaults, ownDiskFaults } from './supported-faults.ts';

const flags = {
  list: { type: 'boolean', help: 'name the scenarios that come along' },
  seed: { type: 'string', help: 'draw clients and faults from this; drawn and printed when absent' },
  seconds: { type: 'number', min: 1, max: 3_600, help: "how long clients work, instead of the scenario's own time" },
  members: { type: 'number', min: 1, max: 7, help: "how many members, instead of the scenario's own number" },
  program: { type: 'string', help: "run another program with etcd's flags, such as /usr/bin/etcd" },
  target: { type: 'list', help: 'use the servers at these endpoints, which you run; no faults are made' },
  cacert: { type: 'string', help: 'with --target: file of the authorities that vouch for the servers' },
  cert: { type: 'string', help: 'with --target: file of the certificate to show to them' },
  key: { type: 'string', help: 'with --target: file of its key' },
  user: { type: 'string', help: 'with --target: name:password' },
  report: { type: 'string', help: 'write a page for people to this file, such as run.html' },
  record: { type: 'string', help: 'write everything that was seen to this file, as JSON' },
  junit: { type: 'string', help: 'write the checks to this file, as JUnit XML' },
  'json-lines': { type: 'string', help: 'write what happened to this file, one JSON object a line' },
  'metrics-port': {
    type: 'number',
    min: 0,
    max: 65_535,
    help: 'serve Prometheus metrics at this port of this machine meanwhile',
  },
  history: { type: 'string', help: 'write what clients asked and were told to this file (docs/history-format.md)' },
  keep: { type: 'boolean', help: 'leave the members running until Ctrl-C, to look at them' },
} as const;

type Values = ReturnType<typeof parseFlags<typeof flags>>['values'] & {
  /** The scenario as it was named. */
  readonly named: string | undefined;
};

const usage = 'npm run chaos -- <scenario or file.yaml> [flags]';
const summary = 'Runs a scenario on real members of a store, and judges what came of it.';
/** A member of another program cannot come back as somebody else by itself, and its clock is out of reach. */
const ownProgramFaults: SupportedFaults = new Set<FaultKind>([...ownClockFaults, 'wipe', 'rot']);
const scenarioFolder = fileURLToPath(new URL('../scenarios/', import.meta.url));

/** Resolves with the exit code; what was wrong is printed. */
export async function runLive(args: readonly string[]): Promise<number> {
  try {
    return await runWith(args);
  } catch (error) {
    if (!(error instanceof KeelsonError)) throw error;
    console.error(errorText(error));
    return 2;
  }
}

async function runWith(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    const codes = 'Exit codes: 0 every promise was kept, 1 one was broken, 2 no verdict.';
    console.log(`${flagHelp(usage, summary, flags)}\n${codes}`);
    return 0;
  }
  const { values, positionals, given } = parseFlags(flags, { command: 'chaos live', args, positionalsMax: 1 });
  if (values.list) {
    for (const { name, description } of await builtInScenarios()) console.log(`${name.padEnd(24)}${description}`);
    return 0;
  }
  checkTogether(given);
  const [named] = positionals;
  return runOne(await loadScenario(named, values.members), { ...values, named });
}

/** Flags that mean nothing without another one, or against it. */
function checkTogether(given: ReadonlySet<string>): void {
  const isTarget = given.has('target');
  for (const flag of ['cacert', 'cert', 'key', 'user']) {
    if (given.has(flag) && !isTarget) throw new UsageError(`chaos live: --${flag} goes with --target`);
  }
  for (const flag of ['program', 'members', 'keep']) {
    if (given.has(flag) && isTarget) throw new UsageError(`chaos live: --${flag} does not go with --target`);
  }
  if (given.has('cert') !== given.has('key')) throw new UsageError('chaos live: --cert and --key go together');
}

export async function builtInScenarios(): Promise<readonly Scenario[]> {
  const files = readdirSync(scenarioFolder).filter((name) => name.endsWith('.yaml'));
  return Promise.all(
    files.toSorted().map(async (name) => parseScenario(await readFile(join(scenarioFolder, name), 'utf8'), name)),
  );
}

async function loadScenario(given: string | undefined, members: number | undefined): Promise<Scenario> {
  const names = () =>
    readdirSync(scenarioFolder)
      .toSorted()
      .map((name) => basename(name, '.yaml'));
  if (given === undefined) throw new UsageError(`chaos live: want a scenario: a file, or one of ${names().join(', ')}`);
  const isFile = given.includes('/') || /\.ya?ml$/.test(given);
  if (!isFile && !names().includes(given))
    throw new UsageError(`chaos live: no scenario ${given}: want a file.yaml, or one of ${names().join(', ')}`);
  const path = isFile ? given : join(scenarioFolder, `${given}.yaml`);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new KeelsonError('BAD_SCENARIO', `read the scenario ${path}: ${errorText(error)}`, { cause: error });
  }
  return parseScenario(text, path, members);
}

async function runOne(scenario: Scenario, values: Values): Promise<number> {
  const user = userOf(values.user);
  const seed = values.seed ?? Buffer.from(realRandom.bytes(4)).toString('hex');
  const seconds = values.seconds ?? scenario.workload.seconds;
  const isTarget = values.target.length > 0;
  const kinds = kindsOf(scenario, seed, values);
  const say = (line: string) => console.log(line);
  const port = values['metrics-port'];
  const metrics = port === undefined ? undefined : createRunMetrics();
  const served = metrics && (await serveRunMetrics(metrics, port ?? 0));
  if (served !== undefined) say(`metrics at http://127.0.0.1:${served.port}/metrics`);
  const runIn = async ({ world, tls }: Begun, signal: AbortSignal): Promise<number> => {
    signal.throwIfAborted();
    const shared = { scenario, world, clock: realClock, tls, user, seed, seconds, isTarget, say, signal };
    const run = new Run({ ...shared, metrics });
    say(`${scenario.name}, seed ${seed}: ${scenario.description}`);
    if (isTarget) say(`keys stand under ${run.prefix}; the servers are yours, so no faults are made`);
    const result = await run.run();
    const { verdict, violation } = result.verdict;
    metrics?.world(verdict);
    if (violation !== undefined) metrics?.violation(violation.property);
    const command = commandOf(scenario, seed, values);
    await tell(result, { scenario, outputs: values, command, members: world.members.map(({ name }) => name) }, say);
    if (values.keep) await keep(world, signal, say);
    return verdict === 'passed' ? 0 : verdict === 'failed' ? 1 : 2;
  };
  try {
    return await interruptible(say, async (signal) => {
      const begun = await begin(scenario, { values, kinds, say });
      try {
        return await runIn(begun, signal);
      } finally {
        await begun.close();
      }
    });
  } finally {
    await served?.close();
  }
}

/** Runs the same again, as far as real processes do. */
function commandOf({ name }: Scenario, seed: string, values: Values): string {
  const given = [values.named ?? name, `--seed ${seed}`];
  for (const flag of ['program', 'seconds', 'members'] as const) {
    if (values[flag] !== undefined) given.push(`--${flag} ${values[flag]}`);
  }
  if (values.target.length > 0) given.push(`--target ${values.target.join(',')}`);
  return `npm run chaos -- ${given.join(' ')}`;
}

/** What a scenario strikes with; none of it with --target. */
type Kinds = ReadonlySet<FaultKind>;

/** Before anything starts: whatever a scenario wants must be possible. */
function kindsOf(scenario: Scenario, seed: string, { seconds, target, program }: Values): Kinds {
  if (target.length > 0) return new Set();
  const schedule = compileScenario(scenario, seededRandom(seed).fork('faults'), seconds);
  const kinds = new Set<FaultKind>(schedule.map(({ fault }) => fault.kind));
  const refuse = (reasons: readonly string[], more: string) => {
    const what = `${scenario.name}: cannot be done to real processes${more}: ${reasons.join(', ')}`;
    throw new KeelsonError('CHAOS_FAULT_UNSUPPORTED', `${what}; what can be: ${[...supportedFaults].join(', ')}`);
  };
  const impossible = [...kinds].filter((kind) => !supportedFaults.has(kind));
  const reasons = impossible.map((kind) => `${kind} (${unsupportedReason(kind) ?? 'it cannot be done'})`);
  if (reasons.length > 0) refuse(reasons, '');
  const own = program === undefined ? [] : [...kinds].filter((kind) => ownProgramFaults.has(kind));
  if (own.length > 0) refuse(own, ' of other programs');
  return kinds;
}

interface Begun {
  readonly world: RunWorld;
  readonly tls: KvClientTls | undefined;
  readonly close: () => Promise<void>;
}

async function begin(
  { cluster }: Scenario,
  { values, kinds, say }: { readonly values: Values; readonly kinds: Kinds; readonly say: (line: string) => void },
): Promise<Begun> {
  if (values.target.length > 0) {
    const tls = await targetTls(values);
    const world = targetWorld({ clock: realClock, endpoints: values.target, tls, user: userOf(values.user) });
    return { world, tls, close: () => world.close() };
  }
  for (const left of await removeLeftovers()) say(`removed what an earlier run had left: ${left}`);
  const program: StoreProgram =
    values.program === undefined ? { kind: 'keelson' } : { kind: 'other', path: values.program };
  say(`starting ${cluster.members} members of ${values.program ?? 'keelson store'}${cluster.isTls ? ' with TLS' : ''}`);
  const hasOwnDisks = [...kinds].some((kind) => ownDiskFaults.has(kind));
  const hasOwnClocks = [...kinds].some((kind) => ownClockFaults.has(kind));
  const world = await createLiveWorld({ program, hasOwnDisks, hasOwnClocks, ...cluster });
  return { world, tls: world.tls, close: () => world.close() };
}

async function targetTls({ cacert, cert, key }: Values): Promise<KvClientTls | undefined> {
  if (cacert === undefined && cert === undefined && key === undefined) return undefined;
  return {
    ...(cacert === undefined ? {} : { ca: await readFile(cacert) }),
    ...(cert === undefined ? {} : { cert: await readFile(cert) }),
    ...(key === undefined ? {} : { key: await readFile(key) }),
  };
}

function userOf(text: string | undefined): { readonly name: string; readonly password: string } | undefined {
  if (text === undefined) return undefined;
  const colon = text.indexOf(':');
  if (colon < 1) throw new UsageError('chaos live: --user: want name:password');
  return { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

async function keep(world: RunWorld, signal: AbortSignal, say: (line: string) => void): Promise<void> {
  for (const { name, clientUrl } of world.members) say(`  ${name} ${clientUrl}`);
  say('the members go on until Ctrl-C');
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    // Members are processes of their own: something has to keep this one waiting.
    const cancel = realClock.every(1_000_000, () => undefined);
    signal.addEventListener('abort', cancel, { once: true });
  });
}
