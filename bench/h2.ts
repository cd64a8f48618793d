/**
 * What a call costs the store's gRPC server apart from the store: a Put that is answered at once, by grpc-js and by the
 * server over HTTP/2 frames of our own, under the same load, in turns. The generator shares the machine; what counts is
 * the servers' processor time for each call.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureAuthority, issueLeaf } from '../src/cluster/pki.ts';
import { realClock, realDisk, realRandom } from '../src/env/real.ts';
import { runLoad, type Sample, type Target } from './load/closed-loop.ts';
import { encodeMessage, keyMarker, template } from './load/messages.ts';
import { median, residentBytes } from './load/usage.ts';

const help = `npm run bench -- h2 [flags]

  --in-flight 1,64,1000   calls under way                  (default 1,64,1000)
  --tls off,on            transport                        (default off,on)
  --rounds 3              rounds of each server, in turns  (default 3)
  --seconds 2             length of a round                (default 2)
`;

const kinds = ['grpc-js', 'h2'] as const;
const putMessage = template(
  encodeMessage([
    [1, keyMarker('bench/aaaaaaaaaaaaaa')],
    [2, Buffer.alloc(256, 'v')],
  ]),
);

interface Running {
  readonly process: ChildProcess;
  readonly target: Target;
}

async function startServer(kind: string, certificates: Certificates | undefined): Promise<Running> {
  const path = join(import.meta.dirname, 'h2', 'server.ts');
  const args = ['--disable-warning=ExperimentalWarning', path, kind, ...(certificates ? [certificates.directory] : [])];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
  return {
    process: child,
    target: { endpoints: [url], tls: certificates?.pems, pids: () => [child.pid ?? -1] },
  };
}

interface Certificates {
  readonly directory: string;
  readonly pems: NonNullable<Target['tls']>;
}

async function makeCertificates(directory: string): Promise<Certificates> {
  const env = { clock: realClock, random: realRandom, disk: realDisk };
  const authority = await ensureAuthority(env, directory, 'ca', 'bench authority');
  const leaf = await issueLeaf(env, authority, {
    commonName: 'bench',
    hosts: ['127.0.0.1'],
    usages: ['server', 'client'],
  });
  await writeFile(join(directory, 'server.crt'), leaf.certificatePem);
  await writeFile(join(directory, 'server.key'), leaf.keyPem);
  const pems = {
    ca: Buffer.from(authority.certificatePem),
    cert: Buffer.from(leaf.certificatePem),
    key: Buffer.from(leaf.keyPem),
  };
  return { directory, pems };
}

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      'in-flight': { type: 'string', default: '1,64,1000' },
      tls: { type: 'string', default: 'off,on' },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '2' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return;
  }
  const directory = await mkdtemp(join(tmpdir(), 'keelson-bench-h2-'));
  try {
    const certificates = await makeCertificates(directory);
    for (const tls of values.tls.split(',')) {
      const running = await Promise.all(
        kinds.map((kind) => startServer(kind, tls === 'on' ? certificates : undefined)),
      );
      for (const inFlight of values['in-flight'].split(',').map(Number)) {
        await compare(running, { tls, inFlight, rounds: Number(values.rounds), seconds: Number(values.seconds) });
      }
      for (const each of running) each.process.kill();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

interface Round {
  readonly tls: string;
  readonly inFlight: number;
  readonly rounds: number;
  readonly seconds: number;
}

async function compare(running: readonly Running[], { tls, inFlight, rounds, seconds }: Round): Promise<void> {
  const samples: Sample[][] = kinds.map(() => []);
  const plan = {
    calls: [{ path: '/etcdserverpb.KV/Put', message: putMessage, weight: 1 }],
    inFlight,
    seconds,
    keys: 10_000,
  };
  // The first round warms the code up and is not counted.
  for (let round = 0; round <= rounds; round++) {
    for (const [index, { target }] of running.entries()) {
      const sample = await runLoad(target, plan);
      if (round > 0) samples[index]?.push(sample);
    }
  }
  const cpu = samples.map((each) => median(each.map(({ cpuPerCallMicroseconds }) => cpuPerCallMicroseconds)));
  const rate = samples.map((each) => median(each.map(({ perSecond }) => perSecond)));
  kinds.forEach((kind, index) => {
    const megabytes = residentBytes(running[index]?.process.pid ?? -1) / 2 ** 20;
    process.stdout.write(
      `tls ${tls.padEnd(3)}  in flight ${String(inFlight).padStart(4)}  ${kind.padEnd(7)}  ${(cpu[index] ?? 0).toFixed(1).padStart(6)} µs of CPU per call  ${(rate[index] ?? 0).toFixed(0).padStart(6)} calls/s  ${megabytes.toFixed(0)} MB resident\n`,
    );
  });
  process.stdout.write(`${' '.repeat(25)}${((cpu[0] ?? 0) / (cpu[1] ?? 1)).toFixed(1)} times less CPU per call\n`);
}
