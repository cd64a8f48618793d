/**
 * Flags of etcd that change nothing here, so that command lines made for etcd go on working: those about machinery that
 * this store has not got. They are taken with one warning, or in silence when the value asks for what happens anyway.
 */
import type { FlagTable } from './flags.ts';

const ignored = (type: 'string' | 'boolean') => ({ type, help: 'taken for etcd’s sake, has no effect' }) as const;

/** Taken in silence: how etcd works inside, which nobody can see from outside. */
const silentStrings = [
  'max-snapshots',
  'max-wals',
  'backend-batch-interval',
  'backend-batch-limit',
  'backend-bbolt-freelist-type',
  'downgrade-check-time',
  'raft-read-timeout',
  'raft-write-timeout',
  'discovery-keepalive-time',
  'discovery-keepalive-timeout',
  'discovery-fallback',
  'v2-deprecation',
  'proxy-failure-wait',
  'proxy-refresh-interval',
  'proxy-dial-timeout',
  'proxy-write-timeout',
  'proxy-read-timeout',
] as const;

const silentBooleans = [
  'socket-reuse-address',
  // Elections here begin when they may, however the clocks of a start fall.
  'initial-election-tick-advance',
  'experimental-enable-lease-checkpoint',
  'experimental-enable-lease-checkpoint-persist',
  'experimental-txn-mode-write-with-shared-buffer',
] as const;

const strings = [
  'logger',
  'log-package-levels',
  'proxy',
  'discovery-proxy',
  'distributed-tracing-address',
  'distributed-tracing-service-name',
  'distributed-tracing-instance-id',
  'distributed-tracing-sampling-rate',
] as const;

const booleans = [
  'debug',
  'memory-mlock',
  'enable-distributed-tracing',
  'experimental-stop-grpc-service-on-defrag',
] as const;

/** Values that say no more than what this store does anyway. */
const agreeableValues: Readonly<Record<string, readonly string[]>> = {
  logger: ['zap'],
  proxy: ['off', ''],
  discovery: [''],
  'discovery-proxy': [''],
  'log-package-levels': [''],
  'distributed-tracing-instance-id': [''],
};

/** What etcd 3.6 says when one of these is given, in its words: tools wait for them. */
const deprecated: Readonly<Record<string, string>> = {
  'snapshot-count': '--snapshot-count is deprecated in 3.6 and will be decommissioned in 3.7.',
  'max-snapshots': '--max-snapshots is deprecated in 3.6 and will be decommissioned in 3.7.',
  'v2-deprecation':
    '--v2-deprecation is deprecated and scheduled for removal in v3.8. The default value is enforced, ignoring user input.',
};

/** One line for each flag given that etcd means to give up. */
export function deprecationTexts(given: ReadonlySet<string>): readonly string[] {
  return Object.entries(deprecated).flatMap(([name, text]) => (given.has(name) ? [text] : []));
}

/** The first is of 3.5; etcd takes no others either. */
export const ignoredChoices: Readonly<Record<string, readonly string[]>> = {
  'v2-deprecation': ['not-yet', 'write-only', 'write-only-drop-data', 'gone'],
};

/** Flags that change so much that ignoring them would be a lie: refused, with what to do instead. */
export const refusedFlags: Readonly<Record<string, string>> = {
  discovery: 'the discovery service of etcd 2 is not supported: use --discovery-token and --discovery-endpoints',
  'experimental-enable-v2v3': 'is not supported: use --enable-v2',
};

export const ignoredFlags: FlagTable = Object.fromEntries([
  ...[...silentStrings, ...strings, ...Object.keys(refusedFlags)].map((name) => [name, ignored('string')]),
  ...[...silentBooleans, ...booleans].map((name) => [name, ignored('boolean')]),
]);

const silent: ReadonlySet<string> = new Set([...silentStrings, ...silentBooleans]);

/** Whether `--name value` asks for something that does not happen here. */
export function isWorthWarning(name: string, value: unknown): boolean {
  if (!Object.hasOwn(ignoredFlags, name) || silent.has(name) || value === false) return false;
  return agreeableValues[name]?.includes(String(value)) !== true;
}

/** Before 3.6 some flags began with `experimental-`, and one was spelled otherwise in configuration files. */
export function modernFlagName(name: string, isKnown: (name: string) => boolean): string {
  if (name === 'experimental-snapshot-catch-up-entries') return 'snapshot-catchup-entries';
  const modern = name.replace(/^experimental-/, '');
  return !isKnown(name) && isKnown(modern) ? modern : name;
}
