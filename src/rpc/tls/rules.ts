/**
 * Who may come in with a certificate that its authority has signed: etcd's further rules, as pure functions of what the
 * certificate says. Each returns why the connection is refused, undefined when it is not.
 *
 *   revoked            a serial number of the chain is in the revocation list
 *   allowed names      the leaf's common name, or its host names, are among those given
 *   address and names  a member connects from an address that its certificate is made out to
 */
import { isIP } from 'node:net';

/** What a certificate says about its owner. */
export interface CertificateFacts {
  readonly commonName: string;
  /** Upper-case hexadecimal without leading zeros. */
  readonly serial: string;
  readonly dnsNames: readonly string[];
  readonly addresses: readonly string[];
}

export interface AllowedNames {
  /** Empty: any. */
  readonly commonNames: readonly string[];
  /** Empty: any. */
  readonly hostNames: readonly string[];
}

export const anyName: AllowedNames = { commonNames: [], hostNames: [] };

/** etcd's words, also where its Go library says them. */
const notAllowed = 'client certificate authentication failed';

/** A serial number as it is compared: upper-case hexadecimal without leading zeros. */
export function normalSerial(hexadecimal: string): string {
  return hexadecimal
    .replaceAll(':', '')
    .replace(/^0+(?=.)/, '')
    .toUpperCase();
}

export function revokedReason(chain: readonly CertificateFacts[], revoked: ReadonlySet<string>): string | undefined {
  const found = chain.find((certificate) => revoked.has(certificate.serial));
  return found && `transport: certificate serial ${found.serial.toLowerCase()} revoked`;
}

/** Without a certificate nobody is among the allowed. */
export function nameReason(leaf: CertificateFacts | undefined, allowed: AllowedNames): string | undefined {
  if (allowed.commonNames.length > 0) {
    return leaf && allowed.commonNames.includes(leaf.commonName) ? undefined : notAllowed;
  }
  if (allowed.hostNames.length > 0) {
    return leaf && allowed.hostNames.some((host) => isMadeOutTo(leaf, host)) ? undefined : notAllowed;
  }
  return undefined;
}

/** Whether the certificate is for this host name or address. A `*` stands for one first label. */
export function isMadeOutTo(certificate: CertificateFacts, host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  if (isIP(bare) !== 0) return certificate.addresses.some((address) => sameAddress(address, bare));
  const wanted = bare.toLowerCase().replace(/\.$/, '');
  return certificate.dnsNames.some((name) => {
    const own = name.toLowerCase().replace(/\.$/, '');
    if (!own.startsWith('*.')) return own === wanted;
    const dot = wanted.indexOf('.');
    return dot > 0 && wanted.slice(dot) === own.slice(1);
  });
}

/** Two spellings of one address: `::ffff:127.0.0.1` is `127.0.0.1`, and IPv6 has many short forms. */
export function sameAddress(left: string, right: string): boolean {
  return plainAddress(left) === plainAddress(right);
}

function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return mapped[1] as string;
  return isIP(address) === 6 ? new URL(`http://[${address}]/`).hostname : address;
}

/** What the resolver is asked for this rule; a failure is a rejection. */
export interface AddressNames {
  addresses(host: string): Promise<readonly string[]>;
  hosts(address: string): Promise<readonly string[]>;
}

/** A certificate without any name or address is as good as one with the right one, as in etcd. */
export async function addressReason(
  leaf: CertificateFacts | undefined,
  remoteAddress: string,
  names: AddressNames,
): Promise<string | undefined> {
  if (!leaf || (leaf.addresses.length === 0 && leaf.dnsNames.length === 0)) return undefined;
  if (leaf.addresses.some((address) => sameAddress(address, remoteAddress))) return undefined;
  if (leaf.dnsNames.length === 0) {
    return `tls: certificate is valid for ${leaf.addresses.join(', ')}, not ${remoteAddress}`;
  }
  const failures: string[] = [];
  const fail = (error: unknown): readonly string[] => {
    failures.push(error instanceof Error ? error.message : String(error));
    return [];
  };
  const wildcards = leaf.dnsNames.filter((name) => name.startsWith('*.')).map((name) => name.slice(1));
  const plain = leaf.dnsNames.filter((name) => !name.startsWith('*.'));
  const hosts = (await names.hosts(remoteAddress).catch(fail)).map((host) => host.replace(/\.$/, ''));
  if (hosts.some((host) => plain.includes(host) || wildcards.some((ending) => host.endsWith(ending)))) return undefined;
  for (const name of plain) {
    const addresses = await names.addresses(name).catch(fail);
    if (addresses.some((address) => sameAddress(address, remoteAddress))) return undefined;
  }
  const why = failures.length === 0 ? '' : ` (${failures.at(-1)})`;
  return `tls: ${JSON.stringify(remoteAddress)} does not match any of DNSNames ${JSON.stringify(leaf.dnsNames)}${why}`;
}
