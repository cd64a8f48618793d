/**
 * The passphrase of a place for backups: confirmed when the place is set up, and compared before every backup, so that no
 * backup is ever made with one that was mistyped and that nobody knows.
 *
 * The place holds a small sealed file; whoever can open it has the right passphrase.
 */
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { Random } from '../../env/random.ts';
import type { Destination } from './destination.ts';
import { openStream, sealStream } from './sealed-stream.ts';

const checkName = 'keelson-backups.check';
const checkText = 'keelson backups';
/** Shorter ones are guessed. */
export const passphraseCharactersMin = 12;

/** Makes `destination` a place for backups with this passphrase. Rejects with `BACKUP_SET_UP` when it is one already. */
export async function setUpPassphrase(destination: Destination, passphrase: string, random: Random): Promise<void> {
  if (passphrase.length < passphraseCharactersMin) {
    throw new KeelsonError(
      'WEAK_PASSPHRASE',
      `set up ${destination.description}: the passphrase has fewer than ${passphraseCharactersMin} characters: choose a longer one`,
    );
  }
  if ((await destination.list()).includes(checkName)) {
    throw new KeelsonError(
      'BACKUP_SET_UP',
      `set up ${destination.description}: it has been set up before: go on with its passphrase, or choose another place`,
    );
  }
  await destination.put(checkName, sealStream(once(Buffer.from(checkText)), passphrase, random));
  // A place that does not give back what it took is found out now and not in need.
  await checkPassphrase(destination, passphrase);
}

/** Rejects with `BACKUP_NOT_SET_UP` or `SEALED_PASSPHRASE`. */
export async function checkPassphrase(destination: Destination, passphrase: string): Promise<void> {
  const parts: Uint8Array[] = [];
  try {
    const opened = openStream(destination.get(checkName), passphrase, `${checkName} in ${destination.description}`);
    for await (const part of opened) parts.push(part);
  } catch (error) {
    if (!(error instanceof KeelsonError) || error.code !== 'BACKUP_MISSING') throw error;
    throw new KeelsonError(
      'BACKUP_NOT_SET_UP',
      `back up to ${destination.description}: it was never set up: run keelson backup setup first (${errorText(error)})`,
      { cause: error },
    );
  }
  if (Buffer.concat(parts).toString() !== checkText) {
    throw new KeelsonError(
      'SEALED_DAMAGED',
      `back up to ${destination.description}: ${checkName} says something else: set up another place`,
    );
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
