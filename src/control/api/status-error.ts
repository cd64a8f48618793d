/**
 * Errors that go to clients as a Status object, with kube-apiserver's reasons, codes and texts: client-go, kubectl and
 * Helm match on them. Throw one anywhere below a request handler; the edge writes `error.status` with `error.code`.
 */
import { KeelsonError } from '../../env/errors.ts';
import type { FieldError, Status } from './contract.ts';

export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

/** What an error is about: a group ('' for core) and a plural resource name. */
export interface GroupResource {
  readonly group: string;
  readonly resource: string;
}

export class StatusError extends KeelsonError {
  override readonly name = 'StatusError';
  readonly status: Status;
  constructor(status: Status) {
    super(status['reason'] ?? '', status.message ?? '');
    this.status = status;
  }

  get httpCode(): number {
    return this.status.code;
  }

  get reason(): string {
    return this.status.reason ?? '';
  }

  get retryAfterSeconds(): number | undefined {
    return this.status['details']?.retryAfterSeconds;
  }
}

function failure(code: number, reason: string, message: string, details?: StatusDetails): StatusError {
  // Field order is upstream's: reason and details come before code.
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    ...(reason === '' ? {} : { reason }),
    ...(details === undefined ? {} : { details }),
    code,
  });
}

/** The Status object of any error: what is not a StatusError is an internal error. */
export function statusOf(error: unknown): Status {
  if (error instanceof StatusError) return error.status;
  return internalError(error instanceof Error ? error.message : String(error)).status;
}

/** Rebuilds the error that a server sent; for clients. */
export function statusErrorFrom(status: Partial<Status>, httpCode: number): StatusError {
  return failure(
    status.code ?? httpCode,
    status.reason ?? '',
    status.message ?? `the server answered with code ${httpCode}`,
    status['details'],
  );
}

/** `deployments.apps`, or `pods` in the core group. */
export function qualifiedResource(resource: GroupResource): string {
  return resource.group === '' ? resource.resource : `${resource.resource}.${resource.group}`;
}

function about(resource: GroupResource, name: string): StatusDetails {
  return {
    ...(name === '' ? {} : { name }),
    ...(resource.group === '' ? {} : { group: resource.group }),
    kind: resource.resource,
  };
}

export function notFound(resource: GroupResource, name: string): StatusError {
  return failure(
    404,
    'NotFound',
    `${qualifiedResource(resource)} ${JSON.stringify(name)} not found`,
    about(resource, name),
  );
}

/** A path that no resource is served at. */
export function pathNotFound(): StatusError {
  return failure(404, 'NotFound', 'the server could not find the requested resource', {});
}

export function alreadyExists(resource: GroupResource, name: string): StatusError {
  return failure(
    409,
    'AlreadyExists',
    `${qualifiedResource(resource)} ${JSON.stringify(name)} already exists`,
    about(resource, name),
  );
}

/** generateName ran out of luck. */
export function generateNameConflict(resource: GroupResource, name: string, retryAfterSeconds: number): StatusError {
  return failure(
    409,
    'AlreadyExists',
    `${qualifiedResource(resource)} ${JSON.stringify(name)} already exists, the server was not able to generate a unique name for the object`,
    { ...about(resource, name), retryAfterSeconds },
  );
}

/** The text of a stale resourceVersion, for `conflict`. */
export const modifiedMessage =
  'the object has been modified; please apply your changes to the latest version and try again';

export function conflict(resource: GroupResource, name: string, why: string = modifiedMessage): StatusError {
  return failure(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualifiedResource(resource)} ${JSON.stringify(name)}: ${why}`,
    about(resource, name),
  );
}

/** A precondition of a delete or update that does not hold. */
export function preconditionFailed(
  resource: GroupResource,
  name: string,
  field: 'UID' | 'ResourceVersion',
  wanted: string,
  found: string,
): StatusError {
  return conflict(
    resource,
    name,
    `Precondition failed: ${field} in precondition: ${wanted}, ${field} in object meta: ${found}`,
  );
}

/** Several managers own a field: server-side apply's conflict. `causes` carry field and message. */
export function applyConflict(message: string, causes: readonly StatusCause[]): StatusError {
  return failure(409, 'Conflict', message, { causes });
}

/** Validation failed. `kind` is the kind, not the resource. */
export function invalid(
  kind: { readonly group: string; readonly kind: string },
  name: string,
  errors: readonly FieldError[],
): StatusError {
  const texts = errors.map((error) => `${error.field}: ${error.message}`);
  const text = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  const qualified = kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`;
  return failure(422, 'Invalid', `${qualified} ${JSON.stringify(name)} is invalid: ${text}`, {
    ...(name === '' ? {} : { name }),
    ...(kind.group === '' ? {} : { group: kind.group }),
    kind: kind.kind,
    causes: errors.map((error) => ({ reason: error.reason, message: error.message, field: error.field })),
  });
}

/** `why` as an authorizer says it: `User "x" cannot get resource "pods" in API group "" in the namespace "default"`. */
export function forbidden(resource: GroupResource, name: string, why: string): StatusError {
  if (resource.resource === '') return failure(403, 'Forbidden', `forbidden: ${why}`, {});
  const subject =
    name === ''
      ? `${qualifiedResource(resource)} is forbidden`
      : `${qualifiedResource(resource)} ${JSON.stringify(name)} is forbidden`;
  return failure(403, 'Forbidden', `${subject}: ${why}`, about(resource, name));
}

export function unauthorized(message = 'Unauthorized'): StatusError {
  return failure(401, 'Unauthorized', message);
}

export function badRequest(message: string): StatusError {
  return failure(400, 'BadRequest', message);
}

/** A watch or list asked for history that was compacted away. */
export function gone(message: string): StatusError {
  return failure(410, 'Expired', message);
}

/** The client saw a revision that this server has not reached yet. */
export function tooLargeResourceVersion(wanted: number | string, current: number | string): StatusError {
  return failure(504, 'Timeout', `Too large resource version: ${wanted}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

export function internalError(message: string): StatusError {
  return failure(500, 'InternalError', `Internal error occurred: ${message}`, {
    causes: [{ message }],
  });
}

export function methodNotAllowed(resource: GroupResource, action: string): StatusError {
  return failure(
    405,
    'MethodNotAllowed',
    `${action} is not supported on resources of kind ${JSON.stringify(qualifiedResource(resource))}`,
    { ...(resource.group === '' ? {} : { group: resource.group }), kind: resource.resource },
  );
}

export function unsupportedMediaType(contentType: string, supported: readonly string[]): StatusError {
  return failure(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format (${contentType}) - accepted media types include: ${supported.join(', ')}`,
  );
}

export function notAcceptable(supported: readonly string[]): StatusError {
  return failure(406, 'NotAcceptable', `only the following media types are accepted: ${supported.join(', ')}`);
}

export function timeout(message: string, retryAfterSeconds = 0): StatusError {
  return failure(504, 'Timeout', `Timeout: ${message}`, retryAfterSeconds > 0 ? { retryAfterSeconds } : undefined);
}

export function tooManyRequests(message: string, retryAfterSeconds = 1): StatusError {
  return failure(429, 'TooManyRequests', message, { retryAfterSeconds });
}

/** An eviction that a disruption budget forbids. */
export function disruptionBudgetExceeded(name: string, budget: string): StatusError {
  return failure(429, 'TooManyRequests', `Cannot evict pod as it would violate the pod's disruption budget.`, {
    name,
    causes: [
      { reason: 'DisruptionBudget', message: `The disruption budget ${budget} does not allow this eviction now` },
    ],
  });
}

export function requestEntityTooLarge(message: string): StatusError {
  return failure(413, 'RequestEntityTooLarge', `Request entity too large: ${message}`);
}

export function serviceUnavailable(message: string, retryAfterSeconds = 1): StatusError {
  return failure(503, 'ServiceUnavailable', message, { retryAfterSeconds });
}
