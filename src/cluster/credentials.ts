/**
 * Which certificates a cluster's hosts hold, and under which file names their processes find them.
 *
 *   pki/          ca, store-ca, sa (keys that never leave the machine that makes certificates), admin
 *   HOST/pki/     everything one host needs, copied certificates of the authorities included
 */
import type { Env } from '../env/env.ts';
import { writeFileAtomic } from '../env/files.ts';
import { type Authority, ensureAuthority, ensureLeaf, ensureServiceAccountKey, type Leaf } from './pki.ts';
import { apiServers, apiServiceAddress, type ClusterPlan, clusterDomain, type Host } from './plan.ts';

type PkiEnv = Pick<Env, 'clock' | 'random' | 'disk'>;

export interface Credentials {
  readonly ca: Authority;
  readonly storeCa: Authority;
  readonly admin: Leaf;
  /** Client certificate for the store, for etcdctl and `keelson status`. */
  readonly storeClient: Leaf;
}

const loopback = ['127.0.0.1', '::1', 'localhost'];

/** Makes what is missing and renews what runs out. */
export async function ensureCredentials(env: PkiEnv, plan: ClusterPlan): Promise<Credentials> {
  const directory = `${plan.directory}/pki`;
  const ca = await ensureAuthority(env, directory, 'ca', `keelson-${plan.id}-ca`);
  const storeCa = await ensureAuthority(env, directory, 'store-ca', `keelson-${plan.id}-store-ca`);
  const serviceAccount = await ensureServiceAccountKey(env, directory);
  const admin = await ensureLeaf(env, ca, directory, 'admin', {
    commonName: 'kubernetes-admin',
    organizations: ['system:masters'],
    usages: ['client'],
  });
  const storeClient = await ensureLeaf(env, storeCa, directory, 'store-client', {
    commonName: 'keelson-admin',
    usages: ['client'],
  });
  for (const host of plan.hosts) {
    const target = `${host.directory}/pki`;
    await env.disk.makeDirectory(target);
    await writeFileAtomic(env.disk, `${target}/ca.crt`, ca.certificatePem);
    if (host.role === 'master') {
      await ensureMasterLeaves(env, { ca, storeCa }, host, target);
      await writeFileAtomic(env.disk, `${target}/store-ca.crt`, storeCa.certificatePem);
      await writeFileAtomic(env.disk, `${target}/sa.key`, serviceAccount.keyPem);
      await writeFileAtomic(env.disk, `${target}/sa.pub`, serviceAccount.publicPem);
    }
    if (host.runsNode) await ensureNodeLeaves(env, ca, host, target);
    await writeKubeconfigs(env, plan, host, ca);
  }
  await writeFileAtomic(
    env.disk,
    `${plan.directory}/admin.kubeconfig`,
    kubeconfig({
      server: `https://127.0.0.1:${plan.apiPort}`,
      user: 'kubernetes-admin',
      ca: ca.certificatePem,
      leaf: admin,
    }),
  );
  return { ca, storeCa, admin, storeClient };
}

async function ensureMasterLeaves(
  env: PkiEnv,
  authorities: { ca: Authority; storeCa: Authority },
  host: Host,
  target: string,
): Promise<void> {
  const { ca, storeCa } = authorities;
  const hosts = [host.address, host.name, ...loopback];
  const apiNames = [
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    `kubernetes.default.svc.${clusterDomain}`,
  ];
  const leaf = (authority: Authority, name: string, request: Parameters<typeof ensureLeaf>[4]) =>
    ensureLeaf(env, authority, target, name, request);
  await leaf(storeCa, 'store-server', { commonName: host.name, hosts, usages: ['server', 'client'] });
  await leaf(storeCa, 'store-peer', { commonName: host.name, hosts, usages: ['server', 'client'] });
  await leaf(storeCa, 'apiserver-store-client', { commonName: 'kube-apiserver', usages: ['client'] });
  await leaf(ca, 'apiserver', {
    commonName: 'kube-apiserver',
    hosts: [...hosts, apiServiceAddress, ...apiNames],
    usages: ['server'],
  });
  await leaf(ca, 'apiserver-kubelet-client', {
    commonName: 'kube-apiserver-kubelet-client',
    organizations: ['system:masters'],
    usages: ['client'],
  });
  await leaf(ca, 'controller-manager', {
    commonName: 'system:kube-controller-manager',
    hosts,
    usages: ['server', 'client'],
  });
  await leaf(ca, 'scheduler', { commonName: 'system:kube-scheduler', hosts, usages: ['server', 'client'] });
}

async function ensureNodeLeaves(env: PkiEnv, ca: Authority, host: Host, target: string): Promise<void> {
  const user = `system:node:${host.name}`;
  await ensureLeaf(env, ca, target, 'node-client', {
    commonName: user,
    organizations: ['system:nodes'],
    usages: ['client'],
  });
  await ensureLeaf(env, ca, target, 'node-server', {
    commonName: user,
    organizations: ['system:nodes'],
    hosts: [host.address, host.name, ...loopback],
    usages: ['server'],
  });
}

async function writeKubeconfigs(env: PkiEnv, plan: ClusterPlan, host: Host, ca: Authority): Promise<void> {
  // A master's own API server comes first; the client moves on to the others by itself.
  const own = host.role === 'master' ? `https://${host.address}:6443` : (apiServers(plan)[0] as string);
  const write = async (name: string, user: string, leafName: string) => {
    const target = `${host.directory}/pki`;
    const text = new TextDecoder();
    const leaf = {
      certificatePem: text.decode(await env.disk.readFile(`${target}/${leafName}.crt`)),
      keyPem: text.decode(await env.disk.readFile(`${target}/${leafName}.key`)),
    };
    await writeFileAtomic(
      env.disk,
      `${host.directory}/${name}.kubeconfig`,
      kubeconfig({ server: own, user, ca: ca.certificatePem, leaf }),
    );
  };
  if (host.role === 'master') {
    await write('controller-manager', 'system:kube-controller-manager', 'controller-manager');
    await write('scheduler', 'system:kube-scheduler', 'scheduler');
  }
  if (host.runsNode) await write('node', `system:node:${host.name}`, 'node-client');
}

/** A kubeconfig with everything inside, so that it can be copied to another machine. */
export function kubeconfig(options: {
  readonly server: string;
  readonly user: string;
  readonly ca: string;
  readonly leaf: Leaf;
}): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  return `apiVersion: v1
kind: Config
clusters:
- name: keelson
  cluster:
    server: ${options.server}
    certificate-authority-data: ${base64(options.ca)}
users:
- name: ${JSON.stringify(options.user)}
  user:
    client-certificate-data: ${base64(options.leaf.certificatePem)}
    client-key-data: ${base64(options.leaf.keyPem)}
contexts:
- name: keelson
  context:
    cluster: keelson
    user: ${JSON.stringify(options.user)}
current-context: keelson
`;
}
