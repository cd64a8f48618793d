/**
 * URLs to listen on, by etcd's four schemes: `http` and `https` on host and port, `unix` and `unixs` on a socket file
 * (whatever follows the slashes is its path). Two URLs of one address with and without TLS share its port.
 */
import { KeelsonError } from '../../env/errors.ts';

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export interface ListenUrl {
  readonly url: string;
  readonly isSecure: boolean;
  readonly address: ListenAddress;
}

/** Throws BAD_FLAGS. */
export function parseListenUrl(url: string): ListenUrl {
  const unix = /^(unixs?):\/\/(.+)$/.exec(url);
  if (unix) return { url, isSecure: unix[1] === 'unixs', address: { kind: 'unix', path: unix[2] as string } };
  const tcp = /^(https?):\/\/(\[[^\]/]+\]|[^:/]*)(?::(\d+))?\/?$/.exec(url);
  const port = tcp?.[3] === undefined ? (tcp?.[1] === 'https' ? 443 : 80) : Number(tcp[3]);
  if (!tcp || port > 65_535) {
    throw new KeelsonError('BAD_FLAGS', `listen on ${JSON.stringify(url)}: want http(s)://host:port or unix(s)://path`);
  }
  const host = (tcp[2] as string).replace(/^\[|\]$/g, '');
  return { url, isSecure: tcp[1] === 'https', address: { kind: 'tcp', host: host === '' ? '0.0.0.0' : host, port } };
}

export function addressText(address: ListenAddress): string {
  if (address.kind === 'unix') return address.path;
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/** One port or socket file, and which of the two ways of talking it takes. */
export interface ListenGroup {
  readonly address: ListenAddress;
  readonly urls: readonly ListenUrl[];
  readonly isPlainTaken: boolean;
  readonly isSecureTaken: boolean;
}

/** Port 0 is another port each time. */
export function groupByAddress(urls: readonly ListenUrl[]): readonly ListenGroup[] {
  const groups = new Map<string, ListenUrl[]>();
  urls.forEach((each, index) => {
    const isAnyPort = each.address.kind === 'tcp' && each.address.port === 0;
    const key = isAnyPort ? `any ${index}` : `${each.address.kind} ${addressText(each.address)}`;
    groups.set(key, [...(groups.get(key) ?? []), each]);
  });
  return [...groups.values()].map((group) => ({
    address: (group[0] as ListenUrl).address,
    urls: group,
    isPlainTaken: group.some((each) => !each.isSecure),
    isSecureTaken: group.some((each) => each.isSecure),
  }));
}
