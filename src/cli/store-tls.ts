/**
 * The store's certificates: which files for which side, checked before anything starts, and opened for listening and for
 * connecting. Certificates of its own making (`--auto-tls`) lie under the data directory, as etcd's.
 */
import { X509Certificate } from 'node:crypto';
import type { Env } from '../env/env.ts';
import { errorText, KeelsonError } from '../env/errors.ts';
import { readTextIfAny, writeFileAtomic } from '../env/files.ts';
import type { Names } from '../env/names.ts';
import { cipherListOf } from '../rpc/tls/cipher-suites.ts';
import { revokedSerials } from '../rpc/tls/certificate-facts.ts';
import { parseListenUrl } from '../rpc/tls/listen-urls.ts';
import { type ClientTls, openClientTls } from '../rpc/tls/client-tls.ts';
import { type AllowedNames, anyName } from '../rpc/tls/rules.ts';
import { openServerTls, type ServerTls, type TlsLimits, type TlsVersion } from '../rpc/tls/server-tls.ts';
import { readCertificateFile, readServingFiles } from './certificates.ts';
import type { FlagValues } from './flags.ts';
import type { storeFlags } from './store-flags.ts';

type Flags = FlagValues<typeof storeFlags>;

/** One side's certificate: for clients, or between members. */
export interface SideTls {
  readonly side: 'client' | 'peer';
  readonly cert: string;
  readonly key: string;
  /** Whoever connects must show a certificate of this authority. */
  readonly ca?: string;
  readonly crl?: string;
  readonly isClientVerified: boolean;
  readonly allowed: AllowedNames;
  readonly isAddressChecked: boolean;
  /** What is shown to others when they ask for a certificate. */
  readonly outgoing: { readonly cert: string; readonly key: string };
  /** Made here, so nobody can verify it: others that did the same are not verified either. */
  readonly isSelfMade: boolean;
}

const yearMs = 365 * 86_400_000;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

const fail = (message: string) => new KeelsonError('BAD_FLAGS', message);

/** Versions and cipher suites, by etcd's names and with etcd's words. Throws BAD_FLAGS. */
export function tlsLimitsOf(flags: Flags): TlsLimits {
  const minVersion = versionOf(flags['tls-min-version']) ?? 'TLSv1.2';
  const maxVersion = versionOf(flags['tls-max-version']);
  if (maxVersion !== undefined && minVersion > maxVersion) {
    throw fail(`min version (${flags['tls-min-version']}) is greater than max version (${flags['tls-max-version']})`);
  }
  const suites = flags['cipher-suites'].filter((name) => name !== '');
  if (minVersion === 'TLSv1.3' && suites.length > 0) {
    throw fail('cipher suites cannot be configured when only TLS1.3 is enabled');
  }
  const ciphers = cipherListOf(suites);
  return {
    minVersion,
    ...(maxVersion === undefined ? {} : { maxVersion }),
    ...(ciphers === undefined ? {} : { ciphers }),
  };
}

function versionOf(text: string): TlsVersion | undefined {
  if (text === '') return undefined;
  if (text === 'TLS1.2') return 'TLSv1.2';
  if (text === 'TLS1.3') return 'TLSv1.3';
  throw fail(`unexpected TLS version ${JSON.stringify(text)} (must be one of: TLS1.2, TLS1.3)`);
}

/**
 * What the flags say about one side; undefined when it has no certificate. Every file is read once, so that a wrong one
 * is named before anything else happens. Rejects with BAD_FLAGS or BAD_CERTIFICATE.
 */
export async function readSideTls(
  disk: Env['disk'],
  flags: Flags,
  side: SideTls['side'],
  directory: string,
): Promise<SideTls | undefined> {
  const prefix = side === 'client' ? '' : 'peer-';
  const [certFlag, keyFlag, caFlag] = [`${prefix}cert-file`, `${prefix}key-file`, `${prefix}trusted-ca-file`] as const;
  const isVerified = flags[`${prefix}client-cert-auth`];
  const [cert, key, ca, crl] = [flags[certFlag], flags[keyFlag], flags[caFlag], flags[`${side}-crl-file`]];
  if ((cert === '') !== (key === '')) throw fail(`--${certFlag} and --${keyFlag} go together`);
  if (isVerified && ca === '') throw fail(`--${prefix}client-cert-auth needs --${caFlag}`);
  const hostNames = flags[`${side}-cert-allowed-hostname`].filter((name) => name !== '');
  const commonNames = flags[`${side}-cert-allowed-cn`].filter((name) => name !== '');
  if (hostNames.length > 0 && commonNames.length > 0) {
    throw fail(
      `AllowedCNs and AllowedHostnames are mutually exclusive (cns=${JSON.stringify(commonNames)}, hostnames=${JSON.stringify(hostNames)})`,
    );
  }
  const outgoingFlags =
    side === 'client'
      ? (['client-cert-file', 'client-key-file'] as const)
      : (['peer-client-cert-file', 'peer-client-key-file'] as const);
  const [ownCert, ownKey] = [flags[outgoingFlags[0]], flags[outgoingFlags[1]]];
  if ((ownCert === '') !== (ownKey === '')) throw fail(`--${outgoingFlags[0]} and --${outgoingFlags[1]} go together`);
  const isSelfMade = cert === '' && flags[`${prefix}auto-tls`];
  if (cert === '' && !isSelfMade) return undefined;
  const fixtures = `${directory}/fixtures/${side}`;
  const files = isSelfMade ? { cert: `${fixtures}/cert.pem`, key: `${fixtures}/key.pem` } : { cert, key };
  if (!isSelfMade) await readServingFiles(disk, { flag: certFlag, path: cert }, { flag: keyFlag, path: key });
  if (ca !== '') await readCertificateFile(disk, { flag: caFlag, path: ca });
  if (crl !== '') await readRevocationList(disk, `${side}-crl-file`, crl);
  if (ownCert !== '') {
    await readServingFiles(disk, { flag: outgoingFlags[0], path: ownCert }, { flag: outgoingFlags[1], path: ownKey });
  }
  return {
    side,
    ...files,
    ...(ca === '' ? {} : { ca }),
    ...(crl === '' ? {} : { crl }),
    isClientVerified: isVerified || ca !== '',
    allowed: { commonNames, hostNames },
    isAddressChecked: side === 'peer' && !flags['peer-skip-client-san-verification'],
    outgoing: ownCert === '' ? files : { cert: ownCert, key: ownKey },
    isSelfMade,
  };
}

async function readRevocationList(disk: Env['disk'], flag: string, path: string): Promise<void> {
  try {
    revokedSerials(await disk.readFile(path));
  } catch (error) {
    throw new KeelsonError(
      'BAD_CERTIFICATE',
      `--${flag} ${path}: ${errorText(error)}: give a list in DER or PEM form`,
      { cause: error },
    );
  }
}

/** For listening. A certificate of our own making is made now when there is none, or when it has run out. */
export async function openSideTls(
  env: Pick<Env, 'clock' | 'disk' | 'log' | 'random'>,
  tls: SideTls,
  more: {
    readonly limits: TlsLimits;
    readonly names: Names;
    readonly validYears: number;
    readonly urls: readonly string[];
  },
): Promise<ServerTls> {
  if (tls.isSelfMade) await ensureSelfMade(env, tls, more);
  const { cert, key, ca, crl, isClientVerified, allowed } = tls;
  return openServerTls({
    disk: env.disk,
    clock: env.clock,
    log: env.log,
    files: { cert, key, ...(ca === undefined ? {} : { ca }), ...(crl === undefined ? {} : { crl }) },
    isClientVerified,
    limits: more.limits,
    allowed,
    ...(tls.isAddressChecked ? { addressNames: more.names } : {}),
  });
}

async function ensureSelfMade(
  env: Pick<Env, 'clock' | 'disk' | 'log' | 'random'>,
  { cert, key, side }: SideTls,
  { validYears, urls }: { readonly validYears: number; readonly urls: readonly string[] },
): Promise<void> {
  const now = env.clock.wallMs();
  const known = await readTextIfAny(env.disk, cert);
  if (known !== undefined && (await env.disk.exists(key)) && Date.parse(new X509Certificate(known).validTo) > now)
    return;
  const hosts = new Set(
    urls.flatMap((url) => {
      const { address } = parseListenUrl(url);
      return address.kind === 'tcp' ? [address.host] : ['localhost'];
    }),
  );
  // Loaded when a certificate is made, which is once: it takes 20 MB and half a second of every start.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const serial = env.random.bytes(16);
  serial[0] = ((serial[0] as number) & 0x7f) | 0x40; // positive and of full length in DER
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: Buffer.from(serial).toString('hex'),
    name: 'O=keelson',
    notBefore: new Date(now),
    notAfter: new Date(now + validYears * yearMs),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment | x509.KeyUsageFlags.keyCertSign,
        true,
      ),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension(
        [...hosts].map((host) => ({ type: /^[\d.]+$|:/.test(host) ? ('ip' as const) : ('dns' as const), value: host })),
      ),
    ],
  });
  await env.disk.makeDirectory(cert.slice(0, cert.lastIndexOf('/')));
  await writeFileAtomic(
    env.disk,
    key,
    `${x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')}\n`,
  );
  await writeFileAtomic(env.disk, cert, `${made.toString('pem')}\n`);
  env.log.info(`made a self-signed ${side} certificate`, {
    path: cert,
    validUntil: new Date(now + validYears * yearMs).toISOString(),
  });
}

/** For connecting to members at their URLs for this side's traffic. */
export function openOutgoingTls(env: Pick<Env, 'clock' | 'disk' | 'log'>, tls: SideTls): Promise<ClientTls> {
  const { disk, clock, log } = env;
  return openClientTls({
    disk,
    clock,
    log,
    files: { ...tls.outgoing, ...(tls.ca === undefined ? {} : { ca: tls.ca }) },
    isUnverified: tls.isSelfMade,
    // Between members the rule holds in both directions.
    allowed: tls.side === 'peer' ? tls.allowed : anyName,
  });
}
