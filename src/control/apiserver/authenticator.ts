/** Who sends a request: a verified client certificate, a service account token, or nobody (system:anonymous). */
import { assert } from '../../env/assert.ts';
import { errorText } from '../../env/errors.ts';
import type { ObjectStorage, StoredObject, WatchCache } from '../storage/index.ts';
import { shortKey } from '../storage/index.ts';
import { fail } from './errors.ts';
import type { ApiRequest } from './http.ts';
import type { User } from './rbac.ts';
import { type ServiceAccountTokens, type TokenClaims, userOfClaims } from './service-account-tokens.ts';

export const anonymousUser: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

export interface AuthenticatorOptions {
  readonly tokens: ServiceAccountTokens;
  readonly cache: WatchCache;
  readonly storage: ObjectStorage;
}

export type TokenVerdict =
  | { readonly isAuthenticated: true; readonly user: User; readonly audiences: readonly string[] }
  | { readonly isAuthenticated: false; readonly error: string };

export class Authenticator {
  readonly #options: AuthenticatorOptions;
  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** Throws a 401 Status for a credential that is given and not good. */
  async authenticate(request: ApiRequest): Promise<User> {
    const { certificate } = request;
    if (certificate !== undefined) {
      assert(certificate.commonName !== '', 'a certificate without a name must not get this far');
      return {
        name: certificate.commonName,
        groups: [...certificate.organizations, 'system:authenticated'],
      };
    }
    const token = bearerToken(request.headers['authorization']);
    if (token === undefined) return anonymousUser;
    const verdict = await this.reviewToken(token, this.#options.tokens.audiences);
    if (!verdict.isAuthenticated) throw fail.unauthorized();
    return verdict.user;
  }

  async reviewToken(token: string, audiences: readonly string[]): Promise<TokenVerdict> {
    let claims: TokenClaims | undefined;
    try {
      claims = await this.#options.tokens.verify(token, audiences);
    } catch (error) {
      return { isAuthenticated: false, error: errorText(error) };
    }
    if (claims === undefined) return { isAuthenticated: false, error: 'invalid bearer token' };
    const account = await this.#live('serviceaccounts', claims.namespace, claims.serviceAccount);
    if (!account) {
      return { isAuthenticated: false, error: 'service account token has been invalidated' };
    }
    const { bound } = claims;
    if (bound !== undefined && bound.kind !== 'Node') {
      const prefix = bound.kind === 'Pod' ? 'pods' : 'secrets';
      if (!(await this.#live(prefix, claims.namespace, bound))) {
        return { isAuthenticated: false, error: 'service account token has been invalidated' };
      }
    }
    const granted = claims.audiences.filter((audience) => audiences.includes(audience));
    return { isAuthenticated: true, user: userOfClaims(claims), audiences: granted };
  }

  /** True when the object is there with that uid. The cache may be behind, so its no is checked with the store. */
  async #live(
    storagePrefix: string,
    namespace: string,
    wanted: { readonly name: string; readonly uid: string },
  ): Promise<boolean> {
    const key = shortKey(namespace, wanted.name);
    const isIt = (stored: StoredObject | undefined) =>
      stored !== undefined && (wanted.uid === '' || stored.object.metadata.uid === wanted.uid);
    if (isIt(this.#options.cache.resource(storagePrefix).get(key))) return true;
    return isIt(await this.#options.storage.get({ storagePrefix, key }));
  }
}

function bearerToken(header: string | undefined): string | undefined {
  const match = /^Bearer\s+(\S+)$/i.exec(header ?? '');
  return match?.[1];
}
