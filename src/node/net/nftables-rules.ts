/**
 * Service ports as one nftables script: pure text, applied in one transaction by `nft -f -`.
 *
 *   prerouting, output ── services ──▶ vmap (address . protocol . port) ──▶ service-N ──▶ numgen vmap ──▶ endpoint-N ── dnat
 *   forward, output    ── no-endpoints: reject instead of a time-out
 *   postrouting        ── masquerade what a pod sends to itself, what comes from outside through a node port, and what
 *                         leaves the cluster
 *
 * Finding a service costs one map lookup however many there are. The table is replaced as a whole: a script is a
 * transaction, so no packet ever sees half of it, and connection tracking keeps running connections where they are.
 */
import { assert } from '../../env/assert.ts';
import type { ServicePort } from './proxy-plan.ts';

export interface RulesOptions {
  readonly table: string;
  readonly nodeAddress: string;
  /** All pods' addresses: traffic that stays inside keeps its source. */
  readonly clusterCidr: string;
  readonly serviceCidr: string;
  /** Addresses out of serviceCidr that this node answers itself (cluster DNS). */
  readonly ownAddresses: readonly string[];
  /** Without bridge filtering an answer between two pods of one node would miss the reverse translation. */
  readonly masqueradeLocalPods: string | undefined;
}

const masqueradeMark = '0x4000';

/** `service` chains are numbered: a name may hold more than nftables allows, so it goes into a comment. */
export function nftablesScript(ports: readonly ServicePort[], options: RulesOptions): string {
  const { table } = options;
  const clusterElements: string[] = [];
  const nodePortElements: string[] = [];
  const rejectElements: string[] = [];
  const rejectNodePorts: string[] = [];
  const chains: string[] = [];
  const sets: string[] = [];
  ports.forEach((port, number) => {
    const chain = `service-${number}`;
    if (port.endpoints.length === 0) {
      for (const address of port.clusterAddresses)
        rejectElements.push(`${address} . ${port.protocol} . ${port.port} : goto reject-it`);
      if (port.nodePort > 0) rejectNodePorts.push(`${port.protocol} . ${port.nodePort} : goto reject-it`);
      return;
    }
    for (const address of port.clusterAddresses)
      clusterElements.push(`${address} . ${port.protocol} . ${port.port} : goto ${chain}`);
    if (port.nodePort > 0) nodePortElements.push(`${port.protocol} . ${port.nodePort} : goto external-${number}`);
    const { chainTexts, setTexts } = serviceChains(port, number);
    chains.push(...chainTexts);
    sets.push(...setTexts);
  });
  const map = (name: string, type: string, elements: readonly string[]) =>
    `  map ${name} {\n    type ${type}\n${elements.length === 0 ? '' : `    elements = {\n      ${elements.join(',\n      ')}\n    }\n`}  }`;
  const own = options.ownAddresses.length === 0 ? '' : `    ip daddr { ${options.ownAddresses.join(', ')} } return\n`;
  const localPods = options.masqueradeLocalPods;
  return `add table ip ${table}
delete table ip ${table}
table ip ${table} {
${[
  map('service-ips', 'ipv4_addr . inet_proto . inet_service : verdict', clusterElements),
  map('service-nodeports', 'inet_proto . inet_service : verdict', nodePortElements),
  map('no-endpoint-services', 'ipv4_addr . inet_proto . inet_service : verdict', rejectElements),
  map('no-endpoint-nodeports', 'inet_proto . inet_service : verdict', rejectNodePorts),
  ...sets,
  ...chains,
].join('\n')}
  chain reject-it {
    meta l4proto tcp reject with tcp reset
    reject
  }
  chain services {
${own}    ip daddr . meta l4proto . th dport vmap @service-ips
    ip daddr ${options.nodeAddress} meta l4proto . th dport vmap @service-nodeports
  }
  chain no-endpoints {
${own}    ip daddr . meta l4proto . th dport vmap @no-endpoint-services
    ip daddr ${options.nodeAddress} meta l4proto . th dport vmap @no-endpoint-nodeports
    ip daddr ${options.serviceCidr} goto reject-it
  }
  chain nat-prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    jump services
  }
  chain nat-output {
    type nat hook output priority -100; policy accept;
    jump services
  }
  chain filter-input {
    type filter hook input priority filter; policy accept;
    ct state new jump no-endpoints
  }
  chain filter-forward {
    type filter hook forward priority filter; policy accept;
    ct state new jump no-endpoints
  }
  chain filter-output {
    type filter hook output priority filter; policy accept;
    ct state new jump no-endpoints
  }
  chain nat-postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    meta mark & ${masqueradeMark} != 0 masquerade fully-random
${localPods === undefined ? '' : `    ct status dnat ip saddr ${localPods} ip daddr ${localPods} masquerade fully-random\n`}    ip saddr ${options.clusterCidr} ip daddr != ${options.clusterCidr} ip daddr != ${options.serviceCidr} fib daddr type != local masquerade fully-random
  }
}
`;
}

function serviceChains(
  port: ServicePort,
  number: number,
): { readonly chainTexts: readonly string[]; readonly setTexts: readonly string[] } {
  assert(port.endpoints.length > 0, 'a service chain leads somewhere');
  const comment = `"${port.name.replaceAll('"', '')}"`.slice(0, 120);
  const balance =
    port.endpoints.length === 1
      ? `    goto endpoint-${number}-0`
      : `    numgen random mod ${port.endpoints.length} vmap { ${port.endpoints.map((_, index) => `${index} : goto endpoint-${number}-${index}`).join(', ')} }`;
  const sticky = port.affinitySeconds > 0;
  const remembered = port.endpoints.map(
    (_, index) => `    ip saddr @affinity-${number}-${index} goto endpoint-${number}-${index}`,
  );
  const setTexts = sticky
    ? port.endpoints.map(
        (_, index) =>
          `  set affinity-${number}-${index} {\n    type ipv4_addr\n    flags dynamic, timeout\n    timeout ${port.affinitySeconds}s\n  }`,
      )
    : [];
  const endpointChains = port.endpoints.map(
    (endpoint, index) => `  chain endpoint-${number}-${index} {
    ip saddr ${endpoint.address} meta mark set meta mark | ${masqueradeMark}
${sticky ? `    update @affinity-${number}-${index} { ip saddr }\n` : ''}    meta l4proto ${port.protocol} dnat to ${endpoint.address}:${endpoint.port}
  }`,
  );
  const chainTexts = [
    ...endpointChains,
    `  chain service-${number} {
    comment ${comment}
${sticky ? `${remembered.join('\n')}\n` : ''}${balance}
  }`,
    ...(port.nodePort > 0
      ? [
          `  chain external-${number} {\n    meta mark set meta mark | ${masqueradeMark}\n    goto service-${number}\n  }`,
        ]
      : []),
  ];
  return { chainTexts, setTexts };
}
