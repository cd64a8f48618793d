/**
 * Command-line flags from a table. `--flag value`, `--flag=value` and, for booleans, `--flag` alone. An unknown flag, a
 * missing or malformed value, or a positional argument where none is wanted is a UsageError: one line, exit 2.
 */
import { KeelsonError } from '../env/errors.ts';

export type FlagSpec =
  | { readonly type: 'string'; readonly default?: string; readonly help: string; readonly required?: boolean }
  | {
      readonly type: 'number';
      readonly default?: number;
      readonly help: string;
      readonly min?: number;
      readonly max?: number;
    }
  | { readonly type: 'boolean'; readonly default?: boolean; readonly help: string }
  /** Comma-separated; may be given several times. */
  | { readonly type: 'list'; readonly default?: readonly string[]; readonly help: string }
  /** `10s`, `1m30s`, `100ms`; the value is milliseconds. A bare number counts as `bareUnitMs` each. */
  | { readonly type: 'duration'; readonly default?: number; readonly help: string; readonly bareUnitMs?: number };

export type FlagTable = Readonly<Record<string, FlagSpec>>;

type ValueOf<S extends FlagSpec> = S extends { type: 'string' }
  ? S extends { default: string } | { required: true }
    ? string
    : string | undefined
  : S extends { type: 'number' | 'duration' }
    ? S extends { default: number }
      ? number
      : number | undefined
    : S extends { type: 'boolean' }
      ? boolean
      : readonly string[];

export type FlagValues<T extends FlagTable> = { readonly [K in keyof T]: ValueOf<T[K]> };

export class UsageError extends KeelsonError {
  override readonly name = 'UsageError';
  constructor(message: string) {
    super('USAGE', message);
  }
}

export interface ParsedFlags<T extends FlagTable> {
  readonly values: FlagValues<T>;
  readonly positionals: readonly string[];
  /** Flags that were given, by argument or environment. */
  readonly given: ReadonlySet<string>;
}

export interface ParseOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Positional arguments allowed; 0 when absent. */
  readonly positionalsMax?: number;
  /** Looks up an environment variable for a flag; an argument wins over it. */
  readonly environment?: (flag: string) => string | undefined;
}

const durationUnitsMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  us: 0.001,
  // Go takes the micro sign and the Greek letter.
  '\u00b5s': 0.001,
  '\u03bcs': 0.001,
  ns: 0.000_001,
};

function parseDuration(text: string, bareUnitMs: number | undefined): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text) && (bareUnitMs !== undefined || text === '0')) return Number(text) * (bareUnitMs ?? 1);
  if (!/^(\d+(\.\d+)?(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/g)) {
    total += Number(amount) * (durationUnitsMs[unit as string] as number);
  }
  return total;
}

/** What Go's programs take, as command lines are written for them. */
const trueTexts: ReadonlySet<string> = new Set(['true', '1', 't', 'T', 'TRUE', 'True']);
const falseTexts: ReadonlySet<string> = new Set(['false', '0', 'f', 'F', 'FALSE', 'False']);

function convert(command: string, name: string, spec: FlagSpec, text: string): unknown {
  const bad = (wanted: string) =>
    new UsageError(`keelson ${command}: invalid value ${JSON.stringify(text)} for flag --${name}: want ${wanted}`);
  switch (spec.type) {
    case 'string':
      return text;
    case 'list':
      return text === '' ? [] : text.split(',');
    case 'boolean':
      if (trueTexts.has(text)) return true;
      if (falseTexts.has(text)) return false;
      throw bad('true or false');
    case 'number': {
      const value = text.trim() === '' ? Number.NaN : Number(text);
      const min = spec.min ?? 0;
      const max = spec.max ?? Number.MAX_SAFE_INTEGER;
      if (!Number.isSafeInteger(value) || value < min || value > max) throw bad(`a whole number from ${min} to ${max}`);
      return value;
    }
    case 'duration': {
      const value = parseDuration(text, spec.bareUnitMs);
      if (value === undefined) throw bad('a duration such as 10s, 500ms or 1m30s');
      return value;
    }
  }
}

/** Parses `args` against `table`. Throws UsageError. */
export function parseFlags<const T extends FlagTable>(table: T, options: ParseOptions): ParsedFlags<T> {
  const { command, args } = options;
  const values = new Map<string, unknown>();
  const positionals: string[] = [];
  const set = (name: string, spec: FlagSpec, text: string) => {
    const value = convert(command, name, spec, text);
    const before = values.get(name);
    values.set(name, spec.type === 'list' && Array.isArray(before) ? [...before, ...(value as string[])] : value);
  };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string;
    if (!arg.startsWith('-') || arg === '-') {
      positionals.push(arg);
      continue;
    }
    const body = arg.replace(/^--?/, '');
    const equals = body.indexOf('=');
    const name = equals < 0 ? body : body.slice(0, equals);
    const spec = Object.hasOwn(table, name) ? table[name] : undefined;
    if (spec === undefined)
      throw new UsageError(`keelson ${command}: unknown flag: --${name} (see keelson ${command} --help)`);
    if (equals >= 0) set(name, spec, body.slice(equals + 1));
    else if (spec.type === 'boolean') set(name, spec, 'true');
    else {
      const next = args[++i];
      if (next === undefined) throw new UsageError(`keelson ${command}: flag needs an argument: --${name}`);
      set(name, spec, next);
    }
  }
  if (positionals.length > (options.positionalsMax ?? 0)) {
    throw new UsageError(
      `keelson ${command}: unexpected argument ${JSON.stringify(positionals[options.positionalsMax ?? 0])} (see keelson ${command} --help)`,
    );
  }
  for (const [name, spec] of Object.entries(table)) {
    if (values.has(name)) continue;
    const text = options.environment?.(name);
    if (text !== undefined) set(name, spec, text);
  }
  const given = new Set(values.keys());
  for (const [name, spec] of Object.entries(table)) {
    if (values.has(name)) continue;
    if (spec.type === 'string' && spec.required) throw new UsageError(`keelson ${command}: flag --${name} is required`);
    values.set(name, spec.default ?? (spec.type === 'boolean' ? false : spec.type === 'list' ? [] : undefined));
  }
  return { values: Object.fromEntries(values) as FlagValues<T>, positionals, given };
}

/** The text of `--help`. */
export function flagHelp(usage: string, summary: string, table: FlagTable): string {
  const names = Object.keys(table);
  const width = Math.max(...names.map((name) => name.length)) + 2;
  const lines = names.map((name) => {
    const spec = table[name] as FlagSpec;
    const standard =
      spec.default === undefined || spec.default === '' || (Array.isArray(spec.default) && spec.default.length === 0)
        ? ''
        : ` (default ${spec.type === 'duration' ? `${(spec.default as number) / 1000}s` : String(spec.default)})`;
    return `  --${name.padEnd(width)}${spec.help}${standard}`;
  });
  return `${summary}\n\nUsage:\n  ${usage}\n\nFlags:\n${lines.join('\n')}\n`;
}
