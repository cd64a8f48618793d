/**
 * `keelson chaos report RECORD.json ...`: makes of what a run recorded the page for people, and the files for CI. Composition
 * root: reads and writes files, prints one line for each that it wrote.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { flagHelp, parseFlags, UsageError } from '../../src/cli/flags.ts';
import { errorText, KeelsonError } from '../../src/env/errors.ts';
import { renderJsonLines } from './json-lines.ts';
import { renderJUnit } from './junit.ts';
import { readRunRecord } from './read-run-record.ts';
import { renderReport } from './render-report.ts';
import type { RunRecord } from './run-record.ts';

const flags = {
  o: { type: 'string', help: 'the page: where to write it (default: beside the record, ending in .html)' },
  junit: { type: 'string', help: 'write JUnit XML of all records there' },
  'json-lines': { type: 'string', help: 'write the record there as JSON lines, one event per line in time order' },
} as const;

/** A CI job has some dozens of scenarios; more names than this are a pattern that went wrong. */
const recordsMax = 1000;

interface Named {
  readonly path: string;
  readonly record: RunRecord;
}

async function read(path: string): Promise<Named> {
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (error) {
    throw new KeelsonError(
      'RUN_RECORD_UNREADABLE',
      `cannot read the run record: ${errorText(error)}: want a file that a run wrote with its record`,
      { cause: error },
    );
  }
  try {
    return { path, record: readRunRecord(content) };
  } catch (error) {
    if (!(error instanceof KeelsonError)) throw error;
    throw new KeelsonError(error.code, `${path}: ${error.message}`, { cause: error });
  }
}

async function write(path: string, content: string): Promise<void> {
  try {
    await writeFile(path, content);
  } catch (error) {
    throw new KeelsonError('REPORT_UNWRITABLE', `cannot write the report: ${errorText(error)}: choose another file`, {
      cause: error,
    });
  }
  console.log(path);
}

/** Where the page goes when nobody says: never over the record itself. */
const besideOf = (path: string): string => `${path.replace(/\.json$/i, '')}.html`;

async function report(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseFlags(flags, { command: 'chaos report', args, positionalsMax: recordsMax });
  if (positionals.length === 0) {
    throw new UsageError('keelson chaos report: no record: name the file that a run wrote (see --help)');
  }
  for (const flag of ['o', 'json-lines'] as const) {
    if (values[flag] === undefined || positionals.length === 1) continue;
    throw new UsageError(`keelson chaos report: --${flag} takes one record, not ${positionals.length}`);
  }
  // All are read before anything is written: one that is wrong leaves no half of an answer behind.
  const named: Named[] = [];
  for (const path of positionals) named.push(await read(path));
  const isPageWanted = values.o !== undefined || (values.junit === undefined && values['json-lines'] === undefined);
  for (const { path, record } of named) {
    if (isPageWanted) await write(values.o ?? besideOf(path), renderReport(record));
    if (values['json-lines'] !== undefined) await write(values['json-lines'], renderJsonLines(record));
  }
  if (values.junit !== undefined) await write(values.junit, renderJUnit(named.map(({ record }) => record)));
}

/** Exit code: 0 when all was written, 1 when a record or a file is wrong, 2 when the command line is. */
export async function runReport(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    console.log(
      flagHelp(
        'keelson chaos report RECORD.json... [-o FILE.html] [--junit FILE] [--json-lines FILE]',
        'Makes of what a run recorded a page for people, and JUnit XML or JSON lines for CI.\nWithout a flag it writes the page of each record beside it.',
        flags,
      ),
    );
    return 0;
  }
  try {
    await report(args);
    return 0;
  } catch (error) {
    if (!(error instanceof KeelsonError)) throw error;
    console.error(error.message);
    return error instanceof UsageError ? 2 : 1;
  }
}
