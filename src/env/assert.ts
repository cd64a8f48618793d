/**
 * Assertions that stay on in production.
 *
 * A broken assertion is a bug in Keelson, never an operating condition: it throws InvariantViolation, which nothing
 * catches, and the composition root turns it into an exit of the process. Operating errors (a full disk, a lost peer,
 * bad input) are KeelsonError values and are handled.
 */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation';
}

/** Throws InvariantViolation with `message` unless `condition` holds. Pass a function when the text costs something. */
export function assert(condition: unknown, message: string | (() => string)): asserts condition {
  if (condition) return;
  throw new InvariantViolation(typeof message === 'string' ? message : message());
}

/** For the branch of a switch that the types say cannot be reached. */
export function unreachable(value: never): never {
  throw new InvariantViolation(`unreachable value: ${JSON.stringify(value)}`);
}

/** Returns `value`, which the caller believes is there. */
export function present<T>(value: T | null | undefined, what: string): T {
  assert(value !== null && value !== undefined, `${what} must be present`);
  return value;
}
