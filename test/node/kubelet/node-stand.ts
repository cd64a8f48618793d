/**
 * One whole node for tests, in the network namespace this process is in: etcd, the API server, containerd and
 * `keelson node`, with kubectl to look at it. There is no scheduler and there are no controllers: pods name their node,
 * and the stand itself gives the node its pod addresses and namespaces their service account.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ensureAuthority, ensureServiceAccountKey, issueLeaf } from '../../../src/cluster/pki.ts';
import { realEnv } from '../../../src/env/real.ts';
import { type Containerd, startContainerd } from '../../contract/cri-containerd.ts';
import { keelson, runProgram } from '../../support/e2e.ts';

const address = '10.77.0.11';
const nodeName = 'n1';
const dns = '10.96.0.10';

// biome-ignore lint: tests look into whatever came back
export type Json = any;

export class NodeStand {
  readonly directory = mkdtempSync(join(tmpdir(), 'keelson-node-'));
  readonly nodeName = nodeName;
  #children: { readonly name: string; readonly child: ChildProcess }[] = [];
  #containerd: Containerd | undefined;
  #agent: ChildProcess | undefined;

  get containerd(): Containerd {
    if (this.#containerd === undefined) throw new Error('the stand is not up');
    return this.#containerd;
  }

  async start(): Promise<void> {
    execFileSync('ip', ['link', 'set', 'lo', 'up']);
    execFileSync('ip', ['link', 'add', 'lan0', 'type', 'bridge']);
    execFileSync('ip', ['addr', 'add', `${address}/24`, 'dev', 'lan0']);
    execFileSync('ip', ['link', 'set', 'lan0', 'up']);
    const path = (name: string) => join(this.directory, name);
    await this.#credentials(path);
    this.#spawn('etcd', 'etcd', [
      '--data-dir',
      path('etcd'),
      '--listen-client-urls',
      'http://127.0.0.1:2379',
      '--advertise-client-urls',
      'http://127.0.0.1:2379',
      '--listen-peer-urls',
      'http://127.0.0.1:2380',
      '--initial-advertise-peer-urls',
      'http://127.0.0.1:2380',
      '--initial-cluster',
      'default=http://127.0.0.1:2380',
    ]);
    this.#spawn('apiserver', keelson, [
      'apiserver',
      `--bind-address=${address}`,
      '--secure-port=6443',
      '--etcd-servers=http://127.0.0.1:2379',
      `--tls-cert-file=${path('api.crt')}`,
      `--tls-private-key-file=${path('api.key')}`,
      `--client-ca-file=${path('pki/ca.crt')}`,
      `--service-account-key-file=${path('pki/sa.pub')}`,
      `--service-account-signing-key-file=${path('pki/sa.key')}`,
      `--kubelet-client-certificate=${path('admin.crt')}`,
      `--kubelet-client-key=${path('admin.key')}`,
      `--kubelet-certificate-authority=${path('pki/ca.crt')}`,
    ]);
    this.#containerd = await startContainerd({ inThisNamespace: true, withoutNetwork: true });
    await this.until('the API server is ready', async () => {
      const { stdout } = await this.kubectl('get', '--raw', '/readyz');
      return stdout.startsWith('ok');
    });
    this.startAgent();
    await this.until('the node is registered', async () => (await this.get('node', nodeName)) !== undefined);
    const spec = { podCIDR: '10.244.5.0/24', podCIDRs: ['10.244.5.0/24'] };
    await this.ok('patch', 'node', nodeName, '-p', JSON.stringify({ spec }));
    await this.until(
      'the node is ready',
      async () => conditionOf(await this.get('node', nodeName), 'Ready') === 'True',
    );
    await this.namespace('default');
  }

  startAgent(): void {
    const path = (name: string) => join(this.directory, name);
    const containerd = this.containerd;
    this.#agent = this.#spawn('node', keelson, [
      'node',
      `--node-name=${nodeName}`,
      `--kubeconfig=${path('node.kubeconfig')}`,
      `--node-ip=${address}`,
      `--container-runtime-endpoint=${containerd.endpoint}`,
      `--root-dir=${path('kubelet')}`,
      `--pod-log-dir=${path('pod-logs')}`,
      `--cni-conf-dir=${join(containerd.directory, 'cni')}`,
      `--cluster-dns=${dns}`,
      `--bind-address=${address}`,
      `--cgroup-root=${containerd.cgroupRoot}`,
      `--tls-cert-file=${path('node.crt')}`,
      `--tls-private-key-file=${path('node.key')}`,
      `--client-ca-file=${path('pki/ca.crt')}`,
    ]);
  }

  async stopAgent(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | null> {
    const agent = this.#agent;
    if (agent === undefined) throw new Error('no agent runs');
    this.#agent = undefined;
    this.#children = this.#children.filter((each) => each.child !== agent);
    return this.#end(agent, signal);
  }

  /** A namespace with what controllers would put into it. */
  async namespace(name: string): Promise<void> {
    if (name !== 'default') await this.ok('create', 'namespace', name);
    const ca = readFileSync(join(this.directory, 'pki/ca.crt'), 'utf8');
    await this.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: name } });
    await this.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'kube-root-ca.crt', namespace: name },
      data: { 'ca.crt': ca },
    });
  }

  kubectl(...args: readonly string[]) {
    return runProgram('kubectl', ['--kubeconfig', join(this.directory, 'admin.kubeconfig'), ...args]);
  }

  async ok(...args: readonly string[]): Promise<string> {
    const result = await this.kubectl(...args);
    if (result.code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${result.stderr}`);
    return result.stdout;
  }

  async apply(object: Json): Promise<void> {
    const result = await runProgram(
      'kubectl',
      ['--kubeconfig', join(this.directory, 'admin.kubeconfig'), 'create', '--validate=false', '-f', '-'],
      { input: JSON.stringify(object) },
    );
    if (result.code !== 0 && !result.stderr.includes('AlreadyExists')) throw new Error(result.stderr);
  }

  async get(kind: string, name: string): Promise<Json | undefined> {
    const result = await this.kubectl('get', kind, name, '-o', 'json', '--ignore-not-found');
    return result.code === 0 && result.stdout !== '' ? JSON.parse(result.stdout) : undefined;
  }

  async until<T>(what: string, look: () => Promise<T>, limitMs = 40_000): Promise<T> {
    const deadline = Date.now() + limitMs;
    for (;;) {
      const result = await look();
      if (result) return result;
      if (Date.now() > deadline) throw new Error(`${what}: not within ${limitMs} ms\n${this.logs()}`);
      await delay(100);
    }
  }

  logs(): string {
    return ['apiserver', 'node', 'etcd']
      .map((name) => {
        const text = readFileSync(join(this.directory, `${name}.log`), { encoding: 'utf8', flag: 'a+' });
        return `== ${name}\n${text.slice(-3000)}`;
      })
      .join('\n');
  }

  async stop(): Promise<void> {
    for (const { child } of this.#children.reverse()) await this.#end(child, 'SIGTERM');
    await this.#containerd?.stop();
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    for (const line of mounts) {
      const path = line.split(' ')[4] ?? '';
      if (path.startsWith(this.directory)) execFileSync('umount', [path]);
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
    return child.exitCode;
  }

  #spawn(name: string, command: string, args: readonly string[]): ChildProcess {
    const log = openSync(join(this.directory, `${name}.log`), 'a');
    const child = spawn(command, [...args], { stdio: ['ignore', log, log] });
    this.#children.push({ name, child });
    return child;
  }

  async #credentials(path: (name: string) => string): Promise<void> {
    const env = realEnv('error');
    const ca = await ensureAuthority(env, path('pki'), 'ca', 'test-ca');
    writeFileSync(path('pki/ca.crt'), ca.certificatePem);
    const account = await ensureServiceAccountKey(env, path('pki'));
    writeFileSync(path('pki/sa.key'), account.keyPem);
    writeFileSync(path('pki/sa.pub'), account.publicPem);
    const make = async (name: string, request: Parameters<typeof issueLeaf>[2]) => {
      const leaf = await issueLeaf(env, ca, request);
      writeFileSync(path(`${name}.crt`), leaf.certificatePem);
      writeFileSync(path(`${name}.key`), leaf.keyPem);
      const data = (text: string) => Buffer.from(text).toString('base64');
      const config = {
        apiVersion: 'v1',
        kind: 'Config',
        'current-context': 'c',
        contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
        clusters: [
          {
            name: 'c',
            cluster: { server: `https://${address}:6443`, 'certificate-authority-data': data(ca.certificatePem) },
          },
        ],
        users: [
          {
            name: 'u',
            user: {
              'client-certificate-data': data(leaf.certificatePem),
              'client-key-data': data(leaf.keyPem),
            },
          },
        ],
      };
      writeFileSync(path(`${name}.kubeconfig`), JSON.stringify(config));
    };
    await make('api', { commonName: 'kube-apiserver', hosts: [address, '127.0.0.1', '10.96.0.1'], usages: ['server'] });
    await make('admin', { commonName: 'kubernetes-admin', organizations: ['system:masters'], usages: ['client'] });
    await make('node', {
      commonName: `system:node:${nodeName}`,
      organizations: ['system:nodes'],
      hosts: [address, nodeName],
      usages: ['client', 'server'],
    });
  }
}

export function conditionOf(object: Json | undefined, type: string): string | undefined {
  return object?.status?.conditions?.find((condition: Json) => condition.type === type)?.status;
}
