/**
 * Service account tokens bound to pods: asked for through TokenRequest, kept until 80% of their life is over, then
 * renewed. A token that cannot be renewed is used until it ends.
 */
import type { JsonObject, KubeObject } from '../../control/api/contract.ts';
import { type ApiClient, resources } from '../../control/client/index.ts';
import type { Clock } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { TokenSource } from './payload.ts';

const renewAfterShare = 0.8;
// Even a token of a week is renewed daily, so that a revoked signing key does not live on.
const renewAfterMsMax = 24 * 3_600_000;

interface Token {
  readonly text: string;
  readonly renewAtMs: number;
  readonly expiresAtMs: number;
}

export class TokenManager {
  readonly #client: ApiClient;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #tokens = new Map<string, Token>();

  constructor(client: ApiClient, clock: Clock, log: Log) {
    this.#client = client;
    this.#clock = clock;
    this.#log = log;
  }

  /** A token that is good now. Rejects when there is none and none is given. */
  async token(pod: KubeObject, source: TokenSource): Promise<string> {
    const key = tokenKey(pod.metadata.uid, source);
    const nowMs = this.#clock.wallMs();
    const known = this.#tokens.get(key);
    if (known !== undefined && nowMs < known.renewAtMs) return known.text;
    try {
      const token = await this.#request(pod, source);
      this.#tokens.set(key, token);
      return token.text;
    } catch (error) {
      if (known === undefined || nowMs >= known.expiresAtMs) throw error;
      this.#log.warn('service account token not renewed', {
        pod: `${pod.metadata.namespace}/${pod.metadata.name}`,
        error: errorText(error),
      });
      return known.text;
    }
  }

  forget(podUid: string): void {
    for (const key of this.#tokens.keys()) {
      if (key.startsWith(`${podUid}/`)) this.#tokens.delete(key);
    }
  }

  async #request(pod: KubeObject, source: TokenSource): Promise<Token> {
    const body: JsonObject = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: source.audience === undefined ? [] : [source.audience],
        expirationSeconds: source.expirationSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod.metadata.name, uid: pod.metadata.uid },
      },
    };
    const account = (pod.spec?.serviceAccountName as string | undefined) || 'default';
    const answer = await this.#client.createSubresource(
      resources.serviceAccounts,
      pod.metadata.namespace ?? '',
      account,
      'token',
      body,
    );
    const nowMs = this.#clock.wallMs();
    const expiresAtMs = Date.parse(answer.status.expirationTimestamp as string);
    const lifeMs = Math.min((expiresAtMs - nowMs) * renewAfterShare, renewAfterMsMax);
    return { text: answer.status.token as string, renewAtMs: nowMs + lifeMs, expiresAtMs };
  }
}

function tokenKey(podUid: string, source: TokenSource): string {
  return `${podUid}/${source.audience ?? ''}/${source.expirationSeconds}`;
}
