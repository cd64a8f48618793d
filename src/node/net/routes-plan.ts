/**
 * Routes from this node to the pods of the others: `host-gateway`, as all nodes share a network. State in, commands out.
 */
import type { KubeObject } from '../../control/api/contract.ts';

export interface Route {
  readonly destination: string;
  readonly via: string;
}

/** What the routing table must hold for pods elsewhere. Nodes without a pod range or an address are left out. */
export function wantedRoutes(nodes: readonly KubeObject[], ownName: string): readonly Route[] {
  const routes: Route[] = [];
  for (const node of nodes) {
    if (node.metadata.name === ownName) continue;
    const destination = node['spec']?.podCIDR as string | undefined;
    const addresses = (node['status']?.addresses ?? []) as readonly { type: string; address: string }[];
    const via = addresses.find((address) => address.type === 'InternalIP')?.address;
    if (destination && via) routes.push({ destination, via });
  }
  return routes.sort((a, b) => (a.destination < b.destination ? -1 : 1));
}

/** Lines for `ip -batch`: what is missing or different is replaced, what nobody wants is removed. */
export function routeCommands(
  wanted: readonly Route[],
  present: readonly Route[],
  protocol: number,
): readonly string[] {
  const key = (route: Route) => `${route.destination} ${route.via}`;
  const have = new Set(present.map(key));
  const destinations = new Set(wanted.map((route) => route.destination));
  return [
    ...wanted
      .filter((route) => !have.has(key(route)))
      .map((route) => `route replace ${route.destination} via ${route.via} proto ${protocol}`),
    ...present
      .filter((route) => !destinations.has(route.destination))
      .map((route) => `route del ${route.destination} proto ${protocol}`),
  ];
}
