/** What every component with a port for health and metrics asks of its flags before it starts. */
import type { Disk } from '../env/disk.ts';
import { readCertificateFile, readServingFiles } from './certificates.ts';
import { UsageError } from './flags.ts';
import { checkPorts } from './listen-check.ts';

const levels = ['debug', 'info', 'warn', 'error'] as const;

/** The value of `--log-level`, or a UsageError. */
export function logLevelOf(command: string, text: string): (typeof levels)[number] {
  const level = levels.find((each) => each === text);
  if (level !== undefined) return level;
  throw new UsageError(
    `keelson ${command}: invalid value ${JSON.stringify(text)} for flag --log-level: want one of ${levels.join(', ')}`,
  );
}

export interface ComponentFlags {
  readonly 'bind-address': string;
  readonly 'secure-port': number;
  readonly 'tls-cert-file': string;
  readonly 'tls-private-key-file': string;
  readonly 'client-ca-file': string | undefined;
}

/** Rejects with the one line that says which certificate, key, authority or port cannot be used. */
export async function checkComponent(disk: Disk, values: ComponentFlags): Promise<void> {
  const file = (flag: 'tls-cert-file' | 'tls-private-key-file' | 'client-ca-file') => ({
    flag,
    path: values[flag] ?? '',
  });
  await readServingFiles(disk, file('tls-cert-file'), file('tls-private-key-file'));
  if (values['client-ca-file']) await readCertificateFile(disk, file('client-ca-file'));
  await checkPorts([{ flag: 'secure-port', host: values['bind-address'], port: values['secure-port'] }]);
}
