/** Field ownership of writes: who set what, for server-side apply. */
import { present } from '../../env/assert.ts';
import type { RequestContext } from './core.ts';
import {
  conflictError,
  type JsonObject,
  type KubeObject,
  type ResourceSchema,
  scheme,
  serverSideApply,
  timeFromMs,
  updateManagedFields,
} from './kinds.ts';

/** Names longer than this are cut, as upstream's. */
const managerLengthMax = 128;

/** The writer's name: the fieldManager parameter, or the first word of its user agent. */
export function managerOf(context: RequestContext): string {
  const given = context.request.query.get('fieldManager');
  if (given !== null && given !== '') return given.slice(0, managerLengthMax);
  const agent = context.request.headers['user-agent'] ?? 'unknown';
  return agent.split('/')[0]?.slice(0, managerLengthMax) || 'unknown';
}

/** Leases are renewed so often, by one writer each, that who owns their fields is not worth the time. */
function isTracked(resource: ResourceSchema): boolean {
  return resource.resource !== 'leases';
}

function messageOf(resource: ResourceSchema) {
  return present(scheme.message(resource.message), `message ${resource.message}`);
}

export interface Tracking {
  readonly resource: ResourceSchema;
  readonly live: KubeObject | undefined;
  /** Defaulted and canonical: what will be stored. */
  readonly next: KubeObject;
  readonly manager: string;
  readonly subresource: string;
}

/** `next` with the writer recorded as owner of what it changed. */
export function tracked(context: RequestContext, tracking: Tracking): KubeObject {
  const { resource, live, next, manager, subresource } = tracking;
  if (!isTracked(resource)) return next;
  return updateManagedFields({
    live,
    next,
    manager,
    message: messageOf(resource),
    subresource,
    nowRfc3339: timeFromMs(context.core.clock.wallMs()),
  });
}

/** The result of applying `applied` to `live`. Throws a 409 Status for conflicts. */
export function applyTo(
  context: RequestContext,
  request: {
    readonly resource: ResourceSchema;
    readonly live: KubeObject | undefined;
    readonly applied: JsonObject;
    readonly manager: string;
    readonly force: boolean;
    readonly subresource: string;
  },
): KubeObject {
  const { resource, ...rest } = request;
  const nowRfc3339 = timeFromMs(context.core.clock.wallMs());
  const result = serverSideApply({ ...rest, message: messageOf(resource), nowRfc3339 });
  if (result.conflicts !== undefined) throw conflictError(result.conflicts);
  return result.object;
}
