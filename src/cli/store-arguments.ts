/**
 * The store's flags from the command line, the environment and the configuration file: which of them counts, and what is
 * to be told about it. Whether the values make sense together is for store-config.ts.
 */
import type { Disk } from '../env/disk.ts';
import { errorText, KeelsonError } from '../env/errors.ts';
import { type FlagValues, parseFlags, UsageError } from './flags.ts';
import type { FileSetting } from './store-config-file.ts';
import { environmentName, storeFlags } from './store-flags.ts';
import {
  deprecationTexts,
  ignoredChoices,
  ignoredFlags,
  isWorthWarning,
  modernFlagName,
  refusedFlags,
} from './store-ignored-flags.ts';

export type StoreFlags = FlagValues<typeof storeFlags>;

/** A line for the log, once there is one. */
export interface Notice {
  readonly level: 'info' | 'warn';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface ParsedStoreFlags {
  readonly flags: StoreFlags;
  readonly given: ReadonlySet<string>;
  readonly configFile: string | undefined;
  readonly notices: readonly Notice[];
}

const table = { ...storeFlags, ...ignoredFlags };
const isKnown = (name: string) => Object.hasOwn(table, name);

/** A configuration file, when there is one, stands for everything else. */
export async function parseStoreFlags(
  disk: Pick<Disk, 'readFile'>,
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<ParsedStoreFlags> {
  refuseBothNames(args);
  const asked = parseFlags(table, { command: 'store', args: args.map(modernArgument), positionalsMax: args.length });
  const positional = asked.positionals[0];
  if (positional !== undefined)
    throw new KeelsonError('BAD_FLAGS', `${JSON.stringify(positional)} is not a valid flag (see keelson store --help)`);
  const askedFlags = asked.values as StoreFlags;
  const configFile = askedFlags['config-file'] || environment[environmentName('config-file')] || '';
  if (configFile !== '' && !askedFlags.help && !askedFlags.version) return parseFile(disk, configFile);
  const parsed = parseFlags(table, {
    command: 'store',
    args: args.map(modernArgument),
    // An empty variable says nothing, as in etcd.
    environment: (flag) =>
      environment[environmentName(flag)] || environment[environmentName(`experimental-${flag}`)] || undefined,
  });
  const flags = parsed.values as StoreFlags;
  const notices = [...environmentNotices(environment, asked.given), ...ignoredNotices(parsed.values, parsed.given)];
  return { flags, given: parsed.given, configFile: undefined, notices };
}

async function parseFile(disk: Pick<Disk, 'readFile'>, path: string): Promise<ParsedStoreFlags> {
  let content: string;
  try {
    content = new TextDecoder().decode(await disk.readFile(path));
  } catch (error) {
    throw new KeelsonError('BAD_CONFIG', `--config-file ${path}: cannot be read (${errorText(error)})`, {
      cause: error,
    });
  }
  // With its YAML reader, which most stores are started without.
  const { parseConfigFile } = await import('./store-config-file.ts');
  const settings = parseConfigFile(path, content, table);
  const argumentOf = ({ flag, text }: FileSetting) => `--${flag}=${text}`;
  for (const setting of settings) {
    try {
      parseFlags(table, { command: 'store', args: [argumentOf(setting)] });
    } catch (error) {
      const reason = errorText(error).replace('keelson store: ', '');
      throw new KeelsonError('BAD_CONFIG', `--config-file ${path}: line ${setting.line}: ${reason}`, { cause: error });
    }
  }
  const parsed = parseFlags(table, { command: 'store', args: settings.map(argumentOf) });
  const loaded: Notice = {
    level: 'info',
    message:
      'loaded server configuration, other configuration command line flags and environment variables will be ignored if provided',
    fields: { path },
  };
  const notices = [loaded, ...ignoredNotices(parsed.values, parsed.given)];
  return { flags: parsed.values as StoreFlags, given: parsed.given, configFile: path, notices };
}

/** `--experimental-…` of etcd before 3.6 is the flag without it. */
function modernArgument(argument: string): string {
  if (argument === '-h') return '--help';
  const match = /^(--?)(experimental-[^=]+)(=.*)?$/s.exec(argument);
  return match ? `${match[1]}${modernFlagName(match[2] as string, isKnown)}${match[3] ?? ''}` : argument;
}

/** The one pair of names that etcd does not take together. */
function refuseBothNames(args: readonly string[]): void {
  const name = 'warning-unary-request-duration';
  const isGiven = (flag: string) => args.some((argument) => argument.replace(/^--?/, '').split('=')[0] === flag);
  if (!isGiven(name) || !isGiven(`experimental-${name}`)) return;
  throw new KeelsonError('BAD_FLAGS', `--experimental-${name} is the old name of --${name}: give one of them`);
}

function environmentNotices(
  environment: Readonly<Record<string, string | undefined>>,
  given: ReadonlySet<string>,
): readonly Notice[] {
  const flagByVariable = new Map(
    Object.keys(table).flatMap((flag) => [
      [environmentName(flag), flag] as const,
      [environmentName(`experimental-${flag}`), flag] as const,
    ]),
  );
  return Object.keys(environment)
    .filter((name) => name.startsWith('ETCD_') && environment[name] !== '')
    .flatMap((name): Notice[] => {
      const flag = flagByVariable.get(name);
      const fields = { 'environment-variable': name };
      if (flag === undefined) return [{ level: 'warn', message: 'unrecognized environment variable', fields }];
      if (!given.has(flag)) return [];
      return [{ level: 'warn', message: 'the flag wins over its environment variable', fields }];
    });
}

function ignoredNotices(values: Readonly<Record<string, unknown>>, given: ReadonlySet<string>): readonly Notice[] {
  for (const [name, advice] of Object.entries(refusedFlags)) {
    if (given.has(name) && values[name] !== '') throw new UsageError(`keelson store: flag --${name}: ${advice}`);
  }
  for (const [name, words] of Object.entries(ignoredChoices)) {
    if (!given.has(name) || words.includes(String(values[name]))) continue;
    throw new UsageError(
      `keelson store: invalid value ${JSON.stringify(values[name])} for flag --${name}: want ${words.join(' or ')}`,
    );
  }
  const notices = deprecationTexts(given).map((message): Notice => ({ level: 'warn', message, fields: {} }));
  const ignored = [...given].filter((name) => isWorthWarning(name, values[name]));
  if (ignored.length === 0) return notices;
  const flags = ignored.map((name) => `--${name}`);
  return [...notices, { level: 'warn', message: 'flags without effect', fields: { flags } }];
}
