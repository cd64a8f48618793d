/**
 * Whoever asks for a write once gets it once: no two committed entries carry the same request. Request ids are given once in
 * a member's life and begin at a random place in each, so two entries with one id are one request that was proposed
 * again although its first proposal was still under way.
 */
import { decodeConfChange } from '../../src/raft/core/conf-change-codec.ts';
import type { Entry } from '../../src/raft/core/types.ts';
import { decodeEntry, decodeMemberChange } from '../../src/kv/server/entry.ts';
import { Violation } from './violation.ts';

export class RequestsOnce {
  /** Proposer and request id → where it was committed. */
  readonly #committed = new Map<string, Entry>();

  /** Call once for every index, in any order. */
  committed(entry: Entry): void {
    const request = requestOf(entry);
    if (request === undefined) return;
    const before = this.#committed.get(request);
    if (before !== undefined) {
      throw new Violation(
        'a request happens once',
        `request ${request} is entry ${before.index} of term ${before.term}, and again entry ${entry.index} of term ${entry.term}`,
      );
    }
    this.#committed.set(request, entry);
  }

  get count(): number {
    return this.#committed.size;
  }
}

/** Undefined for entries that nobody asked for: a new leader's own, and the end of a joint membership. */
function requestOf({ kind, data }: Entry): string | undefined {
  if (data.length === 0) return undefined;
  if (kind === 'normal') {
    const { proposer, request } = decodeEntry(data);
    return `${proposer}/${request.requestId}`;
  }
  const { context } = decodeConfChange(data);
  if (context.length === 0) return undefined;
  const { proposer, requestId } = decodeMemberChange(context);
  return `${proposer}/${requestId}`;
}
