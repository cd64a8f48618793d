/** A real cluster for end-to-end tests: starts it with the product's own command, and gives it the stock clients. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const keelson = `${root}bin/keelson`;

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Record<string, string>;
  readonly input?: string;
  readonly timeoutMs?: number;
}

/** Runs a program to its end, or kills it after the limit and gives code -1. */
export function runProgram(command: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      cwd: root,
    });
    let stdout = '';
    let stderr = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 60_000);
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.stdin.on('error', () => undefined);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? -1, stdout, stderr });
    });
    child.stdin.end(options.input ?? '');
  });
}

/** Calls `check` until it returns without throwing; after the limit its last error is the failure. Returns milliseconds taken. */
export async function eventually(what: string, limitMs: number, check: () => Promise<void>): Promise<number> {
  const start = performance.now();
  for (;;) {
    try {
      await check();
      return performance.now() - start;
    } catch (error) {
      if (performance.now() - start > limitMs) {
        throw new Error(
          `${what}: not within ${limitMs} ms: ${error instanceof Error ? error.message : String(error)}`,
          { cause: error },
        );
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export interface HostStatus {
  readonly name: string;
  readonly role: 'master' | 'node';
  readonly address: string;
  readonly process: string;
  readonly store?: string;
}

export class TestCluster {
  readonly directory: string;
  constructor(directory: string) {
    this.directory = directory;
  }

  /** Starts in the background; fails with the command's output. */
  async up(...flags: string[]): Promise<string> {
    const result = await this.keelson('up', '--detach', '--api-port=0', ...flags);
    assert.equal(result.code, 0, `keelson up failed:\n${result.stdout}\n${result.stderr}`);
    return result.stdout;
  }

  keelson(command: string, ...args: string[]): Promise<Result> {
    return runProgram(keelson, [command, `--dir=${this.directory}`, ...args], { timeoutMs: 180_000 });
  }

  async must(command: string, ...args: string[]): Promise<string> {
    const result = await this.keelson(command, ...args);
    assert.equal(result.code, 0, `keelson ${command} ${args.join(' ')}:\n${result.stdout}\n${result.stderr}`);
    return result.stdout;
  }

  async status(): Promise<{
    hosts: HostStatus[];
    quorum: { masters: number; up: number; needed: number; canLose: number };
  }> {
    return JSON.parse((await this.keelson('status', '-o', 'json')).stdout);
  }

  async leader(): Promise<HostStatus> {
    const leader = (await this.status()).hosts.find((host) => host.store === 'leader');
    assert.ok(leader !== undefined, 'no leader');
    return leader;
  }

  kubectlResult(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    const env = { KUBECONFIG: `${this.directory}/admin.kubeconfig`, HOME: this.directory, ...options.env };
    return runProgram('kubectl', args, { ...options, env });
  }

  /** Standard output; fails with the command's error. */
  async kubectl(...args: string[]): Promise<string> {
    const result = await this.kubectlResult(args);
    assert.equal(result.code, 0, `kubectl ${args.join(' ')}:\n${result.stdout}${result.stderr}`);
    return result.stdout;
  }

  // biome-ignore lint: objects of any kind
  async json(...args: string[]): Promise<any> {
    return JSON.parse(await this.kubectl(...args, '-o', 'json'));
  }

  async etcdEnv(): Promise<Record<string, string>> {
    const text = await readFile(`${this.directory}/etcd.env`, 'utf8');
    return Object.fromEntries(
      [...text.matchAll(/^export (\w+)=(.*)$/gm)].map((match) => [match[1] as string, match[2] as string]),
    );
  }

  async etcdctlResult(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    return runProgram('etcdctl', args, { ...options, env: { ...(await this.etcdEnv()), ...options.env } });
  }

  async etcdctl(...args: string[]): Promise<string> {
    const result = await this.etcdctlResult(args);
    assert.equal(result.code, 0, `etcdctl ${args.join(' ')}:\n${result.stdout}${result.stderr}`);
    return result.stdout;
  }

  /** Body of a GET with the administrator's certificate; fails when the answer is not 2xx. */
  async curl(url: string): Promise<string> {
    const pki = `${this.directory}/pki`;
    const tls = url.startsWith('https')
      ? ['--cacert', `${pki}/ca.crt`, '--cert', `${pki}/admin.crt`, '--key', `${pki}/admin.key`]
      : [];
    const result = await runProgram('curl', ['-sS', '--fail-with-body', '--max-time', '10', ...tls, url]);
    assert.equal(result.code, 0, `curl ${url}: ${result.stdout}${result.stderr}`);
    return result.stdout;
  }
}

/** A program that runs while the test goes on; its output so far can be looked at. */
export function background(
  command: string,
  args: readonly string[],
  env: Record<string, string>,
): { output(): string; stop(): void; child: ChildProcess } {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  }
  return { output: () => text, stop: () => child.kill('SIGTERM'), child };
}

/** Command lines of all processes; one that ends meanwhile has none. */
export async function commandLines(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.map((line) => line.replaceAll('\0', ' ')).filter((line) => line !== '');
}
