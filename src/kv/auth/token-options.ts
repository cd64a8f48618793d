/** `--auth-token`: `simple`, or `jwt,sign-method=…[,pub-key=FILE][,priv-key=FILE][,ttl=DURATION]`, as etcd reads it. */
import { KeelsonError } from '../../env/errors.ts';

export type TokenOptions =
  | { readonly kind: 'simple' }
  | {
      readonly kind: 'jwt';
      readonly signMethod: string;
      readonly publicKeyFile?: string;
      readonly privateKeyFile?: string;
      readonly ttlMs: number;
      /** Without effect; told in a log line. */
      readonly unknown: readonly string[];
    };

const jwtTtlMsDefault = 5 * 60_000;
const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** Throws KeelsonError `BAD_AUTH_TOKEN`. */
export function parseTokenOptions(text: string): TokenOptions {
  const [kind, ...pairs] = text.split(',');
  const given = new Map<string, string>();
  for (const pair of pairs) {
    const [name = '', value, ...more] = pair.split('=');
    if (value === undefined || more.length > 0) throw bad(text, `${JSON.stringify(pair)} is not name=value`);
    if (given.has(name)) throw bad(text, `${name} is given twice`);
    given.set(name, value);
  }
  if (kind === 'simple') return { kind };
  if (kind !== 'jwt') throw bad(text, 'the kind must be simple or jwt');
  const take = (name: string): string | undefined => {
    const value = given.get(name);
    given.delete(name);
    return value === '' ? undefined : value;
  };
  const signMethod = take('sign-method');
  if (signMethod === undefined) throw bad(text, 'sign-method is missing');
  const publicKeyFile = take('pub-key');
  const privateKeyFile = take('priv-key');
  const ttl = take('ttl');
  return {
    kind,
    signMethod,
    ...(publicKeyFile === undefined ? {} : { publicKeyFile }),
    ...(privateKeyFile === undefined ? {} : { privateKeyFile }),
    ttlMs: ttl === undefined ? jwtTtlMsDefault : durationMs(text, ttl),
    unknown: [...given.keys()],
  };
}

/** As Go writes it: `5m`, `1h30m`, `300s`. */
function durationMs(text: string, duration: string): number {
  let left = duration;
  let sumMs = 0;
  while (left !== '') {
    const [whole, digits, unit] = /^(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/.exec(left) ?? [];
    if (whole === undefined) throw bad(text, `ttl is ${JSON.stringify(duration)}: wanted a duration like 5m or 300s`);
    sumMs += Number(digits) * (unitMs[unit ?? ''] ?? 0);
    left = left.slice(whole.length);
  }
  return sumMs;
}

function bad(text: string, problem: string): KeelsonError {
  return new KeelsonError('BAD_AUTH_TOKEN', `read --auth-token ${JSON.stringify(text)}: ${problem}`);
}
