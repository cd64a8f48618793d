/** The flags of `keelson node`, named as the kubelet's and kube-proxy's. */
import type { FlagTable, FlagValues } from './flags.ts';

export const nodeFlags = {
  'node-name': { type: 'string', required: true, help: 'name of the Node object' },
  kubeconfig: { type: 'string', required: true, help: 'kubeconfig of the node (user system:node:<name>)' },
  servers: { type: 'list', help: 'URLs of all API servers; default: the server of the kubeconfig' },
  'node-ip': { type: 'string', required: true, help: 'address of the node' },
  'container-runtime-endpoint': {
    type: 'string',
    default: 'unix:///run/containerd/containerd.sock',
    help: 'socket of the container runtime',
  },
  'root-dir': { type: 'string', default: '/var/lib/kubelet', help: "directory of the agent's state" },
  'pod-log-dir': { type: 'string', default: '/var/log/pods', help: 'directory of container logs' },
  'cni-conf-dir': { type: 'string', default: '/etc/cni/net.d', help: 'directory for the CNI configuration' },
  'cni-bin-dir': { type: 'string', default: '/opt/cni/bin', help: 'directory of the CNI plugins' },
  'cluster-dns': { type: 'list', help: 'addresses of the cluster DNS' },
  'cluster-domain': { type: 'string', default: 'cluster.local', help: 'domain of the cluster' },
  'service-cluster-ip-range': { type: 'string', default: '10.96.0.0/16', help: 'addresses of Services' },
  'cluster-cidr': { type: 'string', default: '10.244.0.0/16', help: 'addresses of pods' },
  'bind-address': { type: 'string', default: '0.0.0.0', help: 'address to listen on' },
  port: { type: 'number', default: 10250, max: 65535, help: "port of the agent's API" },
  'metrics-port': { type: 'number', default: 10249, max: 65535, help: "port of the service proxy's metrics" },
  'healthz-port': { type: 'number', default: 10256, max: 65535, help: "port of the service proxy's health" },
  'tls-cert-file': { type: 'string', required: true, help: "certificate of the agent's API" },
  'tls-private-key-file': { type: 'string', required: true, help: 'its private key' },
  'client-ca-file': { type: 'string', required: true, help: "authority of the agent's clients" },
  'cgroup-root': { type: 'string', default: '/', help: "cgroup below which the pods' cgroups are made" },
  'cgroup-driver': { type: 'string', default: 'cgroupfs', help: 'how cgroups are made; only cgroupfs' },
  'node-status-update-frequency': { type: 'duration', default: 10_000, help: 'how often the node status is looked at' },
  'register-with-taints': { type: 'list', help: 'taints of a new node, key=value:Effect' },
  'node-labels': { type: 'list', help: 'labels of the node, key=value' },
  'pod-infra-container-image': {
    type: 'string',
    default: 'keelson.local/pause:1',
    help: "image of the pods' sandboxes; must equal the container runtime's setting",
  },
  'max-pods': { type: 'number', default: 110, min: 1, max: 1000, help: 'pods that fit on the node' },
  'log-level': { type: 'string', default: 'info', help: 'debug, info, warn or error' },
  help: { type: 'boolean', help: 'print this help' },
} as const satisfies FlagTable;

export type NodeFlagValues = FlagValues<typeof nodeFlags>;
