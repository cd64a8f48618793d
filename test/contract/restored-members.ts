/** Members of the store, or of Debian's etcd, that start from data directories which a restore has made. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { freePorts } from '../support/free-ports.ts';
import { keelson } from './command-line.ts';

const readyTimeoutMs = 30_000;

export interface RestoredMember {
  readonly endpoint: string;
  readonly directory: string;
  /** What a restore of this member is told; the same words for etcdctl and for keelson. */
  readonly restoreFlags: readonly string[];
  /** Starts it, and ends it once `use` is done. */
  run<T>(kind: 'etcd' | 'keelson', use: (endpoint: string) => Promise<T>): Promise<T>;
}

/** Members of one cluster whose data directories will be `directory`/`name`-1 and so on; nothing runs or exists yet. */
export async function planMembers(directory: string, name: string, count: number): Promise<readonly RestoredMember[]> {
  const ports = await freePorts(count * 2);
  const peerUrls = Array.from({ length: count }, (_, index) => `http://127.0.0.1:${ports[index * 2 + 1]}`);
  const initialCluster = peerUrls.map((url, index) => `m${index + 1}=${url}`).join(',');
  return peerUrls.map((peerUrl, index): RestoredMember => {
    const endpoint = `http://127.0.0.1:${ports[index * 2]}`;
    const own = join(directory, `${name}-${index + 1}`);
    const common = [
      `--data-dir=${own}`,
      `--name=m${index + 1}`,
      `--initial-cluster=${initialCluster}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster-token=${name}`,
    ];
    const urls = ['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint, '--listen-peer-urls', peerUrl];
    return {
      endpoint,
      directory: own,
      restoreFlags: common,
      async run(kind, use) {
        const program = kind === 'etcd' ? ['/usr/bin/etcd'] : [keelson, 'store'];
        const member = await start([...program, ...common, ...urls]);
        try {
          return await use(endpoint);
        } finally {
          const exited = new Promise((resolve) => member.once('exit', resolve));
          member.kill('SIGTERM');
          await exited;
        }
      },
    };
  });
}

function start(command: readonly string[]): Promise<ChildProcess> {
  const [file, ...args] = command as [string, ...string[]];
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  return new Promise((resolve, reject) => {
    let output = '';
    const fail = (why: string) => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      reject(new Error(`${command.join(' ')}: ${why}:\n${output}`));
    };
    const timer = setTimeout(() => fail(`not ready after ${readyTimeoutMs} ms`), readyTimeoutMs);
    const onExit = (code: number | null) => fail(`ended with ${code} before it was ready`);
    child.once('error', (error) => fail(error.message));
    child.once('exit', onExit);
    child.stderr?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      assert.ok(output.length < 10_000_000, 'a member says what can be kept');
      if (!output.includes('ready to serve client requests')) return;
      clearTimeout(timer);
      child.off('exit', onExit);
      resolve(child);
    });
  });
}
