/** Gives every node its range of pod addresses. One worker, so that no two nodes are given the same. */
import { keyOf, ReconcileLoop, resources } from '../client/index.ts';
import type { Controller, ControllerContext } from './controller.ts';
import { nextNodeCidr } from './node-ipam-plan.ts';

export function createNodeIpamController(context: ControllerContext): Controller {
  const { client, informers, settings, log } = context;
  const events = context.events.for('cidrAllocator');
  const nodes = informers.informer(resources.nodes);
  /** Given away but maybe not in the informer yet, by node name. */
  const given = new Map<string, string>();
  const loop = new ReconcileLoop({
    ...context,
    name: 'node-ipam',
    workers: 1,
    keys: () => nodes.list().map(keyOf),
    reset: () => given.clear(),
    reconcile: async (key) => {
      const node = nodes.get(key);
      if (node === undefined || node.metadata.deletionTimestamp !== undefined || node['spec']?.podCIDR) return;
      const taken = [...nodes.list().flatMap((each) => each['spec']?.podCIDRs ?? []), ...given.values()];
      const podCIDR = given.get(key) ?? nextNodeCidr(settings.clusterCidr, settings.nodeCidrMaskSize, taken);
      if (podCIDR === undefined) {
        events.record(node, 'Normal', 'CIDRNotAvailable', `Node ${key} status is now: CIDRNotAvailable`);
        throw new Error(
          `no range of ${settings.clusterCidr} is left for node ${key}; remove nodes or widen --cluster-cidr`,
        );
      }
      given.set(key, podCIDR);
      await client.update(resources.nodes, { ...node, spec: { ...node['spec'], podCIDR, podCIDRs: [podCIDR] } });
      log.info('gave a node its pod addresses', { node: key, podCIDR });
    },
  });
  nodes.onChange((key, _before, after) => {
    if (after === undefined || after['spec']?.podCIDR) given.delete(key);
    if (after !== undefined) loop.enqueue(key);
  });
  return { name: 'node-ipam', run: (signal) => loop.run(signal) };
}
