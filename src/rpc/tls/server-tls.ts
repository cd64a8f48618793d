/**
 * The listening side of TLS, for whoever terminates connections: options for a handshake that begins now, made of the
 * files as they are on disk, and etcd's rules for who may come in after it. `listener.ts` uses all of it and hands out
 * sockets that are ready; a server with a listening of its own takes the parts.
 */
import { createSecureContext, type TLSSocket, type TlsOptions } from 'node:tls';
import type { Cancel, Clock } from '../../env/clock.ts';
import type { Disk } from '../../env/disk.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import { chainOf, revokedSerials } from './certificate-facts.ts';
import { LiveFiles } from './live-files.ts';
import { type AddressNames, addressReason, type AllowedNames, nameReason, revokedReason } from './rules.ts';

/** Whoever has not finished its handshake by then is not waiting for an answer. */
export const handshakeTimeoutMs = 10_000;

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

export interface TlsLimits {
  /** OpenSSL's list; absent: Node's choice. */
  readonly ciphers?: string;
  readonly minVersion: TlsVersion;
  readonly maxVersion?: TlsVersion;
}

export interface ServerTlsOptions {
  readonly disk: Pick<Disk, 'readFile'>;
  readonly clock: Pick<Clock, 'every'>;
  readonly log: Log;
  readonly files: {
    readonly cert: string;
    readonly key: string;
    /** Whoever connects must show a certificate of this authority. */
    readonly ca?: string;
    readonly crl?: string;
  };
  /** Asks for a certificate of the authorities that the system knows, when there is no `ca`. */
  readonly isClientVerified: boolean;
  readonly limits: TlsLimits;
  readonly allowed: AllowedNames;
  /** Certificates must be made out to the address they come from: between members. */
  readonly addressNames?: AddressNames;
  readonly everyMs?: number;
}

export interface ServerTls {
  /** For `tls.createServer` and `setSecureContext`: from the files as last read. */
  readonly options: () => TlsOptions;
  /** The same, after reading the files again. Never rejects: files that cannot be used leave the last good ones. */
  readonly fresh: () => Promise<TlsOptions>;
  /** Calls `listener` when the files have changed. */
  onReload(listener: () => void): Cancel;
  /** After a handshake: why this socket is refused, undefined when it may come in. Never rejects. */
  accept(socket: TLSSocket): Promise<string | undefined>;
  close(): void;
}

interface Material {
  readonly options: TlsOptions;
  readonly revoked: ReadonlySet<string>;
}

/** Rejects with BAD_CERTIFICATE when the files cannot be used. */
export async function openServerTls(options: ServerTlsOptions): Promise<ServerTls> {
  const { disk, clock, log, files, everyMs } = options;
  const { cert, key, ca, crl } = files;
  const live = await LiveFiles.open<Material>({
    disk,
    clock,
    log,
    paths: { cert, key, ...(ca === undefined ? {} : { ca }), ...(crl === undefined ? {} : { crl }) },
    parse: (bytes) => materialOf(options, bytes),
    ...(everyMs === undefined ? {} : { everyMs }),
  });
  return {
    options: () => live.current().options,
    fresh: async () => (await live.fresh()).options,
    onReload: (listener) => live.onReload(() => listener()),
    accept: (socket) => refusal(options, live.current().revoked, socket),
    close: () => live.close(),
  };
}

function materialOf(options: ServerTlsOptions, bytes: ReadonlyMap<string, Uint8Array>): Material {
  const pem = (name: string) => {
    const content = bytes.get(name);
    return content === undefined ? undefined : Buffer.from(content);
  };
  const { limits } = options;
  const ca = pem('ca');
  const crl = pem('crl');
  const secure = {
    cert: pem('cert'),
    key: pem('key'),
    ...(ca === undefined ? {} : { ca }),
    ...(limits.ciphers === undefined ? {} : { ciphers: limits.ciphers }),
    minVersion: limits.minVersion,
    ...(limits.maxVersion === undefined ? {} : { maxVersion: limits.maxVersion }),
  };
  try {
    // Only to see that the files fit each other: a server makes its own of the same options.
    createSecureContext(secure);
  } catch (error) {
    throw new KeelsonError('BAD_CERTIFICATE', `certificate, key and authority do not fit (${errorText(error)})`, {
      cause: error,
    });
  }
  return {
    options: {
      ...secure,
      requestCert: options.isClientVerified || ca !== undefined,
      rejectUnauthorized: true,
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: handshakeTimeoutMs,
    },
    revoked: crl === undefined ? new Set() : revokedSerials(crl),
  };
}

async function refusal(
  { allowed, addressNames }: ServerTlsOptions,
  revoked: ReadonlySet<string>,
  socket: TLSSocket,
): Promise<string | undefined> {
  const chain = chainOf(socket.getPeerX509Certificate());
  const reason = revokedReason(chain, revoked) ?? nameReason(chain[0], allowed);
  if (reason !== undefined || !addressNames) return reason;
  return addressReason(chain[0], socket.remoteAddress ?? '', addressNames);
}
