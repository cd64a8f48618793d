/**
 * A node's parts and how each is started: pure. containerd runs in the node's network namespace, because the CNI plugins
 * it calls build the pods' links there; the agent runs beside it.
 */
import {
  apiServers,
  type ClusterPlan,
  clusterDomain,
  dnsServiceAddress,
  type Host,
  pauseImage,
  podCidr,
  serviceCidr,
} from './plan.ts';

export function containerdSocket(host: Host): string {
  return `${host.directory}/containerd/containerd.sock`;
}

export function containerdConfigPath(host: Host): string {
  return `${host.directory}/containerd/config.toml`;
}

/** Parent of every cgroup of the node's pods. */
export function cgroupRoot(plan: ClusterPlan, host: Host): string {
  return `/keelson-${plan.id}/${host.name}`;
}

/** containerd's configuration: nothing shared with other containerds of the machine. */
export function containerdConfig(host: Host, cniBinDirectory: string): string {
  const directory = `${host.directory}/containerd`;
  const text = JSON.stringify;
  return `version = 2
root = ${text(`${directory}/root`)}
state = ${text(`${directory}/state`)}
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]

[grpc]
  address = ${text(containerdSocket(host))}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = ${text(pauseImage)}
  # Raising a process's priority against the out-of-memory killer needs a capability that not every machine grants.
  restrict_oom_score_adj = true
  # Pod network namespaces lie with the rest of the state, so that stopping the cluster finds them.
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  enable_selinux = false
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = ${text(cniBinDirectory)}
    conf_dir = ${text(`${host.directory}/cni/net.d`)}
`;
}

export function containerdCommand(host: Host): readonly string[] {
  return ['containerd', '--config', containerdConfigPath(host)];
}

/** Arguments of `keelson` for the agent. */
export function nodeArgs(plan: ClusterPlan, host: Host, cniBinDirectory: string): readonly string[] {
  const pki = (file: string) => `${host.directory}/pki/${file}`;
  return [
    'node',
    `--node-name=${host.name}`,
    `--kubeconfig=${host.directory}/node.kubeconfig`,
    `--servers=${apiServers(plan).join(',')}`,
    `--node-ip=${host.address}`,
    `--container-runtime-endpoint=unix://${containerdSocket(host)}`,
    `--root-dir=${host.directory}/kubelet`,
    `--pod-log-dir=${host.directory}/pod-logs`,
    `--cni-conf-dir=${host.directory}/cni/net.d`,
    `--cni-bin-dir=${cniBinDirectory}`,
    `--cluster-dns=${dnsServiceAddress}`,
    `--cluster-domain=${clusterDomain}`,
    `--service-cluster-ip-range=${serviceCidr}`,
    `--cluster-cidr=${podCidr}`,
    `--bind-address=${host.address}`,
    '--port=10250',
    '--metrics-port=10249',
    '--healthz-port=10256',
    `--tls-cert-file=${pki('node-server.crt')}`,
    `--tls-private-key-file=${pki('node-server.key')}`,
    `--client-ca-file=${pki('ca.crt')}`,
    `--cgroup-root=${cgroupRoot(plan, host)}`,
    '--cgroup-driver=cgroupfs',
    '--node-status-update-frequency=10s',
    `--pod-infra-container-image=${pauseImage}`,
    ...(host.role === 'master'
      ? [
          '--register-with-taints=node-role.kubernetes.io/control-plane=:NoSchedule',
          '--node-labels=node-role.kubernetes.io/control-plane=',
        ]
      : []),
  ];
}

/** Arguments of `keelson` for the master that runs on `host`. */
export function serverArgs(plan: ClusterPlan, host: Host): readonly string[] {
  const { choices } = plan;
  return [
    'server',
    `--name=${host.name}`,
    `--data-dir=${host.directory}`,
    `--pki-dir=${host.directory}/pki`,
    `--advertise-address=${host.address}`,
    `--initial-cluster=${plan.hosts
      .filter((other) => other.role === 'master')
      .map((other) => `${other.name}=${other.address}`)
      .join(',')}`,
    `--cluster-token=keelson-${plan.id}`,
    `--service-cluster-ip-range=${serviceCidr}`,
    `--cluster-cidr=${podCidr}`,
    `--node-monitor-period=${choices.nodeMonitorPeriodMs}ms`,
    `--node-monitor-grace-period=${choices.nodeMonitorGraceMs}ms`,
    `--default-toleration-seconds=${choices.tolerationSeconds}`,
  ];
}
