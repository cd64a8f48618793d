/** Review kinds: questions that are asked by POST and never stored. */
import type { Authenticator } from './authenticator.ts';
import type { RequestContext } from './core.ts';
import { fail } from './errors.ts';
import type { ApiResponse } from './http.ts';
import { type JsonObject, type KubeObject, type ResourceSchema, timeFromMs } from './kinds.ts';
import type { Attributes, PolicyRule, User } from './rbac.ts';
import { expectedOf, requireBody } from './request-body.ts';
import { valueResponse } from './responses.ts';

type Handler = (context: RequestContext, resource: ResourceSchema) => Promise<ApiResponse>;

function toAttributes(spec: JsonObject): Attributes {
  const resource: JsonObject | undefined = spec['resourceAttributes'];
  const path: JsonObject | undefined = spec['nonResourceAttributes'];
  if ((resource === undefined) === (path === undefined)) {
    throw fail.badRequest('exactly one of nonResourceAttributes or resourceAttributes must be specified');
  }
  return {
    verb: resource?.['verb'] ?? path?.['verb'] ?? '',
    isResourceRequest: resource !== undefined,
    group: resource?.['group'] ?? '',
    resource: resource?.['resource'] ?? '',
    subresource: resource?.['subresource'] ?? '',
    name: resource?.['name'] ?? '',
    namespace: resource?.['namespace'] ?? '',
    path: path?.['path'] ?? '',
  };
}

function answer(context: RequestContext, review: KubeObject, status: JsonObject): ApiResponse {
  return valueResponse(context, 201, { ...review, status });
}

function decide(context: RequestContext, user: User, spec: JsonObject): JsonObject {
  return { allowed: context.core.authorizer.isAllowed(user, toAttributes(spec)) };
}

const selfSubjectAccessReview: Handler = async (context, resource) => {
  const review = await requireBody(context, expectedOf(resource));
  return answer(context, review, decide(context, context.user, review['spec'] ?? {}));
};

const subjectAccessReview: Handler = async (context, resource) => {
  const review = await requireBody(context, expectedOf(resource));
  const spec: JsonObject = review['spec'] ?? {};
  const user: User = { name: spec['user'] ?? '', groups: spec['groups'] ?? [] };
  if (user.name === '' && user.groups.length === 0) {
    throw fail.badRequest('spec.user: Invalid value: "": at least one of user or group must be specified');
  }
  return answer(context, review, decide(context, user, spec));
};

const selfSubjectRulesReview: Handler = async (context, resource) => {
  const review = await requireBody(context, expectedOf(resource));
  const namespace: string = review['spec']?.namespace ?? '';
  if (namespace === '') throw fail.badRequest('no namespace on request');
  const rules = context.core.authorizer.rulesFor(context.user, namespace);
  const isPath = (rule: PolicyRule) => (rule.nonResourceURLs ?? []).length > 0;
  return answer(context, review, {
    resourceRules: rules
      .filter((rule) => !isPath(rule))
      .map(({ verbs, apiGroups, resources, resourceNames }) => ({ verbs, apiGroups, resources, resourceNames })),
    nonResourceRules: rules.filter(isPath).map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
    incomplete: false,
  });
};

function userInfo(user: User): JsonObject {
  return {
    username: user.name,
    ...(user.uid === undefined ? {} : { uid: user.uid }),
    groups: [...user.groups],
    ...(user.extra === undefined ? {} : { extra: user.extra }),
  };
}

const selfSubjectReview: Handler = async (context, resource) => {
  const review = await requireBody(context, expectedOf(resource));
  review.metadata = { creationTimestamp: timeFromMs(context.core.clock.wallMs()) } as KubeObject['metadata'];
  return answer(context, review, { userInfo: userInfo(context.user) });
};

function tokenReview(authenticator: Authenticator): Handler {
  return async (context, resource) => {
    const review = await requireBody(context, expectedOf(resource));
    const token: string = review['spec']?.token ?? '';
    if (token === '') throw fail.badRequest('token is required for TokenReview in authentication');
    const asked: string[] = review['spec']?.audiences ?? [];
    const verdict = await authenticator.reviewToken(token, asked.length > 0 ? asked : context.core.tokens.audiences);
    const status = verdict.isAuthenticated
      ? { authenticated: true, user: userInfo(verdict.user), audiences: [...verdict.audiences] }
      : { user: {}, error: verdict.error };
    return answer(context, review, status);
  };
}

/** Handlers of review resources, by `group/resource`. */
export function reviewHandlers(authenticator: Authenticator): ReadonlyMap<string, Handler> {
  return new Map<string, Handler>([
    ['authorization.k8s.io/selfsubjectaccessreviews', selfSubjectAccessReview],
    ['authorization.k8s.io/subjectaccessreviews', subjectAccessReview],
    ['authorization.k8s.io/localsubjectaccessreviews', subjectAccessReview],
    ['authorization.k8s.io/selfsubjectrulesreviews', selfSubjectRulesReview],
    ['authentication.k8s.io/selfsubjectreviews', selfSubjectReview],
    ['authentication.k8s.io/tokenreviews', tokenReview(authenticator)],
  ]);
}
