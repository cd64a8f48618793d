/**
 * A real etcd and API servers over it, on loopback ports that the operating system chose, in a temporary directory. One
 * etcd serves a whole test file; each test takes a namespace of its own.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import {
  issueLeaf,
  type Authority,
  ensureAuthority,
  ensureServiceAccountKey,
  type Leaf,
} from '../../../src/cluster/pki.ts';
import { parseIpv4Range } from '../../../src/control/apiserver/allocators.ts';
import { ApiServer } from '../../../src/control/apiserver/api-server.ts';
import { readTokenKeys } from '../../../src/control/apiserver/service-account-tokens.ts';
import { present } from '../../../src/env/assert.ts';
import { silentLog } from '../../../src/env/log.ts';
import { realEnv } from '../../../src/env/real.ts';
import { createKvClient } from '../../../src/kv/client/client.ts';
import type { KvClient } from '../../../src/kv/index.ts';
import { freePorts } from '../../support/free-ports.ts';

export const env = { ...realEnv('error'), log: silentLog };

export interface Etcd {
  readonly endpoint: string;
  readonly directory: string;
  client(): KvClient;
  /** SIGSTOP and SIGCONT: a store that does not answer. */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

export async function startEtcd(): Promise<Etcd> {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-apiserver-'));
  const [clientPort, peerPort] = await freePorts(2);
  const endpoint = `http://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const child: ChildProcess = spawn(
    'etcd',
    [
      `--data-dir=${join(directory, 'etcd')}`,
      `--listen-client-urls=${endpoint}`,
      `--advertise-client-urls=${endpoint}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      '--logger=zap',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const exited = once(child, 'exit');
  await new Promise<void>((resolve, reject) => {
    let text = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('serving client traffic')) resolve();
      if (text.length > 1_000_000) text = '';
    });
    const tooLate = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`etcd did not start: ${text.slice(-500)}`));
    }, 20_000);
    tooLate.unref();
    child.on('error', reject);
    child.on('exit', () => reject(new Error(`etcd ended: ${text.slice(-500)}`)));
  });
  child.stderr?.resume();
  const clients: KvClient[] = [];
  return {
    endpoint,
    directory,
    client: () => {
      const client = createKvClient({ clock: env.clock, endpoints: [endpoint], timeoutMs: 5000 });
      clients.push(client);
      return client;
    },
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    stop: async () => {
      for (const client of clients) client.close();
      child.kill('SIGCONT');
      child.kill('SIGTERM');
      await exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly bytes: Buffer;
  // biome-ignore lint: tests look into whatever came back
  readonly body: any;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One identity towards one server. */
export class TestClient {
  readonly #agent: Agent;
  readonly #port: number;
  readonly #headers: Readonly<Record<string, string>>;
  constructor(port: number, ca: string, leaf: Leaf | undefined, headers: Readonly<Record<string, string>> = {}) {
    this.#port = port;
    this.#headers = headers;
    this.#agent = new Agent({
      ca,
      keepAlive: true,
      ...(leaf === undefined ? {} : { cert: leaf.certificatePem, key: leaf.keyPem }),
    });
  }

  call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const { body } = options;
    const isRaw = body instanceof Uint8Array || typeof body === 'string';
    const bytes =
      body === undefined ? undefined : isRaw ? Buffer.from(body as string) : Buffer.from(JSON.stringify(body));
    return new Promise((resolve, reject) => {
      const call = request({
        agent: this.#agent,
        host: '127.0.0.1',
        port: this.#port,
        method,
        path,
        headers: {
          ...(bytes === undefined ? {} : { 'content-type': 'application/json', 'content-length': bytes.length }),
          ...this.#headers,
          ...options.headers,
        },
      });
      call.on('error', reject);
      call.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const all = Buffer.concat(chunks);
          const isJson = String(response.headers['content-type'] ?? '').startsWith('application/json');
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            bytes: all,
            body:
              isJson && all.length > 0 && !response.headers['content-encoding']
                ? JSON.parse(all.toString())
                : all.toString(),
          });
        });
      });
      call.end(bytes);
    });
  }

  async ok(method: string, path: string, body?: unknown, headers?: Record<string, string>) {
    const answer = await this.call(method, path, {
      ...(body === undefined ? {} : { body }),
      ...(headers === undefined ? {} : { headers }),
    });
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.bytes.toString().slice(0, 500)}`);
    return answer.body;
  }

  patch(path: string, type: 'json' | 'merge' | 'strategic-merge' | 'apply', body: unknown): Promise<Answer> {
    const contentType = type === 'apply' ? 'application/apply-patch+yaml' : `application/${type}-patch+json`;
    return this.call('PATCH', path, { body, headers: { 'content-type': contentType } });
  }

  /** A JSON watch; `next` gives event after event and fails after five seconds without one. */
  async watch(path: string): Promise<TestWatch> {
    const call = request({ agent: this.#agent, host: '127.0.0.1', port: this.#port, path, headers: this.#headers });
    call.end();
    const [response] = await once(call, 'response');
    return new TestWatch(response, () => call.destroy());
  }

  close(): void {
    this.#agent.destroy();
  }
}

// biome-ignore lint: tests look into whatever came back
type WatchEvent = { type: string; object: any };

export class TestWatch {
  readonly status: number;
  readonly close: () => void;
  readonly #events: WatchEvent[] = [];
  #wake: (() => void) | undefined;
  #isOver = false;
  constructor(
    response: { statusCode?: number; on(name: string, handler: (chunk: Buffer) => void): void },
    close: () => void,
  ) {
    this.status = response.statusCode ?? 0;
    this.close = close;
    let text = '';
    response.on('data', (chunk) => {
      text += chunk.toString();
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) if (line !== '') this.#events.push(JSON.parse(line));
      this.#wake?.();
    });
    for (const name of ['end', 'error', 'close']) {
      response.on(name, () => {
        this.#isOver = true;
        this.#wake?.();
      });
    }
  }

  /** The next event, or undefined when the watch has ended. */
  async next(timeoutMs = 5000): Promise<WatchEvent | undefined> {
    const giveUp = Date.now() + timeoutMs;
    while (this.#events.length === 0 && !this.#isOver) {
      const left = giveUp - Date.now();
      assert.ok(left > 0, `no watch event within ${timeoutMs} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.#events.shift();
  }
}

export interface TestServer {
  readonly server: ApiServer;
  readonly port: number;
  readonly ca: string;
  readonly authority: Authority;
  readonly admin: TestClient;
  /** A client with a certificate of that name. */
  client(commonName: string, organizations?: readonly string[]): Promise<TestClient>;
  /** A client with a bearer token; without certificate and token it is anonymous. */
  tokenClient(token?: string): TestClient;
  kubeconfig(path: string, commonName: string, organizations: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

export async function startServer(etcd: Etcd, directory = join(etcd.directory, 'pki')): Promise<TestServer> {
  const authority = await ensureAuthority(env, directory, 'ca', 'test-ca');
  const account = await ensureServiceAccountKey(env, directory);
  const serving = await issueLeaf(env, authority, {
    commonName: 'kube-apiserver',
    hosts: ['127.0.0.1', 'localhost'],
    usages: ['server'],
  });
  const bytes = (text: string) => new TextEncoder().encode(text);
  const server = new ApiServer({
    env,
    kv: etcd.client(),
    bindAddress: '127.0.0.1',
    securePort: 0,
    advertiseAddress: '127.0.0.1',
    cert: bytes(serving.certificatePem),
    key: bytes(serving.keyPem),
    clientCa: bytes(authority.certificatePem),
    tokenKeys: readTokenKeys([account.publicPem], account.keyPem),
    tokenIssuer: 'https://kubernetes.default.svc.cluster.local',
    apiAudiences: ['https://kubernetes.default.svc.cluster.local'],
    serviceRange: present(parseIpv4Range('10.96.0.0/16'), 'service range'),
    nodePorts: { first: 30000, last: 32767 },
    kubelet: { cert: undefined, key: undefined, ca: undefined },
    defaultNotReadyTolerationSeconds: 300,
    defaultUnreachableTolerationSeconds: 300,
    registry: new Registry(),
    onFatal: (error) => {
      throw error;
    },
  });
  const port = await server.start();
  const clients: TestClient[] = [];
  const ca = authority.certificatePem;
  const make = (leaf: Leaf | undefined, headers?: Record<string, string>) => {
    const client = new TestClient(port, ca, leaf, headers);
    clients.push(client);
    return client;
  };
  const leafOf = (commonName: string, organizations: readonly string[]) =>
    issueLeaf(env, authority, { commonName, organizations, usages: ['client'] });
  const admin = make(await leafOf('kubernetes-admin', ['system:masters']));
  await until(async () => (await admin.call('GET', '/readyz')).status === 200);
  return {
    server,
    port,
    ca,
    authority,
    admin,
    client: async (commonName, organizations = []) => make(await leafOf(commonName, organizations)),
    tokenClient: (token) => make(undefined, token === undefined ? {} : { authorization: `Bearer ${token}` }),
    kubeconfig: async (path, commonName, organizations) => {
      const leaf = await leafOf(commonName, organizations);
      const data = (text: string) => Buffer.from(text).toString('base64');
      await writeFile(
        path,
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Config',
          'current-context': 'test',
          contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
          clusters: [
            {
              name: 'test',
              cluster: { server: `https://127.0.0.1:${port}`, 'certificate-authority-data': data(ca) },
            },
          ],
          users: [
            {
              name: 'test',
              user: {
                'client-certificate-data': data(leaf.certificatePem),
                'client-key-data': data(leaf.keyPem),
              },
            },
          ],
        }),
      );
    },
    stop: async () => {
      for (const client of clients) client.close();
      await server.stop();
    },
  };
}

/** Polls a condition; fails after ten seconds. */
export async function until(condition: () => Promise<boolean> | boolean, timeoutMs = 10_000): Promise<void> {
  const giveUp = Date.now() + timeoutMs;
  while (!(await condition())) {
    assert.ok(Date.now() < giveUp, 'the condition did not come true in time');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

let counter = 0;
/** A namespace of its own with a default service account. */
export async function makeNamespace(admin: TestClient): Promise<string> {
  const name = `test-${++counter}`;
  await admin.ok('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  await admin.ok('POST', `/api/v1/namespaces/${name}/serviceaccounts`, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  });
  return name;
}

export function podManifest(name: string, extra: Record<string, unknown> = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: { containers: [{ name: 'main', image: 'example.com/image:1' }], ...extra },
  };
}

export function configMap(name: string, data: Record<string, string> = {}, labels: Record<string, string> = {}) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data };
}
