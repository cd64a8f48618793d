/** What a live world needs of the machine, and other programs run to their end with one clear error when they fail. */
import type { Env } from '../../src/env/env.ts';
import { KeelsonError } from '../../src/env/errors.ts';

/** No command here takes longer than this unless the kernel is stuck. */
const commandTimeoutMs = 20_000;

/** Returns what it wrote; rejects with KeelsonError `CHAOS_COMMAND_FAILED` unless it succeeded. */
export async function command(
  env: Pick<Env, 'processes'>,
  words: readonly [string, ...string[]],
  input?: string,
): Promise<string> {
  const [program, ...args] = words;
  const result = await env.processes.run(program, args, {
    timeoutMs: commandTimeoutMs,
    ...(input === undefined ? {} : { input }),
  });
  if (result.exitCode !== 0) {
    const why = result.stderr.trim() || `exit code ${result.exitCode}`;
    throw new KeelsonError('CHAOS_COMMAND_FAILED', `${words.join(' ')}: ${why}`);
  }
  return result.stdout;
}

export interface NeededProgram {
  readonly name: string;
  /** Debian's. */
  readonly package: string;
}

const programs: readonly NeededProgram[] = [
  { name: 'ip', package: 'iproute2' },
  { name: 'nft', package: 'nftables' },
  { name: 'nsenter', package: 'util-linux' },
];

/** Rejects with KeelsonError `CHAOS_MACHINE_UNFIT` that names everything that is missing. */
export async function requireMachine(
  env: Pick<Env, 'processes' | 'disk'>,
  userId: number | undefined,
  morePrograms: readonly NeededProgram[] = [],
): Promise<void> {
  const missing: string[] = [];
  if (userId !== 0) missing.push(`root (this is user ${userId ?? 'unknown'}; run it with sudo)`);
  for (const program of [...programs, ...morePrograms]) {
    const isThere = await env.processes.run(program.name, ['-V'], { timeoutMs: commandTimeoutMs }).then(
      () => true,
      () => false,
    );
    if (!isThere) missing.push(`the program ${program.name} (package ${program.package})`);
  }
  if (!(await env.disk.exists('/proc/self/ns/net'))) missing.push('network namespaces (a Linux kernel with NET_NS)');
  if (missing.length === 0) return;
  throw unfit(missing.join('; '));
}

/** `lacks`: what is missing, in words that go after "it lacks". */
export function unfit(lacks: string, cause?: unknown): KeelsonError {
  return new KeelsonError(
    'CHAOS_MACHINE_UNFIT',
    `make a live world: this machine cannot do it, it lacks: ${lacks}. The simulation (npm run sim) needs none of it`,
    { cause },
  );
}
