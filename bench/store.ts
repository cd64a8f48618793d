/**
 * The store under load beside etcd: the same generator, the same machine, rounds taken in turns, so that what disturbs one
 * disturbs the other. Generator and servers share the machine's cores; the ratio and the processor time per call are what
 * counts.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import type { Sample } from './load/closed-loop.ts';
import { median } from './load/usage.ts';
import { measureCrowd } from './store-bench/crowd.ts';
import { asInstalled, findSides, type Running, type Side, startSide, targetOf } from './store-bench/sides.ts';
import { leaderOf, measureFailover, measureIdle, measureMemory } from './store-bench/sizes.ts';
import { profileWork } from './store-bench/profile.ts';
import { type Figure, type Line, printHead, printLine } from './store-bench/table.ts';
import { fillKeys, type Work, warmUp, works } from './store-bench/works.ts';

const sizes = ['memory', 'idle', 'failover', 'crowd'] as const;

const help = `npm run bench -- store [flags]

Compares this checkout's store with etcd (Debian's at /usr/bin/etcd; more by KEELSON_BENCH_ETCD=path[:path], or the one
on PATH). Medians of --pairs rounds taken in turns; processor time is all servers' together. What is measured under
load runs from the sources; ${sizes.join(', ')} from dist/, which is made anew, as an installed package does.

  --only a,b       ${works.map((work) => work.name).join(', ')},
                   ${sizes.join(', ')}; a prefix stands for all that begin with it
  --members 1,3    cluster sizes                                  (default 1,3)
  --tls off,on     transport                                      (default off,on)
  --pairs 5        rounds per side                                (default 5)
  --seconds 3      length of a round                              (default 3)
  --warm-up 10     seconds under load before anything is counted  (default 10)
  --keys 1000000   keys for "memory"
  --kills 10       kills for "failover"
  --quick          one pair of 1 s, TLS off, 100,000 keys, 3 kills
  --other DIR      another checkout of Keelson as a further side
  --alone          without etcd
  --profile        where the time of each call goes, of this checkout alone
  -o json          one JSON document instead of the table
`;

interface Options {
  readonly only: readonly string[];
  readonly members: readonly (1 | 3)[];
  readonly tls: readonly boolean[];
  readonly pairs: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly keys: number;
  readonly kills: number;
  readonly sides: readonly Side[];
  readonly isProfile: boolean;
  readonly isJson: boolean;
}

export async function run(args: readonly string[]): Promise<void> {
  const options = parse(args);
  if (options === undefined) return;
  if (options.isProfile) return profile(options);
  const lines: Line[] = [];
  const report = (line: Line) => {
    lines.push(line);
    if (!options.isJson) printLine(line, (text) => process.stdout.write(text));
  };
  const model = cpus()[0]?.model ?? 'unknown';
  if (!options.isJson) {
    process.stdout.write(
      `${cpus().length} cores (${model}) shared with the generator; keys of 30 bytes, values of 256; medians of ${options.pairs} rounds of ${options.seconds} s in turns\n`,
    );
    if (options.sides.length === 1) process.stdout.write('no etcd found: no ratio\n');
    printHead((text) => process.stdout.write(text));
  }
  for (const count of options.members) {
    for (const tls of options.tls) await compare(options, { count, tls }, report);
  }
  if (options.isJson) {
    const { pairs, seconds } = options;
    process.stdout.write(`${JSON.stringify({ cores: cpus().length, model, pairs, seconds, lines }, null, 2)}\n`);
  }
}

/** One round of each chosen work for each cluster, with the shares of every member's time. */
async function profile(options: Options): Promise<void> {
  const chosen = works.filter((work) => !work.isDegraded && isWanted(options, work.name));
  for (const count of options.members) {
    for (const tls of options.tls) {
      for (const work of chosen) {
        const result = await profileWork(work, { count, tls, seconds: options.seconds });
        const { callsPerSecond, cpuPerCallMicroseconds, members } = result;
        if (options.isJson) {
          process.stdout.write(`${JSON.stringify({ work: work.name, count, tls, ...result })}\n`);
          continue;
        }
        const head = `${work.name}, ${count} members, TLS ${tls ? 'on' : 'off'}, under the profiler`;
        const figures = `${callsPerSecond.toFixed(0)} ${work.unit}s/s, ${cpuPerCallMicroseconds.toFixed(1)} µs of processor time each`;
        process.stdout.write(`${head}: ${figures}\n`);
        members.forEach((shares, index) => {
          process.stdout.write(`  member ${index + 1}\n`);
          for (const [area, share] of shares) {
            const perCall = ((share * cpuPerCallMicroseconds) / count).toFixed(1);
            process.stdout.write(
              `    ${area.padEnd(38)} ${(share * 100).toFixed(1).padStart(5)} %  ${perCall.padStart(6)} µs\n`,
            );
          }
        });
      }
    }
  }
}

function isWanted(options: Options, name: string): boolean {
  return options.only.length === 0 || options.only.some((wanted) => name === wanted || name.startsWith(`${wanted}-`));
}

type Report = (line: Line) => void;
interface Shape {
  readonly count: 1 | 3;
  readonly tls: boolean;
}

async function compare(options: Options, shape: Shape, report: Report): Promise<void> {
  const chosen = works.filter((work) => isWanted(options, work.name) && (shape.count === 3 || !work.isDegraded));
  if (chosen.length > 0) await compareWorks(options, shape, chosen, report);
  // Sizes do not depend on TLS; memory and the crowd are one member's affair, failing over and idling three's.
  if (shape.tls !== options.tls[0]) return;
  if (shape.count === 1 && isWanted(options, 'memory')) {
    await compareSizes(options, shape, 'memory', (running) => measureMemory(running, options.keys), report);
  }
  if (shape.count === 1 && isWanted(options, 'crowd')) {
    await compareSizes(options, shape, 'crowd', (running) => measureCrowd(running, options.seconds), report);
  }
  if (shape.count === 3 && isWanted(options, 'idle')) {
    await compareSizes(options, shape, 'idle', (running) => measureIdle(running, 10), report);
  }
  if (shape.count === 3 && isWanted(options, 'failover')) {
    await compareSizes(options, shape, 'failover', (running) => measureFailover(running, options.kills), report);
  }
}

async function compareWorks(options: Options, shape: Shape, chosen: readonly Work[], report: Report): Promise<void> {
  const clusters: Running[] = [];
  try {
    for (const side of options.sides) clusters.push(await startSide(side, shape));
    for (const running of clusters) {
      await fillKeys(running.target, 10_000);
      await warmUp(running.target, options.warmUpSeconds);
    }
    for (const work of chosen.filter((candidate) => !candidate.isDegraded)) {
      await compareWork(options, shape, { work, clusters }, report);
    }
    const degraded = chosen.filter((candidate) => candidate.isDegraded);
    if (degraded.length === 0) return;
    const reduced: Running[] = [];
    for (const running of clusters) {
      const leader = await leaderOf(running);
      const lost = running.cluster.members.find((member) => member !== leader);
      await lost?.end('SIGKILL');
      const left = running.cluster.members.filter((member) => member !== lost).map((member) => member.name);
      reduced.push({ ...running, target: targetOf(running.cluster, left) });
    }
    for (const work of degraded) await compareWork(options, shape, { work, clusters: reduced }, report);
  } finally {
    for (const { cluster } of clusters) await cluster.stop();
  }
}

async function compareWork(
  options: Options,
  shape: Shape,
  what: { readonly work: Work; readonly clusters: readonly Running[] },
  report: Report,
): Promise<void> {
  const { work, clusters } = what;
  const samples = new Map<string, Sample[]>(clusters.map(({ side }) => [side.name, []]));
  // A first, short turn each is not counted: code is compiled and connections have been made afterwards.
  for (const running of clusters) await work.run(running.target, Math.min(1, options.seconds));
  for (let pair = 0; pair < options.pairs; pair++) {
    for (const running of clusters) {
      samples.get(running.side.name)?.push(await work.run(running.target, options.seconds));
    }
  }
  const rows = clusters.map(({ side }): readonly [Side, readonly Figure[]] => {
    const of = (read: (sample: Sample) => number) => median((samples.get(side.name) ?? []).map(read));
    return [
      side,
      [
        { name: `${work.unit}s/s`, value: of((sample) => sample.perSecond), digits: 0 },
        { name: 'p50 ms', value: of((sample) => sample.p50Ms), digits: 2 },
        { name: 'p99 ms', value: of((sample) => sample.p99Ms), digits: 2 },
        { name: `cpu µs/${work.unit}`, value: of((sample) => sample.cpuPerCallMicroseconds), digits: 1 },
      ],
    ];
  });
  reportRows(rows, { shape, work: work.name }, report);
}

async function compareSizes(
  options: Options,
  shape: Shape,
  name: string,
  measure: (running: Running) => Promise<readonly Figure[]>,
  report: Report,
): Promise<void> {
  const rows: (readonly [Side, readonly Figure[]])[] = [];
  // Sizes are those of what users start; what is compiled under load is the same JavaScript either way.
  for (const side of options.sides.map(asInstalled)) {
    const running = await startSide(side, shape);
    try {
      rows.push([side, await measure(running)]);
    } finally {
      await running.cluster.stop();
    }
  }
  reportRows(rows, { shape, work: name }, report);
}

function reportRows(
  rows: readonly (readonly [Side, readonly Figure[]])[],
  about: { readonly shape: Shape; readonly work: string },
  report: Report,
): void {
  const peer = rows.find(([side]) => side.kind === 'etcd')?.[1][0]?.value;
  for (const [side, figures] of rows) {
    const own = figures[0]?.value;
    const hasRatio = peer !== undefined && own !== undefined && side.kind === 'keelson';
    report({
      members: about.shape.count,
      tls: about.shape.tls,
      work: about.work,
      side: side.name,
      figures,
      ...(hasRatio ? { ratio: own / peer } : {}),
    });
  }
}

function parse(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', default: '' },
      members: { type: 'string', default: '1,3' },
      tls: { type: 'string' },
      pairs: { type: 'string' },
      seconds: { type: 'string' },
      'warm-up': { type: 'string' },
      keys: { type: 'string' },
      kills: { type: 'string' },
      quick: { type: 'boolean', default: false },
      other: { type: 'string' },
      alone: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      output: { type: 'string', short: 'o', default: 'table' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return undefined;
  }
  const { quick } = values;
  const list = (text: string) => text.split(',').filter((part) => part !== '');
  const known = [...works.map((work) => work.name), ...sizes];
  for (const name of list(values.only)) {
    if (known.some((candidate) => candidate === name || candidate.startsWith(`${name}-`))) continue;
    return wrong(`--only ${name}: want any of ${known.join(', ')}`);
  }
  const count = (text: string | undefined, fallback: number) => (text === undefined ? fallback : Number(text));
  const numbers = {
    pairs: count(values.pairs, quick ? 1 : 5),
    seconds: count(values.seconds, quick ? 1 : 3),
    warmUpSeconds: count(values['warm-up'], quick ? 1 : 10),
    keys: count(values.keys, quick ? 100_000 : 1_000_000),
    kills: count(values.kills, quick ? 3 : 10),
  };
  for (const [name, value] of Object.entries(numbers)) {
    if (!Number.isFinite(value) || value <= 0) return wrong(`--${name}: want a number above 0`);
  }
  const members = list(values.members).map(Number);
  if (!members.every((member) => member === 1 || member === 3)) return wrong('--members: want 1, 3 or 1,3');
  const tls = list(values.tls ?? (quick ? 'off' : 'off,on'));
  if (!tls.every((text) => text === 'off' || text === 'on')) return wrong('--tls: want off, on or off,on');
  if (values.output !== 'table' && values.output !== 'json') return wrong('-o: want json or table');
  return {
    only: list(values.only),
    members: members as (1 | 3)[],
    tls: tls.map((text) => text === 'on'),
    ...numbers,
    sides: findSides({ other: values.other, alone: values.alone }),
    isProfile: values.profile,
    isJson: values.output === 'json',
  };
}

function wrong(text: string): undefined {
  process.stderr.write(`bench store: ${text}\n`);
  process.exitCode = 2;
  return undefined;
}
