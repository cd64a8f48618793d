/**
 * The `continue` token of a paged list: the revision of the snapshot and the last key that was handed out. Opaque to
 * clients; base64url of a JSON value with a version, so that a later server can tell tokens it does not understand.
 */
import { assert } from '../../env/assert.ts';

export interface ContinueToken {
  /** Snapshot that all pages come from. */
  readonly revision: number;
  /** Short key of the last object handed out; the next page starts after it. */
  readonly after: string;
}

export function encodeContinue(token: ContinueToken): string {
  assert(token.revision > 0 && token.after !== '', 'a continue token must name a revision and a key');
  return Buffer.from(JSON.stringify({ v: 1, rv: token.revision, after: token.after })).toString('base64url');
}

/** Undefined when the text is not a token of ours. */
export function decodeContinue(text: string): ContinueToken | undefined {
  try {
    const value = JSON.parse(Buffer.from(text, 'base64url').toString());
    if (value?.v !== 1 || !Number.isSafeInteger(value.rv) || value.rv <= 0) return undefined;
    if (typeof value.after !== 'string' || value.after === '') return undefined;
    return { revision: value.rv, after: value.after };
  } catch {
    return undefined;
  }
}
