/** Field ownership of writes: who set what, for server-side apply. */
import type { RequestContext } from './core.ts';
import { fail } from './errors.ts';
import type { KubeObject, ResourceSchema } from './kinds.ts';

/** `next` with the writer recorded as owner of what it changed. */
export function tracked(
  _context: RequestContext,
  _resource: ResourceSchema,
  _live: KubeObject | undefined,
  next: KubeObject,
  _subresource: string,
): KubeObject {
  return next;
}

/** The result of applying `applied` to `live`. Throws a 409 Status for conflicts. */
export function applyTo(
  _context: RequestContext,
  _resource: ResourceSchema,
  _live: KubeObject | undefined,
  _applied: KubeObject,
  _subresource: string,
): KubeObject {
  throw fail.unsupportedMediaType('application/apply-patch+yaml', [
    'application/json-patch+json',
    'application/merge-patch+json',
    'application/strategic-merge-patch+json',
  ]);
}
