/**
 * Plants each bug of mutants.ts into a copy of the sources and runs the simulation on it. Fails when a bug survives. Prints
 * for each how many worlds it took.
 */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { flagHelp, parseFlags, UsageError } from '../../src/cli/flags.ts';
import type { Mutant } from './mutant.ts';
import { mutants, sample } from './mutants.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

const flags = {
  only: { type: 'list', help: 'plant these' },
  sample: { type: 'boolean', help: 'plant fifteen of all sorts' },
  seeds: { type: 'number', default: 1_500, min: 1, help: 'worlds a bug may survive' },
  jobs: { type: 'number', default: 2, min: 1, max: 64, help: 'bugs looked for at once' },
} as const;

async function plant(mutant: Mutant): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'keelson-mutant-'));
  for (const folder of ['src', 'chaos', 'proto', 'package.json'])
    await cp(join(root, folder), join(copy, folder), { recursive: true });
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
  const path = join(copy, mutant.file);
  const text = await readFile(path, 'utf8');
  if (text.split(mutant.find).length !== 2) {
    throw new Error(
      `${mutant.name}: its text occurs ${text.split(mutant.find).length - 1} times in ${mutant.file}, want once: the code has changed, change the mutant with it`,
    );
  }
  await writeFile(
    path,
    text.replace(mutant.find, () => mutant.replace),
  );
  return copy;
}

interface Outcome {
  readonly code: number | null;
  readonly output: string;
}

function simulate(copy: string, seeds: number, profile: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const args = [
      '--disable-warning=ExperimentalWarning',
      'chaos/cli.ts',
      'sim',
      `--seeds=${seeds}`,
      '--jobs=1',
      '--shrink=false',
      `--profile=${profile}`,
    ];
    const child = spawn(process.execPath, args, { cwd: copy, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    child.on('close', (code) => resolve({ code, output }));
  });
}

async function hunt(mutant: Mutant, seeds: number): Promise<boolean> {
  const copy = await plant(mutant);
  try {
    const startMs = performance.now();
    const { code, output } = await simulate(copy, seeds, mutant.profile ?? 'swarm');
    const verdict = /FAILED seed \S+: [^\n]*/.exec(output)?.[0] ?? '';
    const worlds = /^(\d+) worlds, /m.exec(output)?.[1] ?? '?';
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    const isFound = code === 1 && verdict !== '';
    console.log(
      `${isFound ? 'found   ' : 'SURVIVED'} ${mutant.name.padEnd(32)} ${worlds.padStart(5)} worlds ${seconds.padStart(6)} s  ${verdict.slice(0, 140)}`,
    );
    if (!isFound) console.log(`         ${mutant.story}\n${output.slice(-2_000)}`);
    return isFound;
  } finally {
    await rm(copy, { recursive: true });
  }
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    console.log(
      flagHelp(
        'npm run mutants -- [flags]',
        'Plants bugs into copies of the sources; the simulation must find each.',
        flags,
      ),
    );
    return 0;
  }
  const { values } = parseFlags(flags, { command: 'mutants', args });
  const wanted = values.sample ? sample : values.only;
  const queue = mutants.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
  if (queue.length < wanted.length) throw new UsageError(`mutants: of ${wanted.join(', ')} not all are known`);
  const total = queue.length;
  let found = 0;
  const worker = async () => {
    for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift())
      if (await hunt(mutant, values.seeds)) found += 1;
  };
  await Promise.all(Array.from({ length: values.jobs }, worker));
  console.log(`${found} of ${total} planted bugs found`);
  return found === total && total > 0 ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
