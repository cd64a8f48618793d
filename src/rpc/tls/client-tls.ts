/**
 * The connecting side of TLS: what this member shows to others and how it knows them, from files that are looked at again
 * while it runs. A connection that is made gets the files as last read; connections that stand are left alone.
 */
import type { Clock } from '../../env/clock.ts';
import type { Disk } from '../../env/disk.ts';
import type { Log } from '../../env/log.ts';
import { X509Certificate } from 'node:crypto';
import { createSecureContext, type PeerCertificate } from 'node:tls';
import { factsOf } from './certificate-facts.ts';
import { LiveFiles } from './live-files.ts';
import { type AllowedNames, nameReason } from './rules.ts';

export interface ClientTlsOptions {
  readonly disk: Pick<Disk, 'readFile'>;
  readonly clock: Pick<Clock, 'every'>;
  readonly log: Log;
  /** `ca` knows the others' certificates; without it they are known by the authorities of the system. */
  readonly files: { readonly cert: string; readonly key: string; readonly ca?: string };
  /** The others made their certificates themselves: any is taken. */
  readonly isUnverified: boolean;
  readonly allowed: AllowedNames;
  readonly everyMs?: number;
}

/** One state of the files: the same value until they change. */
export interface ClientTlsFiles {
  readonly cert: Uint8Array;
  readonly key: Uint8Array;
  readonly ca?: Uint8Array;
  readonly isUnverified: boolean;
  /** Why the other side is not the one wanted, beyond what TLS finds. */
  readonly check: (certificate: PeerCertificate) => string | undefined;
}

export interface ClientTls {
  current(): ClientTlsFiles;
  close(): void;
}

/** Rejects when the files cannot be used to begin with. */
export async function openClientTls(options: ClientTlsOptions): Promise<ClientTls> {
  const { disk, clock, log, files, everyMs, allowed, isUnverified } = options;
  const check = (certificate: PeerCertificate) =>
    nameReason(certificate.raw === undefined ? undefined : factsOf(new X509Certificate(certificate.raw)), allowed);
  const live = await LiveFiles.open<ClientTlsFiles>({
    disk,
    clock,
    log,
    paths: { cert: files.cert, key: files.key, ...(files.ca === undefined ? {} : { ca: files.ca }) },
    parse: (bytes) => {
      const [cert, key, ca] = ['cert', 'key', 'ca'].map((name) => bytes.get(name)) as [
        Uint8Array,
        Uint8Array,
        Uint8Array?,
      ];
      // Only to see that the files fit each other.
      createSecureContext({ cert: Buffer.from(cert), key: Buffer.from(key), ...(ca ? { ca: Buffer.from(ca) } : {}) });
      return { cert, key, ...(ca ? { ca } : {}), isUnverified, check };
    },
    ...(everyMs === undefined ? {} : { everyMs }),
  });
  return { current: () => live.current(), close: () => live.close() };
}
