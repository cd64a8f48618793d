/**
 * Certificates, keys and authorities named by flags: read and checked when a command starts, before it listens or touches
 * anything, so that a wrong file is one line that names the flag and the file rather than a failure in a handshake later.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { Disk } from '../env/disk.ts';
import { errorText, KeelsonError } from '../env/errors.ts';

/** A flag, without its dashes, and the path it was given. */
export interface NamedFile {
  readonly flag: string;
  readonly path: string;
}

export interface ServingFiles {
  readonly cert: Uint8Array;
  readonly key: Uint8Array;
}

function wrong({ flag, path }: NamedFile, what: string, advice: string, cause?: unknown): KeelsonError {
  return new KeelsonError('BAD_CERTIFICATE', `--${flag} ${path}: ${what}: ${advice}`, { cause });
}

/** The bytes of a file in PEM form. Rejects with BAD_CERTIFICATE. */
export async function readPemFile(disk: Disk, file: NamedFile): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await disk.readFile(file.path);
  } catch (error) {
    throw wrong(file, `cannot be read (${errorText(error)})`, 'give the path of a file in PEM form', error);
  }
  if (!new TextDecoder().decode(bytes).includes('-----BEGIN ')) {
    throw wrong(file, 'not in PEM form', 'give a file that begins with -----BEGIN');
  }
  return bytes;
}

/** A certificate, or an authority's: the first in the file is one. */
export async function readCertificateFile(disk: Disk, file: NamedFile): Promise<Uint8Array> {
  const bytes = await readPemFile(disk, file);
  certificateOf(file, bytes);
  return bytes;
}

/** A certificate with the private key that belongs to it. */
export async function readServingFiles(disk: Disk, cert: NamedFile, key: NamedFile): Promise<ServingFiles> {
  const files = { cert: await readPemFile(disk, cert), key: await readPemFile(disk, key) };
  const certificate = certificateOf(cert, files.cert);
  let privateKey: ReturnType<typeof createPrivateKey>;
  try {
    privateKey = createPrivateKey(Buffer.from(files.key));
  } catch (error) {
    throw wrong(key, `no private key (${errorText(error)})`, 'give an unencrypted private key in PEM form', error);
  }
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new KeelsonError(
      'BAD_CERTIFICATE',
      `--${cert.flag} ${cert.path} and --${key.flag} ${key.path} do not belong together: give the key that the certificate was made for`,
    );
  }
  return files;
}

function certificateOf(file: NamedFile, bytes: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(bytes);
  } catch (error) {
    throw wrong(file, `no certificate (${errorText(error)})`, 'give a certificate in PEM form', error);
  }
}
