/**
 * Where the time of a call goes: one round of a work against members that run under V8's sampling profiler, the samples
 * of the round summed up by the part of the program that was running, as µs per call. The profiler itself slows a member
 * down; the shares are what is meant, of the processor time that the round took for each call.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ownSide, startSide } from './sides.ts';
import { fillKeys, type Work } from './works.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const sampleMicroseconds = 1000;
/** What follows the round until the profile ends is the stop. */
const stopSeconds = 0.3;

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** First match wins. */
const areas: readonly (readonly [name: string, url: RegExp])[] = [
  ['HTTP/2 and gRPC, of clients and members', /src\/rpc\//],
  ['methods and messages', /kv\/rpc\/|src\/proto\//],
  ['proposing, waiting, answering', /kv\/server\//],
  ['applying, multi-version store', /kv\/(apply|mvcc|lease|auth)\//],
  ['LevelDB', /kv\/backend\/|classic-level|abstract-level/],
  ['Raft core', /raft\/core\//],
  ['log: framing, checksums, files', /raft\/wal\/|msgpackr|node:zlib|node:internal\/fs|env\/real/],
  [
    'messages between members',
    /raft\/host\/(grpc|message|peer|plain|snapshot-)|grpc-js|protobufjs|node:internal\/http2/,
  ],
  ['Raft host', /raft\/host\//],
  ['sockets, streams, microtasks of Node', /^node:/],
];

function areaOf({ functionName, url }: CpuProfile['nodes'][number]['callFrame']): string {
  if (functionName === '(garbage collector)') return 'garbage collection';
  if (functionName === '(program)') return 'native, not attributed';
  if (url === '' && /^(writeBuffer|fdatasync|close)$/.test(functionName)) return 'system calls: write, fdatasync';
  return areas.find(([, pattern]) => pattern.test(url))?.[0] ?? 'other';
}

export interface ProfiledWork {
  readonly callsPerSecond: number;
  readonly cpuPerCallMicroseconds: number;
  /** By member; shares of its busy time, greatest first. */
  readonly members: readonly (readonly (readonly [area: string, share: number])[])[];
}

export async function profileWork(
  work: Work,
  options: { readonly count: 1 | 3; readonly tls: boolean; readonly seconds: number },
): Promise<ProfiledWork> {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-profile-'));
  const profiler = ['--cpu-prof', `--cpu-prof-dir=${directory}`, `--cpu-prof-interval=${sampleMicroseconds}`];
  const node = [join(root, 'node_modules/.bin/node'), ...profiler, '--disable-warning=ExperimentalWarning'];
  const side = { ...ownSide, command: [...node, join(root, 'src/cli/entry.ts'), 'store'] };
  try {
    const running = await startSide(side, options);
    try {
      await fillKeys(running.target, 10_000);
      await work.run(running.target, 1);
      const sample = await work.run(running.target, options.seconds);
      for (const member of running.cluster.members) await member.end('SIGTERM');
      const files = (await readdir(directory)).sort();
      const texts = await Promise.all(files.map((file) => readFile(join(directory, file), 'utf8')));
      return {
        callsPerSecond: sample.perSecond,
        cpuPerCallMicroseconds: sample.cpuPerCallMicroseconds,
        members: texts.map((text) => sharesOf(JSON.parse(text) as CpuProfile, options.seconds)),
      };
    } finally {
      await running.cluster.stop();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function sharesOf(profile: CpuProfile, seconds: number): readonly (readonly [string, number])[] {
  const frames = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
  const endUs = profile.timeDeltas.reduce((sum, delta) => sum + delta, 0) - stopSeconds * 1e6;
  const sums = new Map<string, number>();
  let atUs = 0;
  let busyUs = 0;
  profile.samples.forEach((id, position) => {
    const delta = profile.timeDeltas[position] ?? 0;
    atUs += delta;
    const frame = frames.get(id);
    if (atUs < endUs - seconds * 1e6 || atUs > endUs || !frame || frame.functionName === '(idle)') return;
    busyUs += delta;
    const area = areaOf(frame);
    sums.set(area, (sums.get(area) ?? 0) + delta);
  });
  return [...sums].map(([area, sum]) => [area, sum / busyUs] as const).sort((a, b) => b[1] - a[1]);
}
