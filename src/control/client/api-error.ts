/**
 * What a call to the API server can fail with: the server's own Status (ApiStatusError), or no answer at all
 * (ApiUnavailableError). A write that failed with the second kind and `maySent` may or may not have happened.
 */
import { KeelsonError } from '../../env/errors.ts';
import { type Status, StatusError } from '../api/index.ts';

/** The server answered with a Status of failure: a StatusError that came over the wire. */
export class ApiStatusError extends StatusError {}

/** No answer. `wasSent` is false only when no byte of the request can have reached a server. */
export class ApiUnavailableError extends KeelsonError {
  override readonly name = 'ApiUnavailableError';
  readonly wasSent: boolean;
  constructor(message: string, wasSent: boolean, options?: { cause?: unknown }) {
    super('UNAVAILABLE', message, options);
    this.wasSent = wasSent;
  }
}

/** Whether the server refused with this reason (`NotFound`, `Conflict`, `AlreadyExists`, …). */
export function hasReason(error: unknown, reason: string): boolean {
  return error instanceof StatusError && error.reason === reason;
}

export const isNotFound = (error: unknown): boolean => hasReason(error, 'NotFound');
export const isConflict = (error: unknown): boolean => hasReason(error, 'Conflict');
export const isAlreadyExists = (error: unknown): boolean => hasReason(error, 'AlreadyExists');
export const isForbidden = (error: unknown): boolean => hasReason(error, 'Forbidden');
export const isGone = (error: unknown): boolean =>
  error instanceof StatusError && (error.status.code === 410 || error.reason === 'Expired' || error.reason === 'Gone');

/** Refused because the namespace is going away: nothing more is to be made in it. */
export const isNamespaceTerminating = (error: unknown): boolean =>
  isForbidden(error) &&
  error instanceof StatusError &&
  ((error.status['details']?.causes ?? []).some(
    (cause: { reason?: string }) => cause.reason === 'NamespaceTerminating',
  ) ||
    error.message.includes('because it is being terminated'));

const reasonsByCode: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Gone',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

/** The Status in a response body, or one made from the HTTP status when the body holds none. */
export function statusOfResponse(httpStatus: number, body: string): Status {
  try {
    const parsed = JSON.parse(body);
    if (parsed !== null && typeof parsed === 'object' && parsed.kind === 'Status') {
      return { ...parsed, code: parsed.code ?? httpStatus };
    }
  } catch {
    // Not JSON: proxies answer in plain text. The text itself goes into the message below.
  }
  return {
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    message: body.slice(0, 1024) || `HTTP status ${httpStatus}`,
    reason: reasonsByCode[httpStatus] ?? 'Unknown',
    code: httpStatus,
  };
}
