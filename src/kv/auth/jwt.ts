/**
 * Tokens of the kind `jwt`: JSON Web Signatures over {username, revision, exp}, etcd's claims, so that tokens which a
 * service outside makes with the private key are taken as well. The algorithm is the one that was configured; what a token's
 * own header says is compared with it and never chosen by it.
 */
import {
  constants,
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto';
import { assert, present } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import { KvError } from '../errors.ts';
import type { SignedTokens, TokenUser } from './tokens.ts';

type Family = 'RS' | 'PS' | 'ES' | 'HS' | 'Ed';

interface Method {
  readonly family: Family;
  /** Undefined for Ed25519, which hashes by itself. */
  readonly hash: string | undefined;
  /** Of the key, for ECDSA. */
  readonly curve?: string;
}

const curves: Readonly<Record<string, string>> = { '256': 'prime256v1', '384': 'secp384r1', '512': 'secp521r1' };

/** Verifying costs some 0.1 ms of the loop: the tokens seen last are not verified again. Some 500 KB. */
const verifiedMax = 1_000;
/** No real one comes near; longer ones are not even looked at. */
const tokenCharactersMax = 16 * 1024;

export interface JwtOptions {
  readonly clock: Pick<Clock, 'wallMs'>;
  /** `RS256` to `RS512`, `PS…`, `ES…`, `HS…`, `EdDSA`. */
  readonly signMethod: string;
  /** PEM; for `HS…` the private key is the secret, as it is. */
  readonly publicKey?: Uint8Array;
  readonly privateKey?: Uint8Array;
  readonly ttlMs: number;
}

/** Throws KeelsonError `BAD_AUTH_TOKEN` for options that cannot work. */
export function createJwtTokens(options: JwtOptions): SignedTokens {
  return new JwtTokens(options);
}

class JwtTokens implements SignedTokens {
  readonly kind = 'signed';
  readonly #clock: Pick<Clock, 'wallMs'>;
  readonly #algorithm: string;
  readonly #method: Method;
  readonly #ttlMs: number;
  readonly #secret: Uint8Array | undefined;
  readonly #privateKey: KeyObject | undefined;
  readonly #publicKey: KeyObject | undefined;
  /** Token to what it says, least recently used first. */
  readonly #verified = new Map<string, { readonly user: TokenUser; readonly expiresAtMs: number }>();

  constructor({ clock, signMethod, publicKey, privateKey, ttlMs }: JwtOptions) {
    this.#clock = clock;
    this.#algorithm = signMethod;
    this.#method = methodOf(signMethod);
    this.#ttlMs = ttlMs;
    if (ttlMs <= 0) throw bad(`ttl must be above zero, not ${ttlMs} ms`);
    if (this.#method.family === 'HS') {
      if (privateKey === undefined || privateKey.length === 0) throw bad(`${signMethod} needs priv-key, the secret`);
      this.#secret = privateKey;
      return;
    }
    if (privateKey !== undefined)
      this.#privateKey = readKey('priv-key', () => createPrivateKey(Buffer.from(privateKey)));
    const given = publicKey && readKey('pub-key', () => createPublicKey(Buffer.from(publicKey)));
    const derived = this.#privateKey && createPublicKey(this.#privateKey);
    if (given && derived && !given.equals(derived)) throw bad('pub-key does not belong to priv-key');
    const verifying = derived ?? given;
    if (verifying === undefined) throw bad(`${signMethod} needs priv-key, or pub-key to verify only`);
    checkKeyKind(signMethod, this.#method, verifying);
    this.#publicKey = verifying;
  }

  sign({ user, authRevision }: TokenUser): string {
    if (!this.#secret && !this.#privateKey) throw new KvError('tokenVerifyOnly');
    const claims = {
      exp: Math.floor((this.#clock.wallMs() + this.#ttlMs) / 1000),
      revision: authRevision,
      username: user,
    };
    const signed = `${encode({ alg: this.#algorithm, typ: 'JWT' })}.${encode(claims)}`;
    const token = `${signed}.${this.#signature(signed).toString('base64url')}`;
    assert(token.split('.').length === 3, 'a token has three parts');
    return token;
  }

  find(token: string): TokenUser | undefined {
    const known = this.#verified.get(token);
    this.#verified.delete(token);
    const found = known ?? this.#verify(token);
    if (found === undefined || found.expiresAtMs <= this.#clock.wallMs()) return undefined;
    this.#verified.set(token, found);
    for (const oldest of this.#verified.keys()) {
      if (this.#verified.size <= verifiedMax) break;
      this.#verified.delete(oldest);
    }
    return found.user;
  }

  #verify(token: string): { readonly user: TokenUser; readonly expiresAtMs: number } | undefined {
    if (token.length > tokenCharactersMax) return undefined;
    const [header, body, signature, ...more] = token.split('.');
    if (header === undefined || body === undefined || signature === undefined || more.length > 0) return undefined;
    if (decode(header)?.['alg'] !== this.#algorithm) return undefined;
    if (!this.#isSignedBy(`${header}.${body}`, Buffer.from(signature, 'base64url'))) return undefined;
    const claims = decode(body);
    const { username, revision, exp, nbf } = claims ?? {};
    if (typeof username !== 'string' || typeof revision !== 'number') return undefined;
    const authRevision = Math.max(0, Math.trunc(revision));
    if (!Number.isSafeInteger(authRevision)) return undefined;
    if (exp !== undefined && typeof exp !== 'number') return undefined;
    if (nbf !== undefined && (typeof nbf !== 'number' || nbf * 1000 > this.#clock.wallMs())) return undefined;
    const user = { user: username, authRevision };
    return { user, expiresAtMs: exp === undefined ? Number.POSITIVE_INFINITY : exp * 1000 };
  }

  #signature(text: string): Buffer {
    const data = Buffer.from(text, 'utf8');
    const { hash } = this.#method;
    if (this.#secret) return createHmac(present(hash, 'the hash of an HMAC'), this.#secret).update(data).digest();
    return sign(hash, data, { key: present(this.#privateKey, 'the signing key'), ...this.#parameters() });
  }

  #isSignedBy(text: string, signature: Buffer): boolean {
    if (this.#secret) {
      const wanted = this.#signature(text);
      return wanted.length === signature.length && timingSafeEqual(wanted, signature);
    }
    const key = { key: present(this.#publicKey, 'the verifying key'), ...this.#parameters() };
    return verify(this.#method.hash, Buffer.from(text, 'utf8'), key, signature);
  }

  #parameters(): object {
    switch (this.#method.family) {
      case 'ES':
        return { dsaEncoding: 'ieee-p1363' };
      case 'PS':
        return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
      default:
        return {};
    }
  }
}

function methodOf(name: string): Method {
  if (name === 'EdDSA') return { family: 'Ed', hash: undefined };
  const [, family, bits] = /^(RS|PS|ES|HS)(256|384|512)$/.exec(name) ?? [];
  if (family === undefined || bits === undefined) {
    throw bad(`sign-method is ${JSON.stringify(name)}: wanted RS, PS, ES or HS with 256, 384 or 512, or EdDSA`);
  }
  const curve = family === 'ES' ? { curve: present(curves[bits], 'a curve for the hash') } : {};
  return { family: family as Family, hash: `sha${bits}`, ...curve };
}

function checkKeyKind(name: string, { family, curve }: Method, key: KeyObject): void {
  const wanted = { RS: 'rsa', PS: 'rsa', ES: 'ec', Ed: 'ed25519', HS: 'secret' }[family];
  if (key.asymmetricKeyType !== wanted)
    throw bad(`${name} needs a key of kind ${wanted}, not ${key.asymmetricKeyType}`);
  const found = key.asymmetricKeyDetails?.namedCurve;
  if (curve !== undefined && found !== curve) throw bad(`${name} needs a key on the curve ${curve}, not ${found}`);
}

function readKey(name: string, read: () => KeyObject): KeyObject {
  try {
    return read();
  } catch (error) {
    throw bad(`${name} holds no key in PEM: ${errorText(error)}`);
  }
}

function bad(problem: string): KeelsonError {
  return new KeelsonError('BAD_AUTH_TOKEN', `--auth-token jwt: ${problem}`);
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');
}

function decode(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    // Not JSON is no token.
    return undefined;
  }
}
