/** What a run comes to, for the person at the terminal and for files: a page, the record, JUnit, JSON lines, the history. */
import { writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { realProcesses } from '../../src/env/real.ts';
import { writeHistory } from '../check/history-file.ts';
import { renderJsonLines } from '../report/json-lines.ts';
import { renderJUnit } from '../report/junit.ts';
import { renderReport } from '../report/render-report.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { runRecordOf } from './run-record-of.ts';
import type { RunResult } from './run-scenario.ts';

/** Files to write; absent ones are not written. */
export interface RunOutputs {
  readonly report: string | undefined;
  readonly record: string | undefined;
  readonly junit: string | undefined;
  readonly 'json-lines': string | undefined;
  readonly history: string | undefined;
}

export interface TellContext {
  readonly scenario: Scenario;
  readonly outputs: RunOutputs;
  readonly command: string;
  readonly members: readonly string[];
}

/** Says how every check came out, writes the files, and says the verdict last. */
export async function tell(
  result: RunResult,
  { scenario, outputs, command, members }: TellContext,
  say: (line: string) => void,
): Promise<void> {
  const { verdict, checks, violation } = result.verdict;
  for (const check of checks) say(`  ${check.verdict.padEnd(8)}${check.name}: ${check.detail ?? ''}`);
  const figures = Object.entries(result.figures).map(([name, value]) => `${value} ${name}`);
  say(figures.join(', '));
  const record = runRecordOf(result, { scenario, members, command, commit: await commitOf() });
  const renderings: readonly (readonly [string | undefined, () => string])[] = [
    [outputs.report, () => renderReport(record)],
    [outputs.record, () => `${JSON.stringify(record)}\n`],
    [outputs.junit, () => renderJUnit([record])],
    [outputs['json-lines'], () => renderJsonLines(record)],
    [outputs.history, () => writeHistory(result.history)],
  ];
  for (const [path, render] of renderings) {
    if (path === undefined) continue;
    await writeFile(path, render());
    say(`written to ${path}`);
  }
  if (violation !== undefined) say(`BROKEN: ${violation.property}: ${violation.detail}\nrun it again: ${command}`);
  say(`${scenario.name}: ${verdict}`);
}

async function commitOf(): Promise<string | undefined> {
  const { exitCode, stdout } = await realProcesses
    .run('git', ['-C', dirname(fileURLToPath(import.meta.url)), 'rev-parse', '--short', 'HEAD'])
    // Without git there is no commit to name.
    .catch(() => ({ exitCode: -1, stdout: '' }));
  return exitCode === 0 ? stdout.trim() : undefined;
}
