/**
 * `keelson chaos check FILE`: judges a history file (docs/history-format.md) and says what every checker found. Exit code 0 when
 * no promise was broken, 1 when one was, 2 when that cannot be said: a wrong file, a wrong flag, a verdict not reached.
 */
import { createReadStream } from 'node:fs';
import { flagHelp, parseFlags, UsageError } from '../../src/cli/flags.ts';
import { checkHistory, checkerNames, type CheckResult } from './check-history.ts';
import { HistoryFormatError, lineCharactersMax, readHistoryStream } from './history-file.ts';

const flags = {
  output: { type: 'string', default: 'text', help: 'text or json' },
  o: { type: 'string', help: 'the same as --output' },
} as const;

export interface CheckOutput {
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
}

const toConsole: CheckOutput = { print: (text) => console.log(text), complain: (text) => console.error(text) };

/** Resolves with the exit code. */
export async function runCheck(args: readonly string[], output: CheckOutput = toConsole): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    output.print(help());
    return 0;
  }
  try {
    const { values, positionals } = parseFlags(flags, { command: 'chaos check', args, positionalsMax: 1 });
    const format = values.o ?? values.output;
    if (format !== 'text' && format !== 'json')
      throw new UsageError(`keelson chaos check: no output ${JSON.stringify(format)}: want text or json`);
    const [path] = positionals;
    if (path === undefined)
      throw new UsageError('keelson chaos check: which history? Give a file, or - for standard input');
    const results = checkHistory(await readHistoryStream(linesOf(path)));
    output.print(
      format === 'json'
        ? JSON.stringify({ file: path, verdict: verdictOf(results), checks: results })
        : describe(results),
    );
    return { passed: 0, failed: 1, unknown: 2 }[verdictOf(results)];
  } catch (error) {
    if (error instanceof HistoryFormatError || error instanceof UsageError) output.complain(error.message);
    else if (isFileError(error)) output.complain(`keelson chaos check: cannot read the history: ${error.message}`);
    else throw error;
    return 2;
  }
}

/** Of all checkers together. A history in which nothing could be checked is no pass. */
export function verdictOf(results: readonly CheckResult[]): 'passed' | 'failed' | 'unknown' {
  const verdicts = new Set(results.map(({ verdict }) => verdict));
  if (verdicts.has('failed')) return 'failed';
  return verdicts.has('unknown') || !verdicts.has('passed') ? 'unknown' : 'passed';
}

function help(): string {
  const summary = `Judges a history of what clients of a system asked and were told.\nCheckers: ${checkerNames.join(', ')}.`;
  return flagHelp('keelson chaos check FILE [flags]', summary, flags);
}

function describe(results: readonly CheckResult[]): string {
  const width = Math.max(...results.map(({ name }) => name.length)) + 2;
  const lines = results
    .filter(({ verdict }) => verdict !== 'notApplicable')
    .map(({ name, verdict, property, detail, operations }) => {
      const shown = operations.length === 0 ? '' : ` (operations ${operations.join(', ')})`;
      const text = verdict === 'failed' ? `${property}: ${detail}${shown}` : detail;
      return `${verdict === 'failed' ? 'FAILED ' : verdict.padEnd(7)} ${name.padEnd(width)}${text}`;
    });
  const none = results.filter(({ verdict }) => verdict === 'notApplicable').map(({ name }) => name);
  if (none.length > 0) lines.push(`nothing to check for: ${none.join(', ')}`);
  return lines.join('\n');
}

/** By line feeds alone: readline would also end a line at separators that JSON leaves as they are in a text. */
async function* linesOf(path: string): AsyncGenerator<string, void, undefined> {
  const input = path === '-' ? process.stdin.setEncoding('utf8') : createReadStream(path, { encoding: 'utf8' });
  let rest: string[] = [];
  let restCharacters = 0;
  for await (const chunk of input as AsyncIterable<string>) {
    const lines = chunk.split('\n');
    const first = lines.shift() ?? '';
    rest.push(first);
    restCharacters += first.length;
    // Refused by whoever reads it, before it fills the memory.
    if (restCharacters > lineCharactersMax) break;
    for (const line of lines) {
      yield rest.join('');
      rest = [line];
      restCharacters = line.length;
    }
  }
  const last = rest.join('');
  if (last !== '') yield last;
}

function isFileError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}
