/** Which URLs the store takes where: to listen on, and to tell others. */
import { errorText, KeelsonError } from '../env/errors.ts';
import { parseListenUrl } from '../rpc/tls/listen-urls.ts';
import type { FlagValues } from './flags.ts';
import type { storeFlags } from './store-flags.ts';

const listenFlags = [
  'listen-client-urls',
  'listen-client-http-urls',
  'listen-peer-urls',
  'listen-metrics-urls',
] as const;
const advertiseFlags = ['advertise-client-urls', 'initial-advertise-peer-urls'] as const;

/** Throws BAD_FLAGS with the first URL that cannot be used. */
export function checkStoreUrls(flags: FlagValues<typeof storeFlags>): void {
  const fail = (message: string) => new KeelsonError('BAD_FLAGS', message);
  for (const name of ['listen-client-urls', 'listen-peer-urls'] as const) {
    if (flags[name].length === 0) throw fail(`--${name} names no URL`);
  }
  for (const name of [...listenFlags, ...advertiseFlags]) {
    for (const url of flags[name]) {
      let address: ReturnType<typeof parseListenUrl>['address'];
      try {
        address = parseListenUrl(url).address;
      } catch (error) {
        throw new KeelsonError('BAD_FLAGS', `--${name}: ${errorText(error)}`, { cause: error });
      }
      if (address.kind === 'unix') continue;
      if (!/:\d+\/?$/.test(url)) throw fail(`--${name} ${JSON.stringify(url)}: want http(s)://host:port`);
      const isListen = (listenFlags as readonly string[]).includes(name);
      if (isListen && !/^(localhost|[\d.]+|[\da-fA-F:.]+)$/.test(address.host)) {
        throw fail(`--${name}: expected IP in URL for binding (${url})`);
      }
      if (!isListen && /^https?:\/\/:/.test(url)) throw fail(`--${name} ${JSON.stringify(url)} must be "host:port"`);
    }
  }
}
