/**
 * Tries a snapshot out: restores it into a directory of its own, starts a real member on loopback from it and reads every
 * key back. Users are not asked for in there, and nobody else can know its ports beforehand.
 */
import { sleep } from '../env/clock.ts';
import type { Env } from '../env/env.ts';
import { errorText, KeelsonError } from '../env/errors.ts';
import { silentLog } from '../env/log.ts';
import { openLevelBackend } from '../kv/backend/level.ts';
import { createKvClient } from '../kv/client/client.ts';
import type { KvClient } from '../kv/index.ts';
import { restoreMember } from '../kv/snapshot/restore.ts';
import { openSnapshotFile } from '../kv/snapshot/snapshot-file.ts';
import { freePorts } from './free-port.ts';
import { keelsonProgram } from './runtime.ts';

export interface TriedSnapshot {
  readonly revision: number;
  readonly keys: number;
  readonly valueBytes: number;
}

/** A member of many keys takes a while to load them. */
const readyTimeoutMs = 120_000;
const pollMs = 100;
const pageKeys = 1_000;
const allKeys = Uint8Array.of(0);

/** `scratch` must exist; everything is made in it. Rejects with what is wrong with the snapshot. */
export async function trySnapshot(env: Env, snapshotPath: string, scratch: string): Promise<TriedSnapshot> {
  const [client, peer] = (await freePorts(2)) as [number, number];
  const [endpoint, peerUrl] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
  const directory = `${scratch}/member`;
  const token = env.random.uuid();
  const source = await openSnapshotFile(env.disk, snapshotPath, false);
  let expected: TriedSnapshot;
  try {
    const { content, revision } = await restoreMember({
      disk: env.disk,
      source,
      directory,
      name: 'sandbox',
      initialCluster: [{ name: 'sandbox', peerUrls: [peerUrl] }],
      peerUrls: [peerUrl],
      token,
      bumpRevision: 0,
      isAuthOff: true,
      openBackend: (path) =>
        // Every call on the backend throws its failure from then on, which ends the restore and is told once.
        openLevelBackend(path, { log: silentLog, onFatal: () => undefined }),
    });
    expected = { revision, keys: content.keys, valueBytes: 0 };
  } finally {
    await source.close();
  }
  const flags = [
    '--name=sandbox',
    `--data-dir=${directory}`,
    `--initial-cluster-token=${token}`,
    `--initial-cluster=sandbox=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--listen-client-urls=${endpoint}`,
    `--advertise-client-urls=${endpoint}`,
  ];
  const logFile = `${scratch}/member.log`;
  const child = env.processes.spawn(keelsonProgram, ['store', ...flags], { logFile });
  const kv = createKvClient({ clock: env.clock, endpoints: [endpoint] });
  try {
    let hasEnded = false;
    void child.exited.then(() => {
      hasEnded = true;
    });
    await untilReady(env, kv, endpoint, () => hasEnded).catch(async (error: unknown) => {
      const said = new TextDecoder()
        .decode(await env.disk.readFile(logFile))
        .trim()
        .split('\n')
        .slice(-3)
        .join(' | ');
      throw new KeelsonError(
        'SANDBOX_FAILED',
        `the member started from the backup is not ready: ${errorText(error)}: ${said}`,
      );
    });
    const found = await readAll(kv, expected.revision);
    if (found.keys !== expected.keys) {
      throw new KeelsonError(
        'SANDBOX_DIFFERS',
        `the member started from the backup has ${found.keys} keys at revision ${expected.revision}, the snapshot ${expected.keys}`,
      );
    }
    return found;
  } finally {
    kv.close();
    child.kill('SIGTERM');
    await child.exited;
  }
}

async function untilReady(env: Env, kv: KvClient, endpoint: string, hasEnded: () => boolean): Promise<void> {
  const lateAtMs = env.clock.monotonicMs() + readyTimeoutMs;
  let last: unknown;
  while (env.clock.monotonicMs() < lateAtMs) {
    if (hasEnded()) throw new Error('it ended by itself');
    try {
      await kv.status(endpoint, { timeoutMs: 1_000 });
      // It answers; what it holds can be read once it leads.
      await kv.range({ key: allKeys, countOnly: true }, { timeoutMs: 1_000 });
      return;
    } catch (error) {
      last = error;
      await sleep(env.clock, pollMs);
    }
  }
  throw new Error(`${readyTimeoutMs} ms are over: ${errorText(last)}`);
}

/** Every live key of `revision`, page by page: leases that run out meanwhile change nothing about that. */
async function readAll(kv: KvClient, revision: number): Promise<TriedSnapshot> {
  let [keys, valueBytes, from] = [0, 0, allKeys];
  for (;;) {
    const page = await kv.range({ key: from, rangeEnd: allKeys, limit: pageKeys, revision });
    for (const { value } of page.kvs) valueBytes += value.length;
    keys += page.kvs.length;
    const last = page.kvs.at(-1);
    if (!page.more || last === undefined) return { revision, keys, valueBytes };
    from = new Uint8Array([...last.key, 0]);
  }
}
