/** The report: one line per side and measurement, with the ratio to the first etcd beside it. */
export interface Line {
  readonly members: number;
  readonly tls: boolean;
  readonly work: string;
  readonly side: string;
  /** Name, value and unit of what was measured, the one that the ratio is of first. */
  readonly figures: readonly Figure[];
  /** Own figure by the peer's; above 1 is more. Absent on the peer's own line. */
  readonly ratio?: number;
}

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly digits: number;
}

const widths = { members: 7, tls: 5, work: 18, side: 9 } as const;

export function printHead(write: (text: string) => void): void {
  write(
    `${'members'.padEnd(widths.members)} ${'tls'.padEnd(widths.tls)} ${'what'.padEnd(widths.work)} ${'side'.padEnd(widths.side)} figures (medians)\n`,
  );
}

export function printLine(line: Line, write: (text: string) => void): void {
  const figures = line.figures.map(
    ({ name, value, digits }) =>
      `${name} ${value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits }).padStart(9)}`,
  );
  const ratio = line.ratio === undefined ? '' : `  : etcd = ${line.ratio.toFixed(2)}`;
  write(
    `${String(line.members).padEnd(widths.members)} ${(line.tls ? 'on' : 'off').padEnd(widths.tls)} ${line.work.padEnd(widths.work)} ${line.side.padEnd(widths.side)} ${figures.join('  ')}${ratio}\n`,
  );
}
