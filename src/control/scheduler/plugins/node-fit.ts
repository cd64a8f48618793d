/** Filters about one node alone: its name, taints, labels, free resources and ports; and scores about its use. Pure. */
import type { JsonObject, KubeObject } from '../../api/contract.ts';
import { matchesLabelSelector, selectorFromObject } from '../../api/index.ts';
import { fewestBest, mostBest, type Plugin, scoreMax } from '../framework.ts';
import { scoredRequestsOf } from '../pod-resources.ts';

const unschedulableTaint: JsonObject = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

export function isTolerated(tolerations: readonly JsonObject[] | undefined, taint: JsonObject): boolean {
  return (tolerations ?? []).some((toleration) => {
    if (toleration['effect'] && toleration['effect'] !== taint['effect']) return false;
    if (toleration['key'] && toleration['key'] !== taint['key']) return false;
    if (toleration['operator'] === 'Exists') return true;
    return Boolean(toleration['key']) && (toleration['value'] ?? '') === (taint['value'] ?? '');
  });
}

export const nodeUnschedulable: Plugin = {
  name: 'NodeUnschedulable',
  filter: ({ pod }) => {
    if (isTolerated(pod['spec'].tolerations, unschedulableTaint)) return undefined;
    return ({ node }) => (node['spec']?.unschedulable === true ? ['node(s) were unschedulable'] : undefined);
  },
};

export const nodeName: Plugin = {
  name: 'NodeName',
  filter: ({ pod }) => {
    const wanted = pod['spec'].nodeName;
    if (!wanted) return undefined;
    return ({ name }) => (name === wanted ? undefined : ["node(s) didn't match the requested node name"]);
  },
};

export const taintToleration: Plugin = {
  name: 'TaintToleration',
  weight: 3,
  filter:
    ({ pod }) =>
    ({ node }) => {
      const taint = ((node['spec']?.taints ?? []) as JsonObject[]).find(
        (each) => each['effect'] !== 'PreferNoSchedule' && !isTolerated(pod['spec'].tolerations, each),
      );
      return taint === undefined
        ? undefined
        : [`node(s) had untolerated taint {${taint['key']}: ${taint['value'] ?? ''}}`];
    },
  score:
    ({ pod }) =>
    (nodes) =>
      fewestBest(
        nodes.map(
          ({ node }) =>
            ((node['spec']?.taints ?? []) as JsonObject[]).filter(
              (each) => each['effect'] === 'PreferNoSchedule' && !isTolerated(pod['spec'].tolerations, each),
            ).length,
        ),
      ),
};

/** Whether a node matches one term of a node affinity. A term without any condition matches nothing. */
export function matchesNodeTerm(term: JsonObject, node: KubeObject): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  if (matchExpressions.length === 0 && matchFields.length === 0) return false;
  return (
    matchesLabelSelector(selectorFromObject({ matchExpressions }), node.metadata.labels) &&
    matchesLabelSelector(selectorFromObject({ matchExpressions: matchFields }), { 'metadata.name': node.metadata.name })
  );
}

export function matchesNodeAffinity(pod: KubeObject, node: KubeObject): boolean {
  const { nodeSelector, affinity } = pod['spec'];
  for (const [key, value] of Object.entries(nodeSelector ?? {})) {
    if (node.metadata.labels?.[key] !== value) return false;
  }
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required === undefined || required.nodeSelectorTerms.some((term: JsonObject) => matchesNodeTerm(term, node));
}

export const nodeAffinity: Plugin = {
  name: 'NodeAffinity',
  weight: 2,
  filter: ({ pod }) => {
    if (pod['spec'].nodeSelector === undefined && pod['spec'].affinity?.nodeAffinity === undefined) return undefined;
    return ({ node }) =>
      matchesNodeAffinity(pod, node) ? undefined : ["node(s) didn't match Pod's node affinity/selector"];
  },
  score: ({ pod }) => {
    const preferred: JsonObject[] =
      pod['spec'].affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    if (preferred.length === 0) return undefined;
    return (nodes) =>
      mostBest(
        nodes.map(({ node }) =>
          preferred.reduce((sum, each) => sum + (matchesNodeTerm(each['preference'], node) ? each['weight'] : 0), 0),
        ),
      );
  },
};

export const nodePorts: Plugin = {
  name: 'NodePorts',
  filter: ({ ports }) => {
    if (ports.length === 0) return undefined;
    return (node) => {
      const used = [...node.pods.values()].flatMap((info) => info.ports);
      const isTaken = ports.some((port) => used.some((other) => doPortsConflict(port, other)));
      return isTaken ? ["node(s) didn't have free ports for the requested pod ports"] : undefined;
    };
  },
};

function doPortsConflict(a: string, b: string): boolean {
  const [addressA, ...portA] = a.split('|');
  const [addressB, ...portB] = b.split('|');
  if (portA.join('|') !== portB.join('|')) return false;
  return addressA === addressB || addressA === '0.0.0.0' || addressB === '0.0.0.0';
}

export const nodeResourcesFit: Plugin = {
  name: 'NodeResourcesFit',
  filter:
    ({ requests }) =>
    (node) => {
      const reasons: string[] = [];
      if (node.pods.size + 1 > (node.allocatable['pods'] ?? 110)) reasons.push('Too many pods');
      for (const [name, amount] of Object.entries(requests)) {
        if (amount > 0 && amount > (node.allocatable[name] ?? 0) - (node.requested[name] ?? 0)) {
          reasons.push(`Insufficient ${name}`);
        }
      }
      return reasons.length === 0 ? undefined : reasons;
    },
  // Least allocated: the more is left, the better.
  score: ({ requests }) => {
    const { cpu, memory } = scoredRequestsOf(requests);
    const free = (used: number, total: number | undefined) =>
      total === undefined || total === 0 ? 0 : Math.max(0, (total - used) / total) * scoreMax;
    return (nodes) =>
      nodes.map(
        (node) =>
          (free(node.scored.cpu + cpu, node.allocatable['cpu']) +
            free(node.scored.memory + memory, node.allocatable['memory'])) /
          2,
      );
  },
};

export const balancedAllocation: Plugin = {
  name: 'NodeResourcesBalancedAllocation',
  score: ({ requests }) => {
    const { cpu, memory } = scoredRequestsOf(requests);
    const share = (used: number, total: number | undefined) => (total ? Math.min(1, used / total) : 1);
    return (nodes) =>
      nodes.map((node) => {
        const cpuShare = share(node.scored.cpu + cpu, node.allocatable['cpu']);
        const memoryShare = share(node.scored.memory + memory, node.allocatable['memory']);
        return scoreMax * (1 - Math.abs(cpuShare - memoryShare));
      });
  },
};

export const imageLocality: Plugin = {
  name: 'ImageLocality',
  score: ({ pod }) => {
    const wanted = new Set<string>((pod['spec'].containers ?? []).map((each: JsonObject) => each['image']));
    const bytesMin = 23 * 2 ** 20;
    const bytesMax = 1000 * 2 ** 20 * wanted.size;
    return (nodes) =>
      nodes.map(({ node }) => {
        const images: JsonObject[] = node['status']?.images ?? [];
        const bytes = images
          .filter((image) => (image['names'] ?? []).some((name: string) => wanted.has(name)))
          .reduce((sum, image) => sum + Number(image['sizeBytes'] ?? 0), 0);
        const bounded = Math.min(Math.max(bytes, bytesMin), bytesMax);
        return bytesMax <= bytesMin ? 0 : (scoreMax * (bounded - bytesMin)) / (bytesMax - bytesMin);
      });
  },
};
