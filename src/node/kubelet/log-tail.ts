/**
 * The log format of CRI runtimes, one line a record: pure.
 *
 *   2026-01-02T03:04:05.678901234Z stdout F hello
 *
 * `P` instead of `F` marks a part of a line that goes on in the next record of the same stream.
 */
export interface LogRecord {
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  readonly isPartial: boolean;
  readonly text: string;
}

/** undefined for a line that is not a record, as after a torn write. */
export function parseLogRecord(line: string): LogRecord | undefined {
  const first = line.indexOf(' ');
  const second = line.indexOf(' ', first + 1);
  if (first <= 0 || second < 0) return undefined;
  const third = line.indexOf(' ', second + 1);
  const tag = third < 0 ? line.slice(second + 1) : line.slice(second + 1, third);
  const stream = line.slice(first + 1, second);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const marks = tag.split(':');
  if (marks[0] !== 'F' && marks[0] !== 'P') return undefined;
  return {
    time: line.slice(0, first),
    stream,
    isPartial: marks[0] === 'P',
    text: third < 0 ? '' : line.slice(third + 1),
  };
}

/** What the records said, without stamps; partial records are joined. */
export function logText(records: readonly LogRecord[], timestamps: boolean): string {
  let out = '';
  let isContinuing = false;
  for (const record of records) {
    if (timestamps && !isContinuing) out += `${record.time} `;
    out += record.isPartial ? record.text : `${record.text}\n`;
    isContinuing = record.isPartial;
  }
  return out;
}

/** The last `count` lines of a log's text; a first line cut in the middle is left out. */
export function lastLogLines(log: string, count: number): string {
  const records = log
    .split('\n')
    .map(parseLogRecord)
    .filter((record) => record !== undefined);
  return logText(records.slice(-count), false);
}
