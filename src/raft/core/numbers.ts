/**
 * The doors through which plain numbers become terms, indexes, members and tokens. Each asserts that the number is a
 * whole one below 2^53, so arithmetic that went wrong stops here and not on disk.
 */
import { assert } from '../../env/assert.ts';
import type { Index, PersistToken, ReplicaId, Term } from './types.ts';

function assertWhole(value: number, what: string): void {
  assert(Number.isSafeInteger(value) && value >= 0, () => `${what} must be a whole number from 0, not ${value}`);
}

/** A log position; 0 is before the first entry. */
export function toIndex(value: number): Index {
  assertWhole(value, 'an index');
  return value as Index;
}

/** A term; 0 is before any election. */
export function toTerm(value: number): Term {
  assertWhole(value, 'a term');
  return value as Term;
}

/** A member; 0 is nobody. */
export function toReplicaId(value: number): ReplicaId {
  assertWhole(value, 'a replica id');
  return value as ReplicaId;
}

/** A persist token; 0 is before the first record. */
export function toPersistToken(value: number): PersistToken {
  assertWhole(value, 'a persist token');
  return value as PersistToken;
}

/** The smaller of two indexes. */
export function minIndex(left: Index, right: Index): Index {
  return left < right ? left : right;
}

/** The larger of two indexes. */
export function maxIndex(left: Index, right: Index): Index {
  return left > right ? left : right;
}

export const noIndex: Index = toIndex(0);
export const noTerm: Term = toTerm(0);
/** The replica id that stands for "unknown leader" and "no vote". */
export const nobody: ReplicaId = toReplicaId(0);
