/** Filters and scores about where a pod's relatives are: topology spread, pod affinity and anti-affinity. Pure. */
import type { JsonObject, KubeObject } from '../../api/contract.ts';
import { matchesLabelSelector, selectorFromObject } from '../../api/index.ts';
import { fewestBest, type Plugin, scoreMax } from '../framework.ts';
import type { NodeInfo, Snapshot } from '../node-info.ts';
import { isTolerated, matchesNodeAffinity } from './node-fit.ts';

const zoneLabel = 'topology.kubernetes.io/zone';

const domainOf = (node: NodeInfo, key: string): string | undefined => node.node.metadata.labels?.[key];

/** The pods that `selector` (a LabelSelector object; absent = none) selects in `namespace`. */
function countMatching(node: NodeInfo, namespace: string | undefined, selector: JsonObject | undefined): number {
  if (selector === undefined) return 0;
  const parsed = selectorFromObject(selector);
  let count = 0;
  for (const { pod } of node.pods.values()) {
    if (pod.metadata.namespace !== namespace || pod.metadata.deletionTimestamp !== undefined) continue;
    if (matchesLabelSelector(parsed, pod.metadata.labels)) count++;
  }
  return count;
}

function constraintSelector(pod: KubeObject, constraint: JsonObject): JsonObject {
  const labels = pod.metadata.labels ?? {};
  const extra = ((constraint['matchLabelKeys'] ?? []) as string[])
    .filter((key) => labels[key] !== undefined)
    .map((key) => ({ key, operator: 'In', values: [labels[key]] }));
  const selector: JsonObject = constraint['labelSelector'] ?? {};
  return { ...selector, matchExpressions: [...(selector['matchExpressions'] ?? []), ...extra] };
}

function isEligible(pod: KubeObject, node: NodeInfo, constraint: JsonObject): boolean {
  if (constraint['nodeAffinityPolicy'] !== 'Ignore' && !matchesNodeAffinity(pod, node.node)) return false;
  if (constraint['nodeTaintsPolicy'] !== 'Honor') return true;
  return ((node.node['spec']?.taints ?? []) as JsonObject[]).every(
    (taint) => taint['effect'] === 'PreferNoSchedule' || isTolerated(pod['spec'].tolerations, taint),
  );
}

function domainCounts(snapshot: Snapshot, pod: KubeObject, constraint: JsonObject): Map<string, number> {
  const counts = new Map<string, number>();
  const selector = constraintSelector(pod, constraint);
  for (const node of snapshot.nodes) {
    const domain = domainOf(node, constraint['topologyKey']);
    if (domain === undefined || !isEligible(pod, node, constraint)) continue;
    counts.set(domain, (counts.get(domain) ?? 0) + countMatching(node, pod.metadata.namespace, selector));
  }
  return counts;
}

export const podTopologySpread: Plugin = {
  name: 'PodTopologySpread',
  weight: 2,
  filter: ({ pod }, snapshot) => {
    const hard = ((pod['spec'].topologySpreadConstraints ?? []) as JsonObject[])
      .filter((each) => each['whenUnsatisfiable'] === 'DoNotSchedule')
      .map((constraint) => ({ constraint, counts: domainCounts(snapshot, pod, constraint) }));
    if (hard.length === 0) return undefined;
    return (node) => {
      for (const { constraint, counts } of hard) {
        const domain = domainOf(node, constraint['topologyKey']);
        if (domain === undefined) {
          return ["node(s) didn't match pod topology spread constraints (missing required label)"];
        }
        const minDomains: number = constraint['minDomains'] ?? 1;
        const least = counts.size < minDomains ? 0 : Math.min(...counts.values());
        const isSelf = matchesLabelSelector(
          selectorFromObject(constraintSelector(pod, constraint)),
          pod.metadata.labels,
        );
        if ((counts.get(domain) ?? 0) + (isSelf ? 1 : 0) - least > constraint['maxSkew']) {
          return ["node(s) didn't match pod topology spread constraints"];
        }
      }
      return undefined;
    };
  },
  score: ({ pod }, snapshot) => {
    const soft = ((pod['spec'].topologySpreadConstraints ?? []) as JsonObject[]).filter(
      (each) => each['whenUnsatisfiable'] === 'ScheduleAnyway',
    );
    if (soft.length === 0) return undefined;
    const counted = soft.map((constraint) => ({ constraint, counts: domainCounts(snapshot, pod, constraint) }));
    return (nodes) =>
      fewestBest(
        nodes.map((node) =>
          counted.reduce((sum, { constraint, counts }) => {
            const domain = domainOf(node, constraint['topologyKey']);
            return sum + (domain === undefined ? 0 : (counts.get(domain) ?? 0) / (constraint['maxSkew'] || 1));
          }, 0),
        ),
      );
  },
};

/** Without constraints of its own, a pod is spread from the pods of the same controller, by node and by zone. */
export const selectorSpread: Plugin = {
  name: 'SelectorSpread',
  weight: 2,
  score: ({ pod }, snapshot) => {
    const owner = pod.metadata.ownerReferences?.find((each) => each.controller)?.uid;
    if (owner === undefined || (pod['spec'].topologySpreadConstraints ?? []).length > 0) return undefined;
    const relatives = (node: NodeInfo) =>
      [...node.pods.values()].filter(
        ({ pod: other }) =>
          other.metadata.deletionTimestamp === undefined &&
          other.metadata.ownerReferences?.some((each) => each.controller && each.uid === owner),
      ).length;
    const byZone = new Map<string, number>();
    for (const node of snapshot.nodes) {
      const zone = domainOf(node, zoneLabel);
      if (zone !== undefined) byZone.set(zone, (byZone.get(zone) ?? 0) + relatives(node));
    }
    return (nodes) => {
      const onNodes = fewestBest(nodes.map(relatives));
      if (byZone.size === 0) return onNodes;
      // Zones weigh twice as much as nodes, as they fail together.
      const onZones = fewestBest(nodes.map((node) => byZone.get(domainOf(node, zoneLabel) ?? '') ?? 0));
      return onNodes.map((score, index) => Math.min(scoreMax, score / 3 + ((onZones[index] as number) * 2) / 3));
    };
  },
};

interface Term {
  readonly namespaces: ReadonlySet<string>;
  readonly selector: JsonObject | undefined;
  readonly topologyKey: string;
}

function termOf(owner: KubeObject, term: JsonObject): Term {
  const named: string[] = term['namespaces'] ?? [];
  const own = owner.metadata.namespace ?? '';
  return {
    // A namespaceSelector of {} means all; others need Namespace objects, which the snapshot does not hold.
    namespaces: new Set(named.length > 0 ? named : [own]),
    selector: term['labelSelector'],
    topologyKey: term['topologyKey'],
  };
}

const matchesTerm = (term: Term, pod: KubeObject): boolean =>
  term.selector !== undefined &&
  term.namespaces.has(pod.metadata.namespace ?? '') &&
  matchesLabelSelector(selectorFromObject(term.selector), pod.metadata.labels);

/** The domains that hold a pod which `term` selects. */
function domainsWith(snapshot: Snapshot, term: Term): Set<string> {
  const domains = new Set<string>();
  for (const node of snapshot.nodes) {
    const domain = domainOf(node, term.topologyKey);
    if (domain === undefined || domains.has(domain)) continue;
    for (const { pod } of node.pods.values()) {
      if (matchesTerm(term, pod)) {
        domains.add(domain);
        break;
      }
    }
  }
  return domains;
}

const required = (pod: KubeObject, kind: 'podAffinity' | 'podAntiAffinity'): Term[] =>
  (pod['spec'].affinity?.[kind]?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map((term: JsonObject) =>
    termOf(pod, term),
  );

export const interPodAffinity: Plugin = {
  name: 'InterPodAffinity',
  weight: 2,
  filter: ({ pod }, snapshot) => {
    const affinity = required(pod, 'podAffinity').map((term) => ({ term, domains: domainsWith(snapshot, term) }));
    const anti = required(pod, 'podAntiAffinity').map((term) => ({ term, domains: domainsWith(snapshot, term) }));
    /** Domains where a running pod wants none like this one. */
    const closed = new Set<string>();
    for (const node of snapshot.nodes) {
      for (const { pod: other } of node.pods.values()) {
        for (const term of required(other, 'podAntiAffinity')) {
          const domain = domainOf(node, term.topologyKey);
          if (domain !== undefined && matchesTerm(term, pod)) closed.add(`${term.topologyKey}=${domain}`);
        }
      }
    }
    if (affinity.length === 0 && anti.length === 0 && closed.size === 0) return undefined;
    const closedKeys = new Set([...closed].map((each) => each.slice(0, each.indexOf('='))));
    // The first pod of a group that wants to be together has nobody to join.
    const isFirst =
      affinity.every(({ domains }) => domains.size === 0) && affinity.every(({ term }) => matchesTerm(term, pod));
    return (node) => {
      const isIn = ({ term, domains }: { term: Term; domains: Set<string> }) =>
        domains.has(domainOf(node, term.topologyKey) ?? '\0');
      const hasKeys = affinity.every(({ term }) => domainOf(node, term.topologyKey) !== undefined);
      if (!(affinity.every(isIn) || (isFirst && hasKeys))) return ["node(s) didn't match pod affinity rules"];
      if (anti.some(isIn)) return ["node(s) didn't match pod anti-affinity rules"];
      for (const key of closedKeys) {
        const domain = domainOf(node, key);
        if (domain !== undefined && closed.has(`${key}=${domain}`)) {
          return ["node(s) didn't satisfy existing pods anti-affinity rules"];
        }
      }
      return undefined;
    };
  },
  score: ({ pod }, snapshot) => {
    const preferred = (['podAffinity', 'podAntiAffinity'] as const).flatMap((kind) =>
      (pod['spec'].affinity?.[kind]?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((each: JsonObject) => {
        const term = termOf(pod, each['podAffinityTerm']);
        return {
          term,
          domains: domainsWith(snapshot, term),
          weight: kind === 'podAffinity' ? each['weight'] : -each['weight'],
        };
      }),
    );
    if (preferred.length === 0) return undefined;
    return (nodes) => {
      const sums = nodes.map((node) =>
        preferred.reduce((sum, { term, domains, weight }) => {
          return sum + (domains.has(domainOf(node, term.topologyKey) ?? '\0') ? weight : 0);
        }, 0),
      );
      return fewestBest(sums.map((sum) => -sum));
    };
  },
};
