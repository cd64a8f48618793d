/** A throw-away authority with leaf certificates and revocation lists of every kind the rules look at. */
import 'reflect-metadata';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const usages: ('sign' | 'verify')[] = ['sign', 'verify'];
const hour = 3_600_000;

export interface Subject {
  readonly commonName: string;
  readonly serial?: string;
  readonly dnsNames?: readonly string[];
  readonly addresses?: readonly string[];
}

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface Authority {
  readonly pem: string;
  issue(subject: Subject): Promise<Pair>;
  /** In DER form. */
  revoke(serials: readonly string[]): Promise<Uint8Array>;
}

export async function makeAuthority(name = 'authority'): Promise<Authority> {
  x509.cryptoProvider.set(crypto);
  const keys = await crypto.subtle.generateKey(algorithm, true, usages);
  const validity = { notBefore: new Date(Date.now() - hour), notAfter: new Date(Date.now() + hour) };
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: `CN=${name}`,
    keys,
    signingAlgorithm: algorithm,
    ...validity,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  return {
    pem: root.toString('pem'),
    issue: async ({ commonName, serial = '1234', dnsNames = [], addresses = [] }) => {
      const own = await crypto.subtle.generateKey(algorithm, true, usages);
      const names = [
        ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
        ...addresses.map((value) => ({ type: 'ip' as const, value })),
      ];
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: serial,
        subject: `CN=${commonName}`,
        issuer: root.subject,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: algorithm,
        ...validity,
        extensions: [
          ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        ],
      });
      const key = x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', own.privateKey), 'PRIVATE KEY');
      return { cert: certificate.toString('pem'), key };
    },
    revoke: async (serials) => {
      const list = await x509.X509CrlGenerator.create({
        issuer: root.subject,
        thisUpdate: validity.notBefore,
        nextUpdate: validity.notAfter,
        signingKey: keys.privateKey,
        signingAlgorithm: algorithm,
        entries: serials.map((serialNumber) => ({ serialNumber, revocationDate: validity.notBefore })),
      });
      return new Uint8Array(list.rawData);
    },
  };
}

/** A directory with files of these contents; `write` replaces one. */
export async function filesOf(contents: Readonly<Record<string, string | Uint8Array>>) {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-tls-'));
  // At once, as tools that renew certificates do: a file that is half written is bad in a way of its own.
  const write = async (name: string, content: string | Uint8Array) => {
    await writeFile(join(directory, `${name}.new`), content);
    await rename(join(directory, `${name}.new`), join(directory, name));
  };
  for (const [name, content] of Object.entries(contents)) await write(name, content);
  return {
    path: (name: string) => join(directory, name),
    write,
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
