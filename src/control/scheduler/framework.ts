/**
 * How a pod finds its node: filters say which nodes can take it and why the others cannot, scores from 0 to 10 say how
 * good each of the rest is. Pure: the same snapshot, pod and random numbers give the same node.
 */
import { assert } from '../../env/assert.ts';
import type { Random } from '../../env/random.ts';
import type { KubeObject } from '../api/contract.ts';
import { type NodeInfo, type PodInfo, podInfoOf, type Snapshot } from './node-info.ts';

export const scoreMax = 10;

/** A filter for one pod: undefined when the node can take it, else upstream's reasons. */
export type NodeFilter = (node: NodeInfo) => readonly string[] | undefined;
/** Scores for one pod, one for each of `nodes`, from 0 to 10. */
export type NodeScore = (nodes: readonly NodeInfo[]) => readonly number[];

export interface Plugin {
  readonly name: string;
  /** Looks once at the pod and the whole snapshot. Undefined when the plugin has nothing to say about this pod. */
  readonly filter?: (pod: PodInfo, snapshot: Snapshot) => NodeFilter | undefined;
  readonly score?: (pod: PodInfo, snapshot: Snapshot) => NodeScore | undefined;
  readonly weight?: number;
}

export type Placement =
  | { readonly node: string }
  | { readonly node: undefined; readonly message: string; readonly plugins: readonly string[] };

/** Places `pod`, or says why no node can take it, in the words of kube-scheduler. */
export function schedulePod(
  snapshot: Snapshot,
  pod: KubeObject,
  random: Pick<Random, 'integer'>,
  plugins: readonly Plugin[],
): Placement {
  const info = podInfoOf(pod);
  const { nodes } = snapshot;
  if (nodes.length === 0) return { node: undefined, message: 'no nodes available to schedule pods', plugins: [] };
  const filters = plugins.flatMap(({ name, filter }) => {
    const check = filter?.(info, snapshot);
    return check === undefined ? [] : [{ name, check }];
  });
  const reasons = new Map<string, number>();
  const rejecting = new Set<string>();
  const feasible = nodes.filter((node) => {
    for (const { name, check } of filters) {
      const why = check(node);
      if (why === undefined) continue;
      rejecting.add(name);
      for (const reason of why) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      return false;
    }
    return true;
  });
  if (feasible.length === 0) {
    const told = [...reasons].map(([reason, count]) => `${count} ${reason}`).sort();
    const message = `0/${nodes.length} nodes are available: ${told.join(', ')}.`;
    return { node: undefined, message, plugins: [...rejecting].sort() };
  }
  const totals = scoreNodes(snapshot, info, feasible, plugins);
  const best = Math.max(...totals);
  // Equal to within rounding counts as equal, or the order of additions would decide.
  const winners = feasible.filter((_, index) => (totals[index] as number) > best - 1e-9);
  const winner = winners[random.integer(0, winners.length - 1)];
  assert(winner !== undefined, 'the best score belongs to a node');
  return { node: winner.name };
}

/** The weighted sum of all scores, by index of `nodes`. */
export function scoreNodes(
  snapshot: Snapshot,
  pod: PodInfo,
  nodes: readonly NodeInfo[],
  plugins: readonly Plugin[],
): number[] {
  const totals = nodes.map(() => 0);
  for (const { name, score, weight = 1 } of plugins) {
    const values = score?.(pod, snapshot)?.(nodes);
    values?.forEach((value, index) => {
      assert(value >= 0 && value <= scoreMax, () => `plugin ${name} must score from 0 to ${scoreMax}, not ${value}`);
      totals[index] = (totals[index] as number) + weight * value;
    });
  }
  return totals;
}

/** Counts into scores: the lowest count gets 10, the highest 0. */
export function fewestBest(counts: readonly number[]): number[] {
  const most = Math.max(0, ...counts);
  const least = Math.min(...counts);
  return counts.map((count) => (most === least ? scoreMax : (scoreMax * (most - count)) / (most - least)));
}

/** Counts into scores: the highest count gets 10, zero gets 0. */
export function mostBest(counts: readonly number[]): number[] {
  const most = Math.max(0, ...counts);
  return counts.map((count) => (most === 0 ? 0 : (scoreMax * Math.max(0, count)) / most));
}
