/**
 * One backup: the store's snapshot and whatever files shall lie beside it (certificates, tokens, configuration), in one
 * archive, sealed, put where backups lie. Self-contained: the file and the passphrase are all that a restore needs.
 */
import { assert } from '../../env/assert.ts';
import { type Disk, DiskError } from '../../env/disk.ts';
import type { Env } from '../../env/env.ts';
import { KeelsonError } from '../../env/errors.ts';
import { type ArchiveFile, writeArchive } from './archive.ts';
import type { Destination } from './destination.ts';
import { piecesOf } from './file-pieces.ts';
import { backupName, expired, type Retention } from './retention.ts';
import { checkPassphrase } from './passphrase-check.ts';
import { sealStream } from './sealed-stream.ts';

export const snapshotFileName = 'store.snapshot';

export interface BackupSource {
  readonly clusterId: string;
  readonly revision: number;
  /** An etcd snapshot file with its checksum. */
  chunks(): AsyncGenerator<Uint8Array>;
}

export interface BackupOptions {
  readonly env: Pick<Env, 'clock' | 'random' | 'disk'>;
  readonly destination: Destination;
  readonly passphrase: string;
  /** Files and directories; links are followed, special files refused. */
  readonly includes: readonly string[];
}

export interface MadeBackup {
  readonly name: string;
  readonly bytes: number;
  readonly files: number;
}

const depthMax = 32;

/** Rejects with what keeps it from being made; then nothing was stored. */
export async function makeBackup(options: BackupOptions, source: BackupSource): Promise<MadeBackup> {
  const { env, destination, passphrase } = options;
  await checkPassphrase(destination, passphrase);
  const madeMs = env.clock.wallMs();
  const name = backupName(madeMs, source.clusterId);
  const count = { bytes: 0, files: 0 };
  const files = archiveFiles(options, source, madeMs, count);
  await destination.put(name, counted(sealStream(writeArchive(files), passphrase, env.random), count));
  return { name, ...count };
}

/** Removes what the rule lets go; returns the names. Only backups of `clusterId` are looked at. */
export async function removeExpired(
  destination: Destination,
  clusterId: string,
  nowMs: number,
  retention: Retention,
): Promise<readonly string[]> {
  const own = (await destination.list()).filter((name) => name.endsWith(`-${clusterId}.backup`));
  const gone = expired(own, nowMs, retention);
  for (const name of gone) await destination.remove(name);
  return gone;
}

async function* archiveFiles(
  { env, includes }: BackupOptions,
  source: BackupSource,
  madeMs: number,
  count: { files: number },
): AsyncGenerator<ArchiveFile> {
  const { clusterId, revision } = source;
  yield { head: { name: snapshotFileName, clusterId, revision, madeMs }, content: source.chunks() };
  for (const path of includes) {
    for await (const each of filesBelow(env.disk, path, 0)) {
      count.files += 1;
      yield { head: { name: `file ${count.files}`, path: each }, content: contentOf(env.disk, each) };
    }
  }
}

/** The file itself, or every file in the directory. */
async function* filesBelow(disk: Disk, path: string, depth: number): AsyncGenerator<string> {
  if (depth > depthMax)
    throw new KeelsonError('TOO_DEEP', `include ${path}: it is more than ${depthMax} directories deep`);
  let names: readonly string[];
  try {
    names = await disk.list(path);
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    if (error.code === 'ENOTDIR') return yield path;
    throw new KeelsonError('BAD_INCLUDE', `include ${path}: ${error.message}: check --include`, { cause: error });
  }
  for (const name of names) yield* filesBelow(disk, `${path}/${name}`, depth + 1);
}

async function* contentOf(disk: Disk, path: string): AsyncGenerator<Uint8Array> {
  yield* piecesOf(await disk.open(path, 'read'));
}

async function* counted(content: AsyncIterable<Uint8Array>, count: { bytes: number }): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) {
    assert(chunk.length > 0, 'a sealed stream has no empty pieces');
    count.bytes += chunk.length;
    yield chunk;
  }
}
