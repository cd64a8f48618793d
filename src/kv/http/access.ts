/**
 * Who may ask over HTTP, as `--cors` and `--host-whitelist` say: pages of which origins may read answers, and by which host
 * names plain requests may come. The latter keeps a page whose name was made to point to this machine (DNS rebinding) out;
 * over TLS the certificate does that.
 */

export interface AccessRules {
  /** Origins; `*` = all. None = nobody is told anything. */
  readonly corsOrigins: readonly string[];
  /** Host names; `*` or none = all. */
  readonly hostWhitelist: readonly string[];
}

/** Without flags, as etcd: everybody. */
export const openAccess: AccessRules = { corsOrigins: ['*'], hostWhitelist: ['*'] };

/** Whether a plain request with this `Host` is answered. */
export function isHostAllowed({ hostWhitelist }: AccessRules, hostHeader: string | undefined): boolean {
  if (hostWhitelist.length === 0 || hostWhitelist.includes('*')) return true;
  return hostWhitelist.includes(hostName(hostHeader ?? ''));
}

/** What a refused client is told. */
export function hostRefusal(hostHeader: string | undefined): string {
  const host = hostName(hostHeader ?? '');
  return `the Host header ${JSON.stringify(host)} is not one this store answers to over plain HTTP: use TLS, or add the name to --host-whitelist\n`;
}

/** Headers that let pages of the request's origin read the answer; none when they may not. */
export function corsHeaders(
  { corsOrigins }: AccessRules,
  origin: string | undefined,
): Readonly<Record<string, string>> {
  const allowed = corsOrigins.includes('*') ? '*' : origin !== undefined && corsOrigins.includes(origin) ? origin : '';
  if (allowed === '') return {};
  return {
    'access-control-allow-methods': 'POST, GET, OPTIONS, PUT, DELETE',
    'access-control-allow-origin': allowed,
    'access-control-allow-headers': 'accept, content-type, authorization',
  };
}

/** `example.org:2379`, `[::1]:2379` and both without a port. */
function hostName(host: string): string {
  const bracketed = /^\[([^\]]*)\](:\d+)?$/.exec(host);
  if (bracketed) return bracketed[1] ?? '';
  return host.split(':').length === 2 ? host.replace(/:\d*$/, '') : host;
}
