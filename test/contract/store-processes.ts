/**
 * Clusters of real store processes on loopback: Keelson's own store or Debian's etcd, with or without TLS. Ports are
 * chosen by the system. Whoever starts a cluster stops it, which ends the processes and removes their data.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureAuthority, issueLeaf } from '../../src/cluster/pki.ts';
import { realClock, realDisk, realRandom } from '../../src/env/real.ts';
import type { KvClientTls } from '../../src/kv/client/contract.ts';
import { freePorts } from '../support/free-ports.ts';

export { freePorts };

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** A busy machine takes some seconds to start a process, and more with a million keys; nobody waits longer for one. */
const readyTimeoutMs = 120_000;

export type StoreKind = 'keelson' | 'etcd';

export interface TlsPaths {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export type TlsPems = Required<Pick<KvClientTls, 'ca' | 'cert' | 'key'>>;

export interface StoreMember {
  readonly name: string;
  readonly endpoint: string;
  readonly peerUrl: string;
  readonly metricsUrl: string;
  readonly directory: string;
  readonly pid: () => number;
  /** Everything it has written to standard error since its last start. */
  readonly output: () => string;
  /** Starts it again with the same flags and maybe more; resolves once it is ready. */
  start(moreFlags?: readonly string[]): Promise<void>;
  /** Ends it and resolves with its exit code; null when the signal ended it. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null>;
}

export interface StoreCluster {
  readonly members: readonly StoreMember[];
  readonly endpoints: readonly string[];
  readonly tls: TlsPaths | undefined;
  readonly clientTls: TlsPems | undefined;
  readonly directory: string;
  stop(): Promise<void>;
}

async function makeCertificates(directory: string): Promise<{ readonly paths: TlsPaths; readonly pems: TlsPems }> {
  const env = { clock: realClock, random: realRandom, disk: realDisk };
  const authority = await ensureAuthority(env, directory, 'ca', 'store test authority');
  const leaf = await issueLeaf(env, authority, {
    commonName: 'store',
    hosts: ['127.0.0.1', 'localhost'],
    usages: ['server', 'client'],
  });
  const paths = { ca: `${directory}/ca.crt`, cert: `${directory}/store.crt`, key: `${directory}/store.key` };
  await writeFile(paths.cert, leaf.certificatePem);
  await writeFile(paths.key, leaf.keyPem);
  const bytes = (text: string) => new TextEncoder().encode(text);
  const pems = { ca: bytes(authority.certificatePem), cert: bytes(leaf.certificatePem), key: bytes(leaf.keyPem) };
  return { paths, pems };
}

/** Debian's, unless a newer one is named. */
export const etcdProgram = process.env['KEELSON_ETCD'] ?? '/usr/bin/etcd';

/** The command line before the flags. */
function program(kind: StoreKind): readonly string[] {
  if (kind === 'etcd') return [etcdProgram];
  const node = join(root, 'node_modules/.bin/node');
  return [node, '--disable-warning=ExperimentalWarning', join(root, 'src/cli/entry.ts'), 'store'];
}

/** Starts one process and resolves once it says that it is ready. */
class Process {
  readonly #command: readonly string[];
  #child: ChildProcess | undefined;
  #output = '';
  #exited: Promise<number | null> = Promise.resolve(null);

  constructor(command: readonly string[]) {
    this.#command = command;
  }

  pid(): number {
    return this.#child?.pid ?? -1;
  }

  output(): string {
    return this.#output;
  }

  start(moreFlags: readonly string[] = []): Promise<void> {
    const [file, ...args] = [...this.#command, ...moreFlags] as [string, ...string[]];
    const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    this.#output = '';
    this.#exited = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`not ready after ${readyTimeoutMs} ms:\n${this.#output}`)),
        readyTimeoutMs,
      );
      const settle = (action: () => void) => {
        clearTimeout(timer);
        action();
      };
      child.once('error', (error) => settle(() => reject(error)));
      child.once('exit', (code) =>
        settle(() => reject(new Error(`exit ${code} before it was ready:\n${this.#output}`))),
      );
      child.stderr?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString();
        if (this.#output.includes('ready to serve client requests')) settle(resolve);
      });
    });
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    this.#child?.kill(signal);
    return this.#exited;
  }
}

export interface ClusterOptions {
  readonly kind: StoreKind;
  readonly count: 1 | 3;
  readonly tls?: boolean;
  readonly flags?: readonly string[];
  /** More of them for one member. */
  readonly flagsOf?: (name: string) => readonly string[];
  /** The program and its first arguments, when it is not the one that is installed or checked out here. */
  readonly command?: readonly string[];
  /** Where the members' directories are made; the system's place for temporary files by default. */
  readonly parentDirectory?: string;
}

export async function startStoreCluster(options: ClusterOptions): Promise<StoreCluster> {
  const directory = await mkdtemp(join(options.parentDirectory ?? tmpdir(), `keelson-${options.kind}-`));
  const certificates = options.tls ? await makeCertificates(directory) : undefined;
  const scheme = certificates ? 'https' : 'http';
  const ports = await freePorts(options.count * 3);
  const at = (index: number, offset: number) => `127.0.0.1:${ports[index * 3 + offset]}`;
  const names = Array.from({ length: options.count }, (_, index) => `m${index + 1}`);
  const initialCluster = names.map((name, index) => `${name}=${scheme}://${at(index, 1)}`).join(',');
  const members = names.map((name, index): StoreMember => {
    const endpoint = `${scheme}://${at(index, 0)}`;
    const peerUrl = `${scheme}://${at(index, 1)}`;
    const metricsUrl = `http://${at(index, 2)}`;
    const memberDirectory = join(directory, name);
    const flags = [
      ['--name', name],
      ['--data-dir', memberDirectory],
      ['--listen-client-urls', endpoint],
      ['--advertise-client-urls', endpoint],
      ['--listen-peer-urls', peerUrl],
      ['--initial-advertise-peer-urls', peerUrl],
      ['--initial-cluster', initialCluster],
      ['--initial-cluster-token', 'contract'],
      ['--initial-cluster-state', 'new'],
      ['--listen-metrics-urls', metricsUrl],
      ...(certificates ? tlsFlags(certificates.paths) : []),
    ].flat();
    const member = new Process([
      ...(options.command ?? program(options.kind)),
      ...flags,
      ...(options.flags ?? []),
      ...(options.flagsOf?.(name) ?? []),
    ]);
    return {
      name,
      endpoint,
      peerUrl,
      metricsUrl,
      directory: memberDirectory,
      pid: () => member.pid(),
      output: () => member.output(),
      start: (moreFlags) => member.start(moreFlags),
      end: (signal) => member.end(signal),
    };
  });
  const stop = async () => {
    await Promise.all(members.map((member) => member.end('SIGKILL')));
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await Promise.all(members.map((member) => member.start()));
  } catch (error) {
    await stop();
    throw error;
  }
  const endpoints = members.map((member) => member.endpoint);
  return { members, endpoints, tls: certificates?.paths, clientTls: certificates?.pems, directory, stop };
}

function tlsFlags(paths: TlsPaths): readonly string[][] {
  return [
    ['--cert-file', paths.cert],
    ['--key-file', paths.key],
    ['--client-cert-auth'],
    ['--trusted-ca-file', paths.ca],
    ['--peer-cert-file', paths.cert],
    ['--peer-key-file', paths.key],
    ['--peer-client-cert-auth'],
    ['--peer-trusted-ca-file', paths.ca],
  ];
}
