/** From Node's certificates and revocation lists to the facts that the rules are about. */
import type { X509Certificate } from 'node:crypto';
import { createRequire } from 'node:module';
import type * as X509 from '@peculiar/x509';
import { assert } from '../../env/assert.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import { type CertificateFacts, normalSerial } from './rules.ts';

const load = createRequire(import.meta.url);

/** Only revocation lists need it, and few have one: it takes 20 MB and half a second of every start. */
function x509Library(): typeof X509 {
  load('reflect-metadata');
  return load('@peculiar/x509') as typeof X509;
}

export function factsOf(certificate: X509Certificate): CertificateFacts {
  const names = alternativeNames(certificate.subjectAltName ?? '');
  const commonName = /^CN=(.*)$/m.exec(certificate.subject ?? '')?.[1] ?? '';
  const serial = normalSerial(certificate.serialNumber);
  assert(/^[0-9A-F]+$/.test(serial), 'a certificate has a serial number');
  return { commonName, serial, ...names };
}

/** Node gives `DNS:a, IP Address:1.2.3.4`, and quotes what could be taken for more than one name. */
function alternativeNames(text: string): Pick<CertificateFacts, 'dnsNames' | 'addresses'> {
  const dnsNames: string[] = [];
  const addresses: string[] = [];
  for (const [, kind, quoted, bare] of text.matchAll(/(?:^|, )([A-Za-z ]+):(?:("(?:[^"\\]|\\.)*")|([^,]*))/g)) {
    const value = quoted === undefined ? (bare as string) : (JSON.parse(quoted) as string);
    if (kind === 'DNS') dnsNames.push(value);
    if (kind === 'IP Address') addresses.push(value);
  }
  return { dnsNames, addresses };
}

/** The leaf first, then its issuers as far as they are known. */
export function chainOf(leaf: X509Certificate | undefined): readonly CertificateFacts[] {
  const chain: CertificateFacts[] = [];
  const seen = new Set<string>();
  for (let next = leaf; next && !seen.has(next.fingerprint256); next = next.issuerCertificate) {
    seen.add(next.fingerprint256);
    chain.push(factsOf(next));
  }
  return chain;
}

/** Serial numbers in a revocation list, in PEM form or DER as etcd takes it. Throws BAD_CERTIFICATE. */
export function revokedSerials(bytes: Uint8Array): ReadonlySet<string> {
  try {
    const x509 = x509Library();
    const text = new TextDecoder().decode(bytes);
    const raw = text.includes('-----BEGIN ') ? x509.PemConverter.decodeFirst(text) : new Uint8Array(bytes);
    return new Set(new x509.X509Crl(raw).entries.map((entry) => normalSerial(entry.serialNumber)));
  } catch (error) {
    throw new KeelsonError('BAD_CERTIFICATE', `no certificate revocation list (${errorText(error)})`, { cause: error });
  }
}
