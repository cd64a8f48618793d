/**
 * etcd's configuration file: YAML, keys as the flags are called, certificates in sections of their own. It stands for the
 * command line: its result is arguments, which are then read as any others. A key that is unknown is an error that names
 * its line, as a misspelled one would silently leave a default in place.
 */
import * as yaml from 'js-yaml';
import { errorText, KeelsonError } from '../env/errors.ts';
import type { FlagTable } from './flags.ts';
import { modernFlagName } from './store-ignored-flags.ts';

/** A flag with its text, and where it stands. */
export interface FileSetting {
  readonly flag: string;
  readonly text: string;
  readonly line: number;
}

/** Keys of a section: a flag's name, or a section again. */
interface Section {
  readonly [key: string]: string | Section;
}

const security = (side: '' | 'peer-'): Section => ({
  'cert-file': `${side}cert-file`,
  'key-file': `${side}key-file`,
  'client-cert-file': `${side}client-cert-file`,
  'client-key-file': `${side}client-key-file`,
  'client-cert-auth': `${side}client-cert-auth`,
  'trusted-ca-file': `${side}trusted-ca-file`,
  'auto-tls': `${side}auto-tls`,
  'allowed-hostname': side === '' ? 'client-cert-allowed-hostname' : 'peer-cert-allowed-hostname',
  'allowed-cn': side === '' ? 'client-cert-allowed-cn' : 'peer-cert-allowed-cn',
  'crl-file': side === '' ? 'client-crl-file' : 'peer-crl-file',
  ...(side === '' ? {} : { 'skip-client-san-verification': 'peer-skip-client-san-verification' }),
});

/** What the keys of etcd's sections are called on the command line. */
const sections: Section = {
  'client-transport-security': security(''),
  'peer-transport-security': security('peer-'),
  'socket-options': { 'reuse-port': 'socket-reuse-port', 'reuse-address': 'socket-reuse-address' },
  'discovery-config': {
    token: 'discovery-token',
    client: {
      endpoints: 'discovery-endpoints',
      'dial-timeout': 'discovery-dial-timeout',
      'request-timeout': 'discovery-request-timeout',
      'keepalive-time': 'discovery-keepalive-time',
      'keepalive-timeout': 'discovery-keepalive-timeout',
      secure: {
        cert: 'discovery-cert',
        key: 'discovery-key',
        cacert: 'discovery-cacert',
        'insecure-transport': 'discovery-insecure-transport',
        'insecure-skip-tls-verify': 'discovery-insecure-skip-tls-verify',
      },
      auth: { username: 'discovery-user', password: 'discovery-password' },
    },
  },
};

/** Throws BAD_CONFIG, with the line. */
export function parseConfigFile(path: string, content: string, table: FlagTable): readonly FileSetting[] {
  // Nothing but comments: every flag has its default.
  if (!/^\s*[^#\s]/m.test(content)) return [];
  let root: unknown;
  try {
    // A bracket that closes at the beginning of a line, as in etcd's own sample, is right for its parser and wrong for ours.
    root = yaml.load(content.replaceAll(/^(?=[\]}]\s*(?:#.*)?$)/gm, ' '));
  } catch (error) {
    throw new KeelsonError('BAD_CONFIG', `--config-file ${path}: not YAML: ${errorText(error).split('\n')[0]}`, {
      cause: error,
    });
  }
  if (root === undefined || root === null) return [];
  const lines = content.split('\n');
  const wrong = (line: number, what: string) =>
    new KeelsonError('BAD_CONFIG', `--config-file ${path}: line ${line}: ${what}`);
  if (!isMapping(root)) throw wrong(1, 'want a mapping of keys to values');
  const settings: FileSetting[] = [];
  const walk = (mapping: Readonly<Record<string, unknown>>, section: Section | undefined, from: number) => {
    for (const [key, value] of Object.entries(mapping)) {
      const line = lineOf(lines, key, from);
      const modern = modernFlagName(key, (name) => Object.hasOwn(table, name));
      const inner = section === undefined ? sections[key] : Object.hasOwn(section, key) ? section[key] : undefined;
      const target =
        inner ?? (section === undefined && Object.hasOwn(table, modern) && key !== 'config-file' ? modern : undefined);
      if (target === undefined) throw wrong(line, `unknown key ${JSON.stringify(key)}`);
      if (value === null || value === undefined) continue;
      if (typeof target === 'object') {
        if (!isMapping(value)) throw wrong(line, `${key}: want a section with keys of its own`);
        walk(value, target, line);
        continue;
      }
      const text = textOf(table[target]?.type, value);
      if (text === undefined) throw wrong(line, `${key}: ${JSON.stringify(value)} is no value of a flag`);
      // An empty value leaves the default, as in etcd.
      if (text !== '') settings.push({ flag: target, text, line });
    }
  };
  walk(root, undefined, 1);
  return settings;
}

/** etcd counts durations in nanoseconds; texts such as 5m are taken too. Lists may be written as one text. */
function textOf(type: string | undefined, value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return type === 'duration' ? `${value}ns` : String(value);
  if (Array.isArray(value) && value.every((item) => typeof item === 'string' || typeof item === 'number')) {
    return value.join(',');
  }
  return undefined;
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The line where a key of this name begins, from a line on; that line itself when the key is written otherwise. */
function lineOf(lines: readonly string[], key: string, from: number): number {
  const index = lines.findIndex(
    (line, at) => at + 1 >= from && new RegExp(`^[\\s{,'"-]*${escapeRegex(key)}['"]?\\s*:`).test(line),
  );
  return index < 0 ? from : index + 1;
}

function escapeRegex(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
