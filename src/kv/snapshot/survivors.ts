/**
 * Which survivor a lost cluster goes on from, as a pure rule: the one that Raft itself would elect, by the term of its last
 * entry and then by its index. Every entry that was ever committed is on a majority; of the members that are left, this one
 * has the most of them.
 */
import { assert } from '../../env/assert.ts';

export interface Survivor {
  /** For people: its data directory. */
  readonly place: string;
  readonly clusterId: number;
  readonly memberId: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly revision: number;
}

/** The best first. They must be of one cluster. */
export function rankSurvivors<S extends Survivor>(survivors: readonly S[]): readonly S[] {
  const clusters = new Set(survivors.map((survivor) => survivor.clusterId));
  assert(clusters.size <= 1, 'survivors of one cluster are compared');
  return [...survivors].sort((a, b) => b.lastTerm - a.lastTerm || b.lastIndex - a.lastIndex || a.memberId - b.memberId);
}
