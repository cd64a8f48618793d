/**
 * The store under load, beside Debian's etcd when it is installed: the same client, the same machine, turns taken round by
 * round, so that what disturbs one disturbs both. Client and servers share the machine's cores; the ratio is what counts.
 *
 *   npm run bench -- store [--seconds 3] [--rounds 2] [--clients 64]
 */
import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { realClock } from '../src/env/real.ts';
import { createKvClient, type KvClient } from '../src/kv/index.ts';
import { type StoreCluster, type StoreKind, startStoreCluster } from '../test/contract/store-processes.ts';

interface Sample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

type Work = (client: KvClient, number: number) => Promise<unknown>;

const value = new Uint8Array(256).fill(42);
const keys = 10_000;
const keyOf = (number: number) => new TextEncoder().encode(`bench/${String(number % keys).padStart(24, '0')}`);

const works: Readonly<Record<string, Work>> = {
  put: (client, number) => client.put({ key: keyOf(number), value }),
  get: (client, number) => client.range({ key: keyOf(number) }),
};

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '3' },
      rounds: { type: 'string', default: '2' },
      clients: { type: 'string', default: '64' },
    },
  });
  const [seconds, rounds, clients] = [Number(values.seconds), Number(values.rounds), Number(values.clients)];
  const hasEtcd = existsSync('/usr/bin/etcd');
  if (!hasEtcd) print('etcd is not installed: no ratio');
  print(
    `${clients} calls at a time, keys of 30 bytes, values of ${value.length}, ${cpus().length} cores shared with the client`,
  );
  print(row(['members', 'call', 'store', 'calls/s', 'p50 ms', 'p99 ms']));
  for (const count of [1, 3] as const) {
    await compare({ count, hasEtcd, seconds, rounds, clients });
  }
}

interface Plan {
  readonly count: 1 | 3;
  readonly hasEtcd: boolean;
  readonly seconds: number;
  readonly rounds: number;
  readonly clients: number;
}

async function compare(plan: Plan): Promise<void> {
  const kinds: readonly StoreKind[] = plan.hasEtcd ? ['keelson', 'etcd'] : ['keelson'];
  const clusters = new Map<StoreKind, StoreCluster>();
  const open = new Map<StoreKind, KvClient>();
  try {
    for (const kind of kinds) {
      const cluster = await startStoreCluster({ kind, count: plan.count });
      clusters.set(kind, cluster);
      open.set(kind, createKvClient({ clock: realClock, endpoints: cluster.endpoints }));
    }
    for (const [name, work] of Object.entries(works)) {
      const samples = new Map<StoreKind, Sample[]>(kinds.map((kind) => [kind, []]));
      // A first, short turn each is not counted: code is compiled and keys are there afterwards.
      for (const kind of kinds) await load(open.get(kind) as KvClient, work, { ...plan, seconds: 0.5 });
      for (let round = 0; round < plan.rounds; round++) {
        for (const kind of kinds) samples.get(kind)?.push(await load(open.get(kind) as KvClient, work, plan));
      }
      report(plan.count, name, samples);
    }
  } finally {
    for (const client of open.values()) client.close();
    for (const cluster of clusters.values()) await cluster.stop();
  }
}

async function load(client: KvClient, work: Work, plan: Plan): Promise<Sample> {
  const tookMs: number[] = [];
  const startedMs = performance.now();
  const untilMs = startedMs + plan.seconds * 1000;
  let number = 0;
  await Promise.all(
    Array.from({ length: plan.clients }, async () => {
      while (performance.now() < untilMs) {
        const beginMs = performance.now();
        await work(client, number++);
        tookMs.push(performance.now() - beginMs);
      }
    }),
  );
  const elapsedSeconds = (performance.now() - startedMs) / 1000;
  tookMs.sort((a, b) => a - b);
  const quantile = (share: number) => tookMs[Math.min(tookMs.length - 1, Math.floor(tookMs.length * share))] ?? 0;
  return { perSecond: tookMs.length / elapsedSeconds, p50Ms: quantile(0.5), p99Ms: quantile(0.99) };
}

function report(count: number, name: string, samples: ReadonlyMap<StoreKind, readonly Sample[]>): void {
  const means = new Map<StoreKind, number>();
  for (const [kind, list] of samples) {
    const mean = (of: (sample: Sample) => number) => list.reduce((sum, sample) => sum + of(sample), 0) / list.length;
    means.set(
      kind,
      mean((sample) => sample.perSecond),
    );
    const figures = [
      mean((sample) => sample.perSecond).toFixed(0),
      mean((s) => s.p50Ms).toFixed(1),
      mean((s) => s.p99Ms).toFixed(1),
    ];
    print(row([String(count), name, kind, ...figures]));
  }
  const etcd = means.get('etcd');
  if (etcd)
    print(row([String(count), name, 'keelson : etcd', ((means.get('keelson') ?? 0) / etcd).toFixed(2), '', '']));
}

function row(cells: readonly string[]): string {
  const widths = [8, 6, 15, 9, 8, 8];
  return cells
    .map((cell, index) => (index < 3 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0)))
    .join(' ');
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
