/** The store's log as etcd's flags want it: where it goes, in which form, from which level on. */
import { errorText, KeelsonError } from '../env/errors.ts';
import type { Log } from '../env/log.ts';
import { fileOutput, type LogOutput, type Rotation, streamOutput } from '../env/real-log.ts';
import { realClock, realLog } from '../env/real.ts';
import type { LogLevel } from '../kv/http/debug.ts';
import type { FlagValues } from './flags.ts';
import type { storeFlags } from './store-flags.ts';

type Flags = FlagValues<typeof storeFlags>;

const dayMs = 86_400_000;
const megabyte = 1024 * 1024;

export interface StoreLog {
  readonly log: Log;
  /** From now on, for whoever holds the log. */
  setLevel(level: LogLevel): void;
}

const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** Throws BAD_FLAGS when the outputs cannot be used. */
export function openStoreLog(flags: Flags): StoreLog {
  const outputs = openOutputs(flags);
  const isConsole = flags['log-format'] === 'console';
  const write = (line: string) => {
    const shown = isConsole ? consoleLine(line) : line;
    for (const output of outputs) output.write(shown);
  };
  // Whatever is above an error ends the process and is told by its last line.
  const rankOf = (level: string) => levels.findIndex((each) => each === level);
  let rank = rankOf(flags['log-level']) < 0 ? levels.length : rankOf(flags['log-level']);
  const isOn = (level: LogLevel) => rankOf(level) >= rank;
  return {
    log: realLog('debug', { write, caller: 'keelson/store', isOn }),
    setLevel: (level) => {
      rank = rankOf(level);
    },
  };
}

function openOutputs(flags: Flags): readonly LogOutput[] {
  const rotation = rotationOf(flags);
  const names = [...new Set(flags['log-outputs'].filter((name) => name !== ''))];
  const isAlone = names.length === 1 || !names.includes('default');
  if (!isAlone)
    throw new KeelsonError('BAD_FLAGS', `multi logoutput for "default" is not supported: ${names.join(',')}`);
  const files = names.filter((name) => !['default', 'stderr', 'stdout', 'systemd/journal'].includes(name));
  if (rotation && files.length !== 1) {
    throw new KeelsonError(
      'BAD_FLAGS',
      files.length === 0
        ? 'log rotation requires one file target in --log-outputs'
        : 'log rotation is only supported for one file target in --log-outputs',
    );
  }
  const outputs = names.map((name): LogOutput => {
    if (name === 'stdout') return streamOutput(1);
    if (name === 'default' || name === 'stderr' || name === 'systemd/journal') return streamOutput(2);
    try {
      return fileOutput(name, () => realClock.wallMs(), rotation);
    } catch (error) {
      throw new KeelsonError(
        'BAD_FLAGS',
        `--log-outputs ${name}: ${errorText(error)}: give a path that can be written to`,
        { cause: error },
      );
    }
  });
  return outputs.length > 0 ? outputs : [streamOutput(2)];
}

function rotationOf(flags: Flags): Rotation | undefined {
  if (!flags['enable-log-rotation']) return undefined;
  const text = flags['log-rotation-config-json'];
  const fail = (what: string) => new KeelsonError('BAD_FLAGS', `--log-rotation-config-json ${text}: ${what}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw fail(errorText(error));
  }
  if (typeof parsed !== 'object' || parsed === null) throw fail('want an object');
  const settings = parsed as Readonly<Record<string, unknown>>;
  const count = (name: string, standard: number) => {
    const value = settings[name] ?? standard;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
      throw fail(`${name}: want a whole number from 0 on`);
    return value;
  };
  if (settings['compress'] === true)
    throw fail('compress is not supported: compress the files that are full by other means');
  const megabytes = count('maxsize', 100);
  return {
    bytesMax: (megabytes === 0 ? 100 : megabytes) * megabyte,
    ageMsMax: count('maxage', 0) * dayMs,
    filesMax: count('maxbackups', 0),
    isLocalTime: settings['localtime'] === true,
  };
}

/** As etcd's logger writes for people: time, level, caller and message with tabs between them, then the rest as JSON. */
export function consoleLine(line: string): string {
  const { level, ts, caller, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const parts = [ts, level, caller, msg].filter((part) => part !== undefined).map(String);
  if (Object.keys(rest).length > 0) parts.push(JSON.stringify(rest));
  return `${parts.join('\t')}\n`;
}
