/** `npm run ok`: formatting, types, lint and layering. Writes nothing; `npm run fix` may. Exit code 1 when anything is wrong. */
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

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const results = runChecks();
  for (const result of results) {
    console.log(`${result.passed ? 'ok    ' : 'FAILED'} ${result.name}`);
    if (!result.passed) console.log(result.output);
  }
  if (results.some((result) => !result.passed)) process.exitCode = 1;
}
