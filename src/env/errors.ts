/**
 * Operating errors: what can go wrong although the program is right.
 *
 * Every error has a stable `code` that programs match on, and a message that says the action that failed, the object,
 * the current and the wanted value, and what to do. Errors are mapped to a protocol's own form once, at the edge.
 */
export class KeelsonError extends Error {
  override readonly name: string = 'KeelsonError';
  readonly code: string;
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The text of anything that was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
