/** The default profile: every plugin, cheap filters first. */
import type { Plugin } from '../framework.ts';
import {
  balancedAllocation,
  imageLocality,
  nodeAffinity,
  nodeName,
  nodePorts,
  nodeResourcesFit,
  nodeUnschedulable,
  taintToleration,
} from './node-fit.ts';
import { interPodAffinity, podTopologySpread, selectorSpread } from './spreading.ts';

export const defaultPlugins: readonly Plugin[] = [
  nodeUnschedulable,
  nodeName,
  taintToleration,
  nodeAffinity,
  nodePorts,
  nodeResourcesFit,
  podTopologySpread,
  interPodAffinity,
  balancedAllocation,
  imageLocality,
  selectorSpread,
];
