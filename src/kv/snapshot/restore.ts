/**
 * Makes a data directory out of an etcd snapshot: what `keelson store restore` does, as `etcdutl snapshot restore` does it.
 *
 * Each member of the new cluster is restored by itself from the same file with the same flags. All of them then hold the
 * same state at the same place of the same log, and know each other by ids that follow from the flags and from the
 * snapshot's checksum: so members of the cluster that the snapshot came from, which may still run somewhere, are
 * strangers to them, though they have the same addresses and token.
 *
 * The directory is made under another name and gets its own when it is whole and on disk.
 */
import { assert } from '../../env/assert.ts';
import type { Disk } from '../../env/disk.ts';
import { KeelsonError } from '../../env/errors.ts';
import { makeDirectoryDurable } from '../../env/files.ts';
import type { ConfState, Index, PersistToken, ReplicaId, SnapshotMeta, Term } from '../../raft/core/types.ts';
import { createWal, walIdentity } from '../../raft/wal/open-wal.ts';
import type { Member } from '../api.ts';
import { encodeSnapshot, type Row } from '../apply/snapshot-stream.ts';
import type { Backend } from '../backend/contract.ts';
import { clusterIdOf, type InitialMember, memberIdOf } from '../server/cluster-config.ts';
import { writeMemberFile } from '../server/data-directory.ts';
import { type EtcdContent, etcdRows, examineEtcd, type NewBeginning } from './from-etcd.ts';
import type { SnapshotSource } from './snapshot-file.ts';

export interface RestoreOptions {
  readonly disk: Disk;
  readonly source: SnapshotSource;
  /** Must not exist, or be empty. */
  readonly directory: string;
  /** Where the log goes, when it is to lie apart from the data; must not exist, or be empty. */
  readonly logDirectory?: string;
  readonly name: string;
  readonly initialCluster: readonly InitialMember[];
  readonly peerUrls: readonly string[];
  readonly token: string;
  /** Added to the revision; what is before the result then counts as compacted. 0 = keep it. */
  readonly bumpRevision: number;
  /** Makes the ids different from those of another restore of the same file; the same for all members. */
  readonly salt?: string;
  /** Leaves users and roles as they are and turns the asking for them off: for a look at what is in a backup. */
  readonly isAuthOff?: boolean;
  readonly openBackend: (path: string) => Promise<Backend>;
}

export interface Restored {
  readonly content: EtcdContent;
  readonly revision: number;
  readonly clusterId: number;
  readonly memberId: number;
}

/** The new log begins after a snapshot at this place; nothing of the old cluster's log counts any more. */
const firstIndex = 1 as Index;
const firstTerm = 1 as Term;
const segmentBytes = 64 * 1024 * 1024;
/** Bytes handed to the backend before its disk is waited for. */
const pendingBytesMax = 8 * 1024 * 1024;
/** A chunk of the log's snapshot file, below its limit. */
const chunkBytes = 1024 * 1024;

export async function restoreMember(options: RestoreOptions): Promise<Restored> {
  const { disk, directory, source } = options;
  const cluster = planCluster(options);
  await checkEmpty(disk, directory);
  if (options.logDirectory !== undefined) await checkEmpty(disk, options.logDirectory);
  const examined = await examineEtcd(source.reader);
  const content = options.isAuthOff === true ? withoutAuth(examined) : examined;
  const revision = content.revision + options.bumpRevision;
  if (!Number.isSafeInteger(revision)) {
    throw new KeelsonError(
      'BAD_REVISION',
      `restore: --bump-revision leads to ${revision}, above 2^53: give a smaller one`,
    );
  }
  const compactRevision = options.bumpRevision > 0 ? revision : content.compactRevision;
  const beginning: NewBeginning = { index: firstIndex, members: cluster.members, revision, compactRevision };
  const temporary = `${directory}.restoring`;
  if (await disk.exists(temporary)) await disk.remove(temporary);
  await makeDirectoryDurable(disk, temporary);
  try {
    await writeState(options, temporary, cluster, etcdRows(source.reader, content, beginning));
    await writeMemberFile(disk, temporary, {
      clusterId: cluster.clusterId,
      memberId: cluster.memberId,
      token: options.token,
      initialCluster: options.initialCluster
        .flatMap(({ name, peerUrls }) => peerUrls.map((url) => `${name}=${url}`))
        .sort(),
    });
    if (await disk.exists(directory)) await disk.remove(directory);
    await disk.rename(temporary, directory);
    await disk.syncDirectory(parentOf(directory));
  } catch (error) {
    // Only in the way; what happened first is what is told.
    for (const path of [temporary, options.logDirectory]) {
      if (path !== undefined) await disk.remove(path).catch(() => undefined);
    }
    throw error;
  }
  return { content, revision, clusterId: cluster.clusterId, memberId: cluster.memberId };
}

interface NewCluster {
  readonly clusterId: number;
  readonly memberId: number;
  readonly members: readonly Member[];
}

function planCluster(options: RestoreOptions): NewCluster {
  const { initialCluster, name, peerUrls, token, source } = options;
  const salt = `restored ${source.digest.toString('hex')} ${options.bumpRevision} ${options.salt ?? ''}`;
  const members = initialCluster.map((member) => ({
    id: memberIdOf(member.peerUrls, token, salt),
    // The name comes with the client URLs, when the member has started.
    name: '',
    peerUrls: member.peerUrls,
    clientUrls: [],
    isLearner: false,
  }));
  const own = initialCluster.findIndex((member) => member.name === name);
  const self = members[own];
  if (self === undefined) {
    throw new KeelsonError(
      'BAD_CLUSTER',
      `restore: couldn't find local name ${JSON.stringify(name)} in --initial-cluster ${initialCluster.map((member) => member.name).join(',')}: give --name and --initial-cluster that fit`,
    );
  }
  if (self.peerUrls.join(',') !== [...peerUrls].sort().join(',')) {
    throw new KeelsonError(
      'BAD_CLUSTER',
      `restore: --initial-cluster has ${name}=${self.peerUrls.join(',')} but --initial-advertise-peer-urls is ${peerUrls.join(',')}: they must be the same`,
    );
  }
  const ids = members.map((member) => member.id);
  assert(new Set(ids).size === ids.length, 'members with different URLs have different ids');
  return { clusterId: clusterIdOf(ids, token), memberId: self.id, members };
}

function withoutAuth(content: EtcdContent): EtcdContent {
  return { ...content, auth: { ...content.auth, switch: { ...content.auth.switch, isEnabled: false } } };
}

async function checkEmpty(disk: Disk, directory: string): Promise<void> {
  if (!(await disk.exists(directory)) || (await disk.list(directory)).length === 0) return;
  throw new KeelsonError(
    'DATA_EXISTS',
    `restore: data directory ${directory} is not empty: give another --data-dir, or move it away first`,
  );
}

/** Backend and log, from one reading of the rows. */
async function writeState(
  options: RestoreOptions,
  directory: string,
  cluster: NewCluster,
  batches: AsyncGenerator<readonly Row[]>,
): Promise<void> {
  const { disk } = options;
  const hex = (id: number) => id.toString(16).padStart(16, '0');
  const voters = cluster.members.map((member) => member.id as ReplicaId).sort((a, b) => a - b);
  const confState: ConfState = { voters, votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
  const meta: SnapshotMeta = { index: firstIndex, term: firstTerm, confState };
  const backend = await options.openBackend(`${directory}/kv`);
  try {
    const { wal } = await createWal(
      { disk, directory: options.logDirectory ?? `${directory}/raft`, segmentBytes },
      walIdentity(hex(cluster.clusterId), hex(cluster.memberId)),
      { confState },
    );
    try {
      const writer = await wal.createSnapshot(meta, 'received');
      for await (const chunk of encodeSnapshot(writtenTo(backend, batches))) {
        for (let from = 0; from < chunk.length; from += chunkBytes) {
          await writer.write(chunk.subarray(from, from + chunkBytes));
        }
      }
      await writer.finish();
      const hardState = { term: firstTerm, vote: 0 as ReplicaId, commit: firstIndex };
      const persist = { token: 1 as PersistToken, hardState, entries: [], snapshot: meta, mustSync: true };
      await wal.append(persist);
    } finally {
      await wal.close();
    }
  } finally {
    await backend.close();
  }
}

/** Hands every row on after it was given to the backend, which is never far behind. */
async function* writtenTo(backend: Backend, batches: AsyncGenerator<readonly Row[]>): AsyncGenerator<Row> {
  for await (const batch of batches) {
    backend.write(batch.map(([key, value]) => ({ type: 'put' as const, key, value })));
    if (backend.pendingBytes() > pendingBytesMax) await backend.sync();
    yield* batch;
  }
  await backend.sync();
}

function parentOf(path: string): string {
  const slash = path.replace(/\/+$/, '').lastIndexOf('/');
  if (slash < 0) return '.';
  return slash === 0 ? '/' : path.slice(0, slash);
}
