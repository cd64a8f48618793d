/** From the flags `--auth-token`, `--auth-token-ttl` and `--bcrypt-cost` to what makes and knows tokens and passwords. */
import type { Env } from '../env/env.ts';
import { errorText } from '../env/errors.ts';
import { createBcryptPasswords } from '../kv/auth/bcrypt-passwords.ts';
import { createJwtTokens } from '../kv/auth/jwt.ts';
import { bcryptCostDefault, bcryptCostMax, bcryptCostMin } from '../kv/auth/passwords.ts';
import { SimpleTokens } from '../kv/auth/simple-tokens.ts';
import { parseTokenOptions } from '../kv/auth/token-options.ts';
import type { Tokens } from '../kv/auth/tokens.ts';
import type { AuthOptions } from '../kv/server/server-options.ts';
import { type FlagValues, UsageError } from './flags.ts';
import type { storeFlags } from './store-flags.ts';

type Flags = FlagValues<typeof storeFlags>;
/** etcd's, for a `--auth-token-ttl` that is not above zero. */
const tokenTtlSecondsDefault = 300;

/** Reads the keys that the flags name. Rejects with the one line that says what is wrong. */
export async function openAuth(
  env: Pick<Env, 'clock' | 'random' | 'disk' | 'log'>,
  flags: Flags,
): Promise<AuthOptions> {
  const tokens = await openTokens(env, flags);
  let cost = flags['bcrypt-cost'];
  if (cost < bcryptCostMin || cost > bcryptCostMax) {
    env.log.warn('use default bcrypt cost instead of the invalid given cost', { given: cost, used: bcryptCostDefault });
    cost = bcryptCostDefault;
  }
  const passwords = createBcryptPasswords({ clock: env.clock, cost });
  return { tokens, passwords, isCommonNameUser: flags['client-cert-auth'] };
}

async function openTokens(
  { clock, random, disk, log }: Pick<Env, 'clock' | 'random' | 'disk' | 'log'>,
  flags: Flags,
): Promise<Tokens> {
  const options = parseTokenOptions(flags['auth-token'] === '' ? 'simple' : flags['auth-token']);
  if (options.kind === 'simple') {
    const ttlSeconds = flags['auth-token-ttl'] > 0 ? flags['auth-token-ttl'] : tokenTtlSecondsDefault;
    return new SimpleTokens({ clock, random, ttlMs: ttlSeconds * 1000 });
  }
  if (options.unknown.length > 0) log.warn('unknown JWT options', { keys: options.unknown });
  const read = async (name: string, path: string | undefined): Promise<Uint8Array | undefined> => {
    if (path === undefined) return undefined;
    try {
      return await disk.readFile(path);
    } catch (error) {
      throw new UsageError(`keelson store: --auth-token ${name}: cannot read ${path}: ${errorText(error)}`);
    }
  };
  const publicKey = await read('pub-key', options.publicKeyFile);
  const privateKey = await read('priv-key', options.privateKeyFile);
  return createJwtTokens({
    clock,
    signMethod: options.signMethod,
    ttlMs: options.ttlMs,
    ...(publicKey ? { publicKey } : {}),
    ...(privateKey ? { privateKey } : {}),
  });
}
