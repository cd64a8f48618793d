/**
 * `npm run ok`: formatting, types, lint, layering, and the tests of what is pure. Under a minute; writes nothing, `npm run fix`
 * may. Exit code 1 when anything is wrong.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { checkLayering } from './layering.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

export interface CheckResult {
  readonly name: string;
  readonly passed: boolean;
  readonly output: string;
}

function program(name: string, command: string, args: readonly string[]): CheckResult {
  const result = spawnSync(`${root}/node_modules/.bin/${command}`, args, { cwd: root, encoding: 'utf8' });
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`;
  return { name, passed: result.status === 0, output };
}

export function runChecks(): readonly CheckResult[] {
  const layering = checkLayering(root);
  return [
    program('format', 'biome', ['format', '.']),
    program('types', 'tsc', ['-p', '.']),
    program('lint', 'oxlint', ['--type-aware', '.']),
    {
      name: 'layering',
      passed: layering.problems.length === 0,
      output: `${layering.problems.join('\n')}\n(${layering.modules} modules)`,
    },
  ];
}

/** Tests without a disk, a socket or another program. */
const fastTests = [
  'raft/core',
  'kv/mvcc',
  'kv/lease',
  'control/api',
  'control/scheduler',
  'node/net',
  'node/dns',
  'cli',
  'cluster',
];

function runFastTests(): CheckResult {
  const patterns = fastTests.map((folder) => `test/${folder}/**/*.test.ts`);
  return program('fast tests', 'node', ['--test', '--test-reporter=dot', ...patterns]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const results = [...runChecks(), runFastTests()];
  for (const result of results) {
    console.log(`${result.passed ? 'ok    ' : 'FAILED'} ${result.name}`);
    if (!result.passed) console.log(result.output);
  }
  if (results.some((result) => !result.passed)) process.exitCode = 1;
}
