/** The CNI configuration containerd reads: one bridge per node, addresses out of the node's pod range. Pure. */

export interface CniOptions {
  /** Node.spec.podCIDR. */
  readonly podCidr: string;
  /** Where host-local remembers which address is whose: one directory a node, or nodes on one machine would mix. */
  readonly dataDirectory: string;
}

export const podBridge = 'cni0';

/** Text of a `.conflist` file. */
export function cniConflist(options: CniOptions): string {
  const conflist = {
    cniVersion: '0.4.0',
    name: 'keelson',
    plugins: [
      {
        type: 'bridge',
        bridge: podBridge,
        isGateway: true,
        // A pod may reach itself through its own Service.
        hairpinMode: true,
        // The service proxy masquerades what leaves the cluster; the plugin would need iptables for it.
        ipMasq: false,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: options.podCidr }]],
          routes: [{ dst: '0.0.0.0/0' }],
          dataDir: options.dataDirectory,
        },
      },
    ],
  };
  return `${JSON.stringify(conflist, null, 2)}\n`;
}
