/**
 * Service account tokens: ES256 JWTs that this server signs (TokenRequest) and verifies.
 *
 * A token is bound: it names its service account's uid, and the pod's when it was made for one, and is good only while
 * these live. Signatures are checked once per token and remembered; what may change (expiry, the bound objects) is
 * checked on every use.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { errors as joseErrors, exportJWK, jwtVerify, SignJWT } from 'jose';
import { assert } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import type { Random } from '../../env/random.ts';
import type { JsonObject, KubeObject } from './kinds.ts';
import type { User } from './rbac.ts';

/** Remembered signatures; a busy cluster has some tokens per pod, and a miss costs only a signature check. */
const verifiedMax = 10_000;
/** A rotation leaves tokens of the previous hour in use, as upstream's warn-after claim allows. */
export const tokenSecondsMin = 600;
export const tokenSecondsMax = 2 ** 32;
export const tokenSecondsDefault = 3600;

export interface TokenKeys {
  /** Verify with any of these. */
  readonly publicKeys: readonly KeyObject[];
  readonly signingKey: KeyObject | undefined;
}

/** PEM texts to keys. Throws KeelsonError BAD_KEY. */
export function readTokenKeys(publicPems: readonly string[], signingPem: string | undefined): TokenKeys {
  try {
    const publicKeys = publicPems.map((pem) => createPublicKey(pem));
    return { publicKeys, signingKey: signingPem === undefined ? undefined : createPrivateKey(signingPem) };
  } catch (error) {
    throw new KeelsonError(
      'BAD_KEY',
      `cannot use a key of --service-account-key-file or --service-account-signing-key-file: ${errorText(error)}: give keys in PEM form, public and private`,
      {
        cause: error,
      },
    );
  }
}

export interface TokenIssuerOptions {
  readonly keys: TokenKeys;
  readonly issuer: string;
  /** Audiences that this server itself accepts. */
  readonly audiences: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
}

export interface BoundObject {
  readonly kind: 'Pod' | 'Node' | 'Secret';
  readonly name: string;
  readonly uid: string;
}

export interface TokenClaims {
  readonly namespace: string;
  readonly serviceAccount: { readonly name: string; readonly uid: string };
  readonly bound: BoundObject | undefined;
  readonly node: { readonly name: string; readonly uid: string } | undefined;
  readonly audiences: readonly string[];
  readonly expiresAtMs: number;
  readonly id: string;
}

/** Key id as upstream derives it: the hash of the public key's DER form. */
function keyId(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
}

function algorithmOf(key: KeyObject): string {
  if (key.asymmetricKeyType !== 'ec') return 'RS256';
  const curve = key.asymmetricKeyDetails?.namedCurve;
  return curve === 'secp384r1' ? 'ES384' : curve === 'secp521r1' ? 'ES512' : 'ES256';
}

export class ServiceAccountTokens {
  readonly #options: TokenIssuerOptions;
  // Oldest first: a Map keeps the order of insertion.
  readonly #verified = new Map<string, TokenClaims>();
  constructor(options: TokenIssuerOptions) {
    this.#options = options;
  }

  get issuer(): string {
    return this.#options.issuer;
  }
  get audiences(): readonly string[] {
    return this.#options.audiences;
  }

  /** Signs a token. Throws KeelsonError NO_SIGNING_KEY when the server was started without one. */
  async sign(request: {
    readonly account: KubeObject;
    readonly bound: BoundObject | undefined;
    readonly node: { readonly name: string; readonly uid: string } | undefined;
    readonly audiences: readonly string[];
    readonly expirationSeconds: number;
  }): Promise<{ readonly token: string; readonly expiresAtMs: number }> {
    const { keys, issuer, clock, random } = this.#options;
    const { account, bound } = request;
    if (keys.signingKey === undefined) {
      throw new KeelsonError(
        'NO_SIGNING_KEY',
        'cannot sign a service account token: the API server has no --service-account-signing-key-file',
      );
    }
    assert(request.expirationSeconds > 0, 'a token must live for some time');
    const nowSeconds = Math.floor(clock.wallMs() / 1000);
    const expiresAtSeconds = nowSeconds + request.expirationSeconds;
    const namespace = account.metadata.namespace ?? '';
    const claims: JsonObject = {
      namespace,
      serviceaccount: { name: account.metadata.name, uid: account.metadata.uid },
    };
    if (bound !== undefined) claims[bound.kind.toLowerCase()] = { name: bound.name, uid: bound.uid };
    if (request.node !== undefined) claims['node'] = request.node;
    const token = await new SignJWT({ 'kubernetes.io': claims })
      .setProtectedHeader({ alg: algorithmOf(keys.signingKey), kid: keyId(keys.signingKey) })
      .setIssuer(issuer)
      .setAudience([...(request.audiences.length === 0 ? this.#options.audiences : request.audiences)])
      .setSubject(`system:serviceaccount:${namespace}:${account.metadata.name}`)
      .setIssuedAt(nowSeconds)
      .setNotBefore(nowSeconds)
      .setExpirationTime(expiresAtSeconds)
      .setJti(random.uuid())
      .sign(keys.signingKey);
    return { token, expiresAtMs: expiresAtSeconds * 1000 };
  }

  /** The claims of a good token for one of `audiences`; undefined otherwise. Does not look at the bound objects. */
  async verify(token: string, audiences: readonly string[]): Promise<TokenClaims | undefined> {
    const now = this.#options.clock.wallMs();
    let claims = this.#verified.get(token);
    if (claims === undefined) {
      claims = await this.#verifySignature(token);
      if (claims === undefined) return undefined;
      if (this.#verified.size >= verifiedMax) {
        const oldest = this.#verified.keys().next();
        if (!oldest.done) this.#verified.delete(oldest.value);
      }
      this.#verified.set(token, claims);
    }
    if (claims.expiresAtMs <= now) {
      this.#verified.delete(token);
      return undefined;
    }
    return claims.audiences.some((audience) => audiences.includes(audience)) ? claims : undefined;
  }

  async #verifySignature(token: string): Promise<TokenClaims | undefined> {
    const { keys, issuer, clock } = this.#options;
    for (const key of keys.publicKeys) {
      try {
        const { payload } = await jwtVerify(token, key, {
          issuer,
          currentDate: new Date(clock.wallMs()),
          algorithms: [algorithmOf(key)],
        });
        return toClaims(payload as JsonObject);
      } catch (error) {
        // A bad token is an answer, not a failure; anything else is.
        if (!(error instanceof joseErrors.JOSEError)) throw error;
      }
    }
    return undefined;
  }

  /** The public keys as /openid/v1/jwks shows them. */
  async jwks(): Promise<JsonObject> {
    const keys = await Promise.all(
      this.#options.keys.publicKeys.map(async (key) => ({
        use: 'sig',
        kid: keyId(key),
        alg: algorithmOf(key),
        ...(await exportJWK(key)),
      })),
    );
    return { keys };
  }
}

function toClaims(payload: JsonObject): TokenClaims | undefined {
  const own = payload['kubernetes.io'];
  if (typeof own?.namespace !== 'string' || typeof own.serviceaccount?.name !== 'string') return undefined;
  if (typeof payload['exp'] !== 'number') return undefined;
  const bound: BoundObject | undefined =
    own.pod !== undefined
      ? { kind: 'Pod', ...own.pod }
      : own.secret !== undefined
        ? { kind: 'Secret', ...own.secret }
        : own.node !== undefined
          ? { kind: 'Node', ...own.node }
          : undefined;
  return {
    namespace: own.namespace,
    serviceAccount: { name: own.serviceaccount.name, uid: own.serviceaccount.uid ?? '' },
    bound,
    node: own.node,
    audiences: Array.isArray(payload['aud']) ? payload['aud'] : [payload['aud']],
    expiresAtMs: payload['exp'] * 1000,
    id: payload['jti'] ?? '',
  };
}

/** The user that a token stands for. */
export function userOfClaims(claims: TokenClaims): User {
  const extra: Record<string, string[]> = {
    'authentication.kubernetes.io/credential-id': [`JTI=${claims.id}`],
  };
  if (claims.bound?.kind === 'Pod') {
    extra['authentication.kubernetes.io/pod-name'] = [claims.bound.name];
    extra['authentication.kubernetes.io/pod-uid'] = [claims.bound.uid];
  }
  if (claims.node !== undefined) {
    extra['authentication.kubernetes.io/node-name'] = [claims.node.name];
    extra['authentication.kubernetes.io/node-uid'] = [claims.node.uid];
  }
  return {
    name: `system:serviceaccount:${claims.namespace}:${claims.serviceAccount.name}`,
    uid: claims.serviceAccount.uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${claims.namespace}`, 'system:authenticated'],
    extra,
  };
}
