/** RFC 3339 texts as upstream writes them: UTC, whole seconds for times, microseconds for micro times. */

const pattern = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})$/;

export interface Moment {
  readonly seconds: number;
  readonly nanos: number;
}

/** Undefined when the text is not RFC 3339. */
export function parseTime(text: string): Moment | undefined {
  const match = pattern.exec(text);
  if (match === null) return undefined;
  const wholeMs = Date.parse(`${text.slice(0, 19)}${match[8]}`);
  if (Number.isNaN(wholeMs)) return undefined;
  return { seconds: Math.floor(wholeMs / 1000), nanos: Number((match[7] ?? '').padEnd(9, '0')) };
}

export function formatTime(moment: Moment): string {
  return `${new Date(moment.seconds * 1000).toISOString().slice(0, 19)}Z`;
}

export function formatMicroTime(moment: Moment): string {
  const micros = String(Math.floor(moment.nanos / 1000)).padStart(6, '0');
  return `${new Date(moment.seconds * 1000).toISOString().slice(0, 19)}.${micros}Z`;
}

/** Wall time in milliseconds as a time or a micro time. */
export function timeFromMs(wallMs: number): string {
  return formatTime({ seconds: Math.floor(wallMs / 1000), nanos: 0 });
}

export function microTimeFromMs(wallMs: number): string {
  const seconds = Math.floor(wallMs / 1000);
  return formatMicroTime({ seconds, nanos: Math.floor((wallMs - seconds * 1000) * 1_000_000) });
}

const unitNanos: readonly (readonly [string, bigint])[] = [
  ['h', 3_600_000_000_000n],
  ['m', 60_000_000_000n],
  ['s', 1_000_000_000n],
];

/** Go's duration text (`1h2m3.5s`) in nanoseconds; undefined when it is not one. */
export function parseDuration(text: string): bigint | undefined {
  if (text === '0') return 0n;
  const match = /^([+-]?)((?:\d+(?:\.\d+)?(?:h|ms|m|s|us|µs|ns))+)$/.exec(text);
  if (match === null) return undefined;
  let total = 0n;
  for (const part of (match[2] ?? '').matchAll(/(\d+)(?:\.(\d+))?(h|ms|m|s|us|µs|ns)/g)) {
    const perUnit = nanosOfUnit(part[3] ?? '');
    total += BigInt(part[1] ?? '0') * perUnit;
    const fraction = (part[2] ?? '').slice(0, 18);
    if (fraction !== '') total += (BigInt(fraction) * perUnit) / 10n ** BigInt(fraction.length);
  }
  return match[1] === '-' ? -total : total;
}

function nanosOfUnit(unit: string): bigint {
  const large = unitNanos.find(([name]) => name === unit);
  if (large !== undefined) return large[1];
  return unit === 'ms' ? 1_000_000n : unit === 'ns' ? 1n : 1000n;
}

export function formatDuration(nanos: bigint): string {
  if (nanos === 0n) return '0s';
  const sign = nanos < 0n ? '-' : '';
  let rest = nanos < 0n ? -nanos : nanos;
  if (rest < 1_000_000_000n) {
    if (rest < 1000n) return `${sign}${rest}ns`;
    if (rest < 1_000_000n) return `${sign}${decimal(rest, 3)}µs`;
    return `${sign}${decimal(rest, 6)}ms`;
  }
  let text = '';
  for (const [unit, perUnit] of unitNanos) {
    if (unit === 's') text += `${decimal(rest, 9)}s`;
    else if (rest >= perUnit || text !== '') {
      text += `${rest / perUnit}${unit}`;
      rest %= perUnit;
    }
  }
  return sign + text;
}

function decimal(value: bigint, digits: number): string {
  const scale = 10n ** BigInt(digits);
  const fraction = String(value % scale)
    .padStart(digits, '0')
    .replace(/0+$/, '');
  return fraction === '' ? String(value / scale) : `${value / scale}.${fraction}`;
}
