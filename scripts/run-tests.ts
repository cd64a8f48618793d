/**
 * Everything CI runs, in order, or the suites whose names or files hold one of the given words: `npm test -- raft`.
 * The last line is `N passed, N failed`; the exit code is 1 when anything failed.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { runChecks } from './check.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const words = process.argv.slice(2);

let passed = 0;
let failed = 0;
const failures: string[] = [];

function note(name: string, ok: boolean, output = ''): void {
  if (ok) passed += 1;
  else {
    failed += 1;
    failures.push(name);
    console.log(output);
  }
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${name}`);
}

function wanted(name: string): boolean {
  return words.length === 0 || words.some((word) => name.includes(word));
}

function testFiles(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) return testFiles(path);
      return entry.name.endsWith('.test.ts') ? [path] : [];
    })
    .sort();
}

/** What a test failed with, short enough to be read at the end of everything. */
function reasonOf(error: Error): string {
  const cause = error.cause instanceof Error ? error.cause : error;
  return cause.message.slice(0, 1500).replace(/^/gm, '    ');
}

/** Runs test files, each in a process of its own, and counts their tests. */
async function runFiles(
  title: string,
  files: readonly string[],
  options: { concurrency: number; timeoutMs: number; limitMs: number },
): Promise<void> {
  const chosen = files.filter((file) => wanted(`${title} ${relative(root, file)}`));
  if (chosen.length === 0) return;
  console.log(`\n== ${title}: ${chosen.length} file(s)`);
  // A file that does not come to its end must not hold up the rest for ever.
  const signal = AbortSignal.timeout(options.limitMs);
  const stream = run({ files: [...chosen], concurrency: options.concurrency, timeout: options.timeoutMs, signal });
  stream.on('test:pass', (event) => {
    if (event.details.type !== 'suite' && event.nesting > -1) passed += 1;
  });
  stream.on('test:fail', (event) => {
    if (event.details.type === 'suite') return;
    failed += 1;
    failures.push(`${relative(root, event.file ?? '')}: ${event.name}\n${reasonOf(event.details.error)}`);
  });
  const report = stream.compose(spec);
  report.pipe(process.stdout);
  await new Promise<void>((resolve, reject) => {
    report.on('end', resolve);
    report.on('error', reject);
  });
}

/** Runs a program of the project; its exit code is the verdict. */
async function runProgram(title: string, args: readonly string[]): Promise<void> {
  if (!wanted(title)) return;
  console.log(`\n== ${title}`);
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  const code = await new Promise<number | null>((resolve) => {
    child.on('exit', resolve);
    child.on('error', () => resolve(-1));
  });
  note(title, code === 0, `exit code ${code}`);
}

const startedMs = performance.now();
const all = testFiles(join(root, 'test'));
const inFolder = (folder: string) => all.filter((file) => relative(root, file).startsWith(`test/${folder}/`));
const special = [...inFolder('contract'), ...inFolder('e2e')];

if (wanted('check')) {
  console.log('== check');
  for (const result of runChecks()) note(`check: ${result.name}`, result.passed, result.output);
}
await runFiles(
  'unit',
  all.filter((file) => !special.includes(file)),
  { concurrency: 2, timeoutMs: 180_000, limitMs: 700_000 },
);
await runFiles('contract', inFolder('contract'), { concurrency: 2, timeoutMs: 300_000, limitMs: 900_000 });
await runProgram('simulation', ['chaos/cli.ts', 'sim', '--seeds', '2000', '--jobs', '2']);
await runProgram('mutants', ['chaos/mutants/run.ts', '--sample', '--jobs', '2']);
await runFiles('e2e', inFolder('e2e'), { concurrency: 1, timeoutMs: 600_000, limitMs: 600_000 });

console.log(`\nafter ${Math.round((performance.now() - startedMs) / 1000)} s`);
for (const failure of failures) console.log(`FAILED ${failure}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
