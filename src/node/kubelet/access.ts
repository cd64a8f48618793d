/**
 * Who may call the agent, asked from the API server: TokenReview for bearer tokens, SubjectAccessReview for what a
 * caller may do with this node. Answers are kept for a short while, because Prometheus asks every few seconds.
 */
import type { GroupVersionResource, JsonObject } from '../../control/api/contract.ts';
import type { ApiClient } from '../../control/client/index.ts';
import type { Clock } from '../../env/clock.ts';
import type { Caller } from './server.ts';

const tokenReviews: GroupVersionResource = { group: 'authentication.k8s.io', version: 'v1', resource: 'tokenreviews' };
const accessReviews: GroupVersionResource = {
  group: 'authorization.k8s.io',
  version: 'v1',
  resource: 'subjectaccessreviews',
};
const freshMs = 30_000;
// Few callers ask a node; beyond it all are asked again.
const answersMax = 256;

export class NodeAccess {
  readonly #client: ApiClient;
  readonly #clock: Clock;
  readonly #nodeName: string;
  readonly #answers = new Map<string, { readonly answer: unknown; readonly atMs: number }>();

  constructor(client: ApiClient, clock: Clock, nodeName: string) {
    this.#client = client;
    this.#clock = clock;
    this.#nodeName = nodeName;
  }

  async callerOfToken(token: string): Promise<Caller | undefined> {
    return this.#remember(`token ${token}`, async () => {
      const review = await this.#client.create(tokenReviews, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        metadata: {},
        spec: { token },
      } as JsonObject);
      if (review.status?.authenticated !== true) return undefined;
      const user = review.status.user as JsonObject;
      return { name: String(user.username ?? ''), groups: (user.groups ?? []) as string[] };
    });
  }

  async mayCall(caller: Caller, method: string, subresource: string): Promise<boolean> {
    const verbs: Record<string, string> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };
    const verb = verbs[method] ?? 'get';
    return this.#remember(`access ${JSON.stringify([caller, verb, subresource])}`, async () => {
      const review = await this.#client.create(accessReviews, {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        metadata: {},
        spec: {
          user: caller.name,
          groups: caller.groups,
          resourceAttributes: { verb, version: 'v1', resource: 'nodes', subresource, name: this.#nodeName },
        },
      } as JsonObject);
      return review.status?.allowed === true;
    });
  }

  async #remember<T>(key: string, ask: () => Promise<T>): Promise<T> {
    const known = this.#answers.get(key);
    const nowMs = this.#clock.monotonicMs();
    if (known !== undefined && nowMs - known.atMs < freshMs) return known.answer as T;
    const answer = await ask();
    if (this.#answers.size >= answersMax) this.#answers.clear();
    this.#answers.set(key, { answer, atMs: nowMs });
    return answer;
  }
}
