/**
 * A master's parts and how each is started: pure. The store is a process of its own so that nothing else can stall Raft;
 * the others reach it, and each other, only through their protocols.
 */

export interface MasterConfig {
  readonly name: string;
  readonly directory: string;
  readonly pkiDirectory: string;
  readonly address: string;
  /** Names and addresses of all masters, this one included. */
  readonly masters: readonly { readonly name: string; readonly address: string }[];
  readonly clusterToken: string;
  readonly serviceCidr: string;
  readonly podCidr: string;
  readonly nodeMonitorPeriodMs: number;
  readonly nodeMonitorGraceMs: number;
  readonly tolerationSeconds: number;
  readonly controllers: string;
}

export interface Component {
  readonly name: 'store' | 'apiserver' | 'controller-manager' | 'scheduler';
  /** Arguments of `keelson`. */
  readonly args: readonly string[];
}

/** A dead leader's controllers have moved well within 15 s: 8 s until its lease runs out, and one retry. */
const leaderElection = [
  '--leader-elect-lease-duration=8s',
  '--leader-elect-renew-deadline=5s',
  '--leader-elect-retry-period=1s',
];

/** In the order they are started; stopped in reverse. */
export function masterComponents(config: MasterConfig): readonly Component[] {
  const pki = (file: string) => `${config.pkiDirectory}/${file}`;
  const all = (make: (address: string, name: string) => string) =>
    config.masters.map((master) => make(master.address, master.name)).join(',');
  const servers = [
    config.address,
    ...config.masters.map((master) => master.address).filter((address) => address !== config.address),
  ]
    .map((address) => `https://${address}:6443`)
    .join(',');
  const secure = (leaf: string, port: number) => [
    `--kubeconfig=${config.directory}/${leaf}.kubeconfig`,
    `--servers=${servers}`,
    `--bind-address=${config.address}`,
    `--secure-port=${port}`,
    `--tls-cert-file=${pki(`${leaf}.crt`)}`,
    `--tls-private-key-file=${pki(`${leaf}.key`)}`,
    `--client-ca-file=${pki('ca.crt')}`,
    `--hostname-override=${config.name}`,
    ...leaderElection,
  ];
  return [
    {
      name: 'store',
      args: [
        'store',
        `--name=${config.name}`,
        `--data-dir=${config.directory}/store`,
        `--listen-client-urls=https://${config.address}:2379`,
        `--advertise-client-urls=https://${config.address}:2379`,
        `--listen-peer-urls=https://${config.address}:2380`,
        `--initial-advertise-peer-urls=https://${config.address}:2380`,
        `--initial-cluster=${all((address, name) => `${name}=https://${address}:2380`)}`,
        `--initial-cluster-token=${config.clusterToken}`,
        '--initial-cluster-state=new',
        '--autopilot',
        `--listen-metrics-urls=http://${config.address}:2381`,
        `--cert-file=${pki('store-server.crt')}`,
        `--key-file=${pki('store-server.key')}`,
        '--client-cert-auth=true',
        `--trusted-ca-file=${pki('store-ca.crt')}`,
        `--peer-cert-file=${pki('store-peer.crt')}`,
        `--peer-key-file=${pki('store-peer.key')}`,
        '--peer-client-cert-auth=true',
        `--peer-trusted-ca-file=${pki('store-ca.crt')}`,
      ],
    },
    {
      name: 'apiserver',
      args: [
        'apiserver',
        `--bind-address=${config.address}`,
        '--secure-port=6443',
        `--advertise-address=${config.address}`,
        `--etcd-servers=${[config.address, ...config.masters.map((m) => m.address).filter((a) => a !== config.address)].map((a) => `https://${a}:2379`).join(',')}`,
        `--etcd-cafile=${pki('store-ca.crt')}`,
        `--etcd-certfile=${pki('apiserver-store-client.crt')}`,
        `--etcd-keyfile=${pki('apiserver-store-client.key')}`,
        `--tls-cert-file=${pki('apiserver.crt')}`,
        `--tls-private-key-file=${pki('apiserver.key')}`,
        `--client-ca-file=${pki('ca.crt')}`,
        `--service-account-key-file=${pki('sa.pub')}`,
        `--service-account-signing-key-file=${pki('sa.key')}`,
        '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
        `--service-cluster-ip-range=${config.serviceCidr}`,
        `--kubelet-client-certificate=${pki('apiserver-kubelet-client.crt')}`,
        `--kubelet-client-key=${pki('apiserver-kubelet-client.key')}`,
        `--kubelet-certificate-authority=${pki('ca.crt')}`,
        `--default-not-ready-toleration-seconds=${config.tolerationSeconds}`,
        `--default-unreachable-toleration-seconds=${config.tolerationSeconds}`,
      ],
    },
    {
      name: 'controller-manager',
      args: [
        'controller-manager',
        ...secure('controller-manager', 10257),
        `--controllers=${config.controllers}`,
        `--cluster-cidr=${config.podCidr}`,
        `--service-cluster-ip-range=${config.serviceCidr}`,
        `--root-ca-file=${pki('ca.crt')}`,
        `--node-monitor-period=${config.nodeMonitorPeriodMs}ms`,
        `--node-monitor-grace-period=${config.nodeMonitorGraceMs}ms`,
      ],
    },
    { name: 'scheduler', args: ['scheduler', ...secure('scheduler', 10259)] },
  ];
}
