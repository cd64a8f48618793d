/**
 * From a request to its answer: authentication, limits, authorization, routing; errors become Status on the way out.
 * Pure of sockets. Broken invariants are not caught: they reach the composition root, which stops the process.
 */
import { errorText } from '../../env/errors.ts';
import type { Authenticator } from './authenticator.ts';
import type { Core, RequestContext } from './core.ts';
import type { Discovery } from './discovery.ts';
import { fail, toStatusError } from './errors.ts';
import { handleHealth, type HealthChecks } from './health.ts';
import { type ApiRequest, type ApiResponse, type Headers, jsonResponse, textResponse } from './http.ts';
import { type ResourceSchema, scheme, type Status } from './kinds.ts';
import type { RequestLabels } from './metrics.ts';
import { openApiResponse } from './openapi.ts';
import { podStreamHandler } from './pod-streams.ts';
import { type Attributes, describeRefusal, type User } from './rbac.ts';
import { handleGet, handleList } from './read-handlers.ts';
import { parseRequestInfo, type RequestInfo } from './request-info.ts';
import { statusResponse } from './responses.ts';
import { reviewHandlers } from './reviews.ts';
import { handleBinding, subresourceHandler } from './subresources.ts';
import { versionInfo } from './version.ts';
import { handleWatch } from './watch-handler.ts';
import { handleCreate, handleDelete, handleDeleteCollection, handlePatch, handleUpdate } from './write-handlers.ts';

/** Requests under way at once, upstream's defaults: beyond them clients are told to come back. */
const readsMax = 400;
const writesMax = 200;

type Handler = (context: RequestContext, resource: ResourceSchema) => Promise<ApiResponse>;

export interface DispatcherOptions {
  readonly core: Core;
  readonly authenticator: Authenticator;
  readonly discovery: Discovery;
  readonly health: HealthChecks;
}

const verbHandlers: Readonly<Record<string, Handler>> = {
  get: handleGet,
  list: handleList,
  watch: handleWatch,
  create: handleCreate,
  update: handleUpdate,
  patch: handlePatch,
  delete: handleDelete,
  deletecollection: handleDeleteCollection,
};

/** Words of 405 answers. */
const actions: Readonly<Record<string, string>> = { deletecollection: 'delete' };

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #reviews: ReadonlyMap<string, Handler>;
  #reads = 0;
  #writes = 0;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#reviews = reviewHandlers(options.authenticator);
  }

  async handle(request: ApiRequest): Promise<ApiResponse> {
    const { core } = this.#options;
    const startMs = core.clock.monotonicMs();
    const info = parseRequestInfo(request.method, request.path, request.query);
    if (info === undefined) return statusResponse(undefined, fail.badRequest('the path is malformed').status);
    const auditId = request.headers['audit-id'] ?? core.random.uuid();
    const warnings: string[] = [];
    let response: ApiResponse;
    let context: RequestContext | undefined;
    try {
      const user = await this.#authenticate(request);
      context = { core, request, info, user, warnings };
      response = await this.#limited(context);
    } catch (error) {
      const status = toStatusError(error).status;
      if (status.code >= 500) this.#logFailure(info, status, error);
      const bare: RequestContext = { core, request, info, user: { name: '', groups: [] }, warnings };
      response = statusResponse(context ?? bare, status);
    }
    this.#measure(info, request, response, startMs);
    if (response.kind === 'upgrade') return response;
    const headers: Headers = {
      ...response.headers,
      'audit-id': auditId,
      'cache-control': response.headers['cache-control'] ?? 'no-cache, private',
    };
    if (warnings.length > 0) headers['warning'] = warnings.map(warningHeader).join(', ');
    return { ...response, headers };
  }

  #logFailure(info: RequestInfo, status: Status, error: unknown): void {
    const fields = { verb: info.verb, path: info.path, code: status.code, error: errorText(error) };
    // Anything we did not expect shows where it came from.
    const isUnexpected = status.code === 500 && error instanceof Error;
    this.#options.core.log.warn('request failed', isUnexpected ? { ...fields, stack: error.stack } : fields);
  }

  #authenticate(request: ApiRequest): Promise<User> {
    return this.#options.authenticator.authenticate(request);
  }

  /** Watches and other long requests do not count: they would use up the limit by just being there. */
  async #limited(context: RequestContext): Promise<ApiResponse> {
    const { info, user } = context;
    if (isLongRunning(info) || user.groups.includes('system:masters')) return this.#authorized(context);
    const isRead = info.verb === 'get' || info.verb === 'list';
    if (isRead ? this.#reads >= readsMax : this.#writes >= writesMax) {
      context.core.metrics.rejected(429);
      throw fail.tooManyRequests('too many requests, please try again later', 1);
    }
    const count = (change: 1 | -1) => {
      if (isRead) this.#reads += change;
      else this.#writes += change;
      context.core.metrics.inflight(isRead ? 'readOnly' : 'mutating', isRead ? this.#reads : this.#writes);
    };
    count(1);
    try {
      return await this.#authorized(context);
    } finally {
      count(-1);
    }
  }

  async #authorized(context: RequestContext): Promise<ApiResponse> {
    const { core, info, user } = context;
    const attributes: Attributes = { ...info, verb: info.verb };
    if (!isOpenPath(info.path) && !core.authorizer.isAllowed(user, attributes)) {
      const why = describeRefusal(user, attributes);
      throw fail.forbidden(
        info.isResourceRequest ? { group: info.group, resource: info.resource } : { group: '', resource: '' },
        info.name,
        core.cache.synced ? why : `${why}: RBAC: the roles are not loaded yet`,
      );
    }
    return info.isResourceRequest ? this.#resource(context) : this.#path(context);
  }

  async #resource(context: RequestContext): Promise<ApiResponse> {
    const { info } = context;
    const resource = scheme.resource(info);
    if (resource === undefined) throw fail.noPath();
    if (info.subresource !== '') return this.#subresource(context, resource);
    const review = this.#reviews.get(`${info.group}/${info.resource}`);
    if (info.verb === 'create') {
      if (review !== undefined) return review(context, resource);
      if (info.group === '' && info.resource === 'bindings') return handleBinding(context, resource);
    }
    const handler = verbHandlers[info.verb];
    if (handler === undefined || !resource.verbs.includes(info.verb as never)) {
      throw fail.methodNotAllowed(info, actions[info.verb] ?? info.verb);
    }
    const needsName = info.verb === 'update' || info.verb === 'patch';
    if (needsName && info.name === '') throw fail.methodNotAllowed(info, info.verb);
    if (resource.isNamespaced && info.namespace === '' && info.verb !== 'list' && info.verb !== 'watch') {
      throw fail.noPath();
    }
    return handler(context, resource);
  }

  #subresource(context: RequestContext, resource: ResourceSchema): Promise<ApiResponse> {
    const { info } = context;
    const isPod = info.group === '' && info.resource === 'pods';
    const known =
      (info.subresource === 'status' && resource.hasStatus) ||
      resource.subresources.some((item) => item.name === info.subresource);
    const handler = (isPod ? podStreamHandler(info.subresource) : undefined) ?? subresourceHandler(info.subresource);
    if (!known || handler === undefined || info.rest.length > 0) throw fail.noPath();
    return handler(context, resource);
  }

  async #path(context: RequestContext): Promise<ApiResponse> {
    const { core, request, info } = context;
    const { discovery, health } = this.#options;
    const healthAnswer = await handleHealth(info.path, request.query, health);
    if (healthAnswer !== undefined) return healthAnswer;
    if (request.method !== 'GET' && request.method !== 'HEAD') throw fail.noPath();
    switch (info.path) {
      case '/':
        return jsonResponse(200, {
          paths: [
            '/api',
            '/apis',
            '/healthz',
            '/livez',
            '/metrics',
            '/openapi/v2',
            '/openapi/v3',
            '/readyz',
            '/version',
          ],
        });
      case '/version':
      case '/version/':
        return jsonResponse(200, versionInfo);
      case '/metrics':
        return textResponse(200, await core.metrics.text(), { 'content-type': core.metrics.contentType });
      case '/openid/v1/jwks':
        return jsonResponse(200, await core.tokens.jwks(), { 'content-type': 'application/jwk-set+json' });
      case '/.well-known/openid-configuration':
        return jsonResponse(200, {
          issuer: core.tokens.issuer,
          jwks_uri: `${core.tokens.issuer}/openid/v1/jwks`,
          response_types_supported: ['id_token'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['ES256'],
        });
      default: {
        const host = request.headers['host'] ?? '';
        const answer = openApiResponse(context) ?? discovery.handle(info.path, request.headers, host);
        if (answer === undefined) throw fail.noPath();
        return answer;
      }
    }
  }

  #measure(info: RequestInfo, request: ApiRequest, response: ApiResponse, startMs: number): void {
    const { core } = this.#options;
    const labels = labelsOf(info);
    const code = response.kind === 'upgrade' ? 101 : response.status;
    core.metrics.finished(labels, {
      code,
      seconds: (core.clock.monotonicMs() - startMs) / 1000,
      bytes: response.kind === 'body' ? response.body.length : 0,
      dryRun: request.query.get('dryRun') ?? '',
    });
    if (response.kind === 'stream') core.metrics.longRunning(labels, 1);
  }

  /** The adapter calls it when a streamed answer is over. */
  streamOver(request: ApiRequest): void {
    const info = parseRequestInfo(request.method, request.path, request.query);
    if (info !== undefined) this.#options.core.metrics.longRunning(labelsOf(info), -1);
  }
}

/** Probes must work for load balancers and when roles are not readable. */
function isOpenPath(path: string): boolean {
  return /^\/(livez|readyz|healthz)(\/|$)/.test(path);
}

function isLongRunning(info: RequestInfo): boolean {
  return info.verb === 'watch' || ['log', 'exec', 'attach', 'portforward', 'proxy'].includes(info.subresource);
}

function labelsOf(info: RequestInfo): RequestLabels {
  const isKnown = info.isResourceRequest && scheme.resource(info) !== undefined;
  return {
    verb: info.verb.toUpperCase(),
    group: isKnown ? info.group : '',
    version: isKnown ? info.version : '',
    resource: isKnown ? info.resource : '',
    subresource: isKnown ? info.subresource : '',
    scope: !isKnown ? '' : info.name !== '' ? 'resource' : info.namespace !== '' ? 'namespace' : 'cluster',
  };
}

/** RFC 7234's warning with code 299 and no agent, as client-go prints it. */
function warningHeader(text: string): string {
  const quoted = text.replace(/[\\"]/g, '\\$&').replace(/[^\x20-\x7e]/g, '?');
  return `299 - "${quoted}"`;
}
