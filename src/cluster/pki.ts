/**
 * Certificates of a cluster: two authorities, so that a node's client certificate opens the API and never the store.
 *
 *   ca        clients and servers of the Kubernetes API (CN = user, O = groups)
 *   store-ca  the store's members and the API servers' connections to it
 *
 * Keys are P-256. Authorities are made once; leaf certificates are made anew when they run out soon.
 */
import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { Env } from '../env/env.ts';
import { readTextIfAny, writeFileAtomic } from '../env/files.ts';
import { KeelsonError } from '../env/errors.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 86_400_000;
const authorityDays = 3650;
const leafDays = 365;
/** A leaf with less than this left is made anew at the next start. */
const renewBeforeDays = 30;
/** Clocks of machines differ: certificates are valid from a little before now. */
const backdateMs = 300_000;

export interface Authority {
  readonly certificate: x509.X509Certificate;
  readonly certificatePem: string;
  readonly key: webcrypto.CryptoKey;
}

export interface LeafRequest {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  /** Names and addresses a server is reached by; none for a client. */
  readonly hosts?: readonly string[];
  readonly usages: readonly ('server' | 'client')[];
}

export interface Leaf {
  readonly certificatePem: string;
  readonly keyPem: string;
}

type PkiEnv = Pick<Env, 'clock' | 'random' | 'disk'>;

function serialNumber(env: PkiEnv): string {
  const bytes = env.random.bytes(16);
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40; // positive and of full length in DER
  return Buffer.from(bytes).toString('hex');
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
}

async function importKey(pem: string, path: string): Promise<webcrypto.CryptoKey> {
  try {
    return await crypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(pem), algorithm, true, ['sign']);
  } catch (error) {
    throw new KeelsonError(
      'BAD_CERTIFICATE',
      `read ${path}: not a P-256 private key in PEM form: restore it from a backup, or start over with --fresh`,
      { cause: error },
    );
  }
}

/** Loads the authority `name` from `directory`, or makes it. Writes `name.crt` and `name.key`. */
export async function ensureAuthority(
  env: PkiEnv,
  directory: string,
  name: string,
  commonName: string,
): Promise<Authority> {
  const certificatePath = `${directory}/${name}.crt`;
  const keyPath = `${directory}/${name}.key`;
  const [certificateText, keyText] = [
    await readTextIfAny(env.disk, certificatePath),
    await readTextIfAny(env.disk, keyPath),
  ];
  if (certificateText !== undefined && keyText !== undefined) {
    let certificate: x509.X509Certificate;
    try {
      certificate = new x509.X509Certificate(certificateText);
    } catch (error) {
      throw new KeelsonError(
        'BAD_CERTIFICATE',
        `read ${certificatePath}: not a certificate in PEM form: restore it from a backup, or start over with --fresh`,
        { cause: error },
      );
    }
    return { certificate, certificatePem: certificateText, key: await importKey(keyText, keyPath) };
  }
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const now = env.clock.wallMs();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(env),
    name: `CN=${commonName}`,
    notBefore: new Date(now - backdateMs),
    notAfter: new Date(now + authorityDays * dayMs),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const certificatePem = `${certificate.toString('pem')}\n`;
  await env.disk.makeDirectory(directory);
  await writeFileAtomic(env.disk, keyPath, await exportKey(keys.privateKey));
  await writeFileAtomic(env.disk, certificatePath, certificatePem);
  return { certificate, certificatePem, key: keys.privateKey };
}

function isAddress(host: string): boolean {
  return /^\d+\.\d+\.\d+\.\d+$/.test(host) || host.includes(':');
}

/** Signs a new key and certificate. */
export async function issueLeaf(env: PkiEnv, authority: Authority, request: LeafRequest): Promise<Leaf> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const now = env.clock.wallMs();
  const purposes = request.usages.map((usage) =>
    usage === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
  );
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(env),
    subject: new x509.Name([
      ...(request.organizations ?? []).map((organization) => ({ O: [organization] })),
      { CN: [request.commonName] },
    ]),
    issuer: authority.certificate.subject,
    notBefore: new Date(now - backdateMs),
    notAfter: new Date(now + leafDays * dayMs),
    publicKey: keys.publicKey,
    signingKey: authority.key,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment, true),
      new x509.ExtendedKeyUsageExtension(purposes),
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate),
      ...(request.hosts === undefined
        ? []
        : [
            new x509.SubjectAlternativeNameExtension(
              request.hosts.map((host) => ({
                type: isAddress(host) ? ('ip' as const) : ('dns' as const),
                value: host,
              })),
            ),
          ]),
    ],
  });
  return { certificatePem: `${certificate.toString('pem')}\n`, keyPem: await exportKey(keys.privateKey) };
}

/** `directory/name.crt` and `.key`, made or renewed when missing, signed by another authority, or running out. */
export async function ensureLeaf(
  env: PkiEnv,
  authority: Authority,
  directory: string,
  name: string,
  request: LeafRequest,
): Promise<Leaf> {
  const certificatePath = `${directory}/${name}.crt`;
  const keyPath = `${directory}/${name}.key`;
  const [certificateText, keyText] = [
    await readTextIfAny(env.disk, certificatePath),
    await readTextIfAny(env.disk, keyPath),
  ];
  if (certificateText !== undefined && keyText !== undefined && (await isUsable(env, authority, certificateText))) {
    return { certificatePem: certificateText, keyPem: keyText };
  }
  const leaf = await issueLeaf(env, authority, request);
  await env.disk.makeDirectory(directory);
  await writeFileAtomic(env.disk, keyPath, leaf.keyPem);
  await writeFileAtomic(env.disk, certificatePath, leaf.certificatePem);
  return leaf;
}

async function isUsable(env: PkiEnv, authority: Authority, pem: string): Promise<boolean> {
  try {
    const certificate = new x509.X509Certificate(pem);
    if (certificate.notAfter.getTime() - env.clock.wallMs() < renewBeforeDays * dayMs) return false;
    return await certificate.verify({ publicKey: authority.certificate.publicKey, signatureOnly: true });
  } catch {
    // A file that is not a certificate is replaced: its key was made for this cluster alone.
    return false;
  }
}

/** The key pair that signs service account tokens: `sa.key` and `sa.pub`. */
export async function ensureServiceAccountKey(
  env: PkiEnv,
  directory: string,
): Promise<{ readonly keyPem: string; readonly publicPem: string }> {
  const [keyText, publicText] = [
    await readTextIfAny(env.disk, `${directory}/sa.key`),
    await readTextIfAny(env.disk, `${directory}/sa.pub`),
  ];
  if (keyText !== undefined && publicText !== undefined) return { keyPem: keyText, publicPem: publicText };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const keyPem = await exportKey(keys.privateKey);
  const publicPem = `${x509.PemConverter.encode(await crypto.subtle.exportKey('spki', keys.publicKey), 'PUBLIC KEY')}\n`;
  await env.disk.makeDirectory(directory);
  await writeFileAtomic(env.disk, `${directory}/sa.key`, keyPem);
  await writeFileAtomic(env.disk, `${directory}/sa.pub`, publicPem);
  return { keyPem, publicPem };
}
