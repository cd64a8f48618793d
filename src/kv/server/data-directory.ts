/**
 * A member's data directory and what may be done with it.
 *
 *   <dir>/member.json   whose data this is; written before anything else, never changed
 *   <dir>/member.key    the seed of its key pair (member-key.ts)
 *   <dir>/raft/         Raft's log and snapshots
 *   <dir>/kv/           the backend
 *   <dir>/peer-urls     where it said it was (whereabouts.ts)
 *   <dir>/abandoned.json, <dir>/abandoned-<id>/   who it was before, when it comes back as a new member
 *   <dir>/log-made.json the log was there once: a start that finds none is not the first one
 *   <dir>/succeeds.json clusters that were lost and went on as this one (succession.ts)
 *   <dir>/LOCK          its lock keeps a second process out; the file is always empty
 *
 * A directory that belongs to another member or cluster, to a newer program or to etcd is refused before anything in
 * it is touched.
 */
import { type Disk, DiskError, type DiskLock } from '../../env/disk.ts';
import { KeelsonError } from '../../env/errors.ts';
import { makeDirectoryDurable, readTextIfAny, writeFileAtomic } from '../../env/files.ts';

/** Grows when an older program could not read the directory any more. */
const formatVersion = 1;

export interface MemberFile {
  readonly formatVersion: number;
  readonly clusterId: number;
  readonly memberId: number;
  readonly token: string;
  /** `--initial-cluster` at the first start: name=url pairs, sorted. */
  readonly initialCluster: readonly string[];
  /** Names of those founders that are witnesses; absent when none is. */
  readonly initialWitnesses?: readonly string[];
  /** It came back as a new member, whatever the flags say of founders. */
  readonly hasRejoined?: boolean;
  /** It votes and keeps no data: there is no `kv/`. */
  readonly isWitness?: boolean;
}

/** Undefined for a directory that holds no member yet. Rejects with `DATA_*` for one that must not be used. */
export async function readMemberFile(disk: Disk, directory: string): Promise<MemberFile | undefined> {
  const path = `${directory}/member.json`;
  const text = await readTextIfAny(disk, path);
  if (text === undefined) {
    if (await disk.exists(`${directory}/member`)) {
      throw new KeelsonError(
        'DATA_FOREIGN',
        `use data directory ${directory}: it holds data of etcd: give another --data-dir`,
      );
    }
    return undefined;
  }
  const file = parseObject<MemberFile>(text, path);
  const { formatVersion: version } = file;
  if (typeof version === 'number' && version > formatVersion) {
    throw new KeelsonError(
      'DATA_NEWER_VERSION',
      `use data directory ${directory}: its format is ${version}, this program knows ${formatVersion}: start it with the newer program`,
    );
  }
  const { clusterId, memberId, token, initialCluster } = file;
  if (version !== formatVersion) throw damaged(path, 'formatVersion');
  if (!isId(clusterId)) throw damaged(path, 'clusterId');
  if (!isId(memberId)) throw damaged(path, 'memberId');
  if (typeof token !== 'string') throw damaged(path, 'token');
  const isList = Array.isArray(initialCluster) && initialCluster.every((member) => typeof member === 'string');
  if (!isList) throw damaged(path, 'initialCluster');
  return file as MemberFile;
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

function damaged(path: string, field: string): KeelsonError {
  return new KeelsonError(
    'DATA_DAMAGED',
    `read ${path}: its ${field} is not what was written: restore it from a backup`,
  );
}

/** The fields of a JSON object, whose types nobody has looked at yet. */
function parseObject<T>(text: string, path: string): { readonly [K in keyof T]?: unknown } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new KeelsonError('DATA_DAMAGED', `read ${path}: it is no JSON: restore it from a backup`, { cause: error });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new KeelsonError('DATA_DAMAGED', `read ${path}: it is no JSON object: restore it from a backup`);
}

/**
 * Takes the directory for this process. Rejects with `DATA_IN_USE`, nothing touched, while another one has it: two processes
 * on one log would each overwrite what the other has acknowledged.
 */
export async function lockDataDirectory(disk: Disk, directory: string): Promise<DiskLock> {
  try {
    return await disk.lock(`${directory}/LOCK`);
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== 'EBUSY') throw error;
    throw new KeelsonError(
      'DATA_IN_USE',
      `use data directory ${directory}: another process is using it: stop that process, or give another data directory`,
      { cause: error },
    );
  }
}

export async function writeMemberFile(
  disk: Disk,
  directory: string,
  member: Omit<MemberFile, 'formatVersion'>,
): Promise<MemberFile> {
  const file: MemberFile = { formatVersion, ...member };
  await makeDirectoryDurable(disk, directory);
  await writeFileAtomic(disk, `${directory}/member.json`, `${JSON.stringify(file, undefined, 2)}\n`);
  return file;
}

/**
 * Compares the flags of this start with the first start's. Membership may have changed since, so the initial clusters
 * need only share a member; the token must be the same.
 */
export function checkSameCluster(
  file: MemberFile,
  directory: string,
  flags: { readonly token: string; readonly initialCluster: readonly string[] },
): void {
  const say = (what: string, is: string, wanted: string) =>
    new KeelsonError(
      'DATA_OTHER_CLUSTER',
      `use data directory ${directory}: it belongs to another cluster: its ${what} is ${is}, the flags say ${wanted}: give the right --data-dir or flags`,
    );
  if (file.token !== flags.token)
    throw say('--initial-cluster-token', JSON.stringify(file.token), JSON.stringify(flags.token));
  if (!flags.initialCluster.some((member) => file.initialCluster.includes(member))) {
    throw say('--initial-cluster', file.initialCluster.join(','), flags.initialCluster.join(','));
  }
}

const identityNames = [
  'member.key',
  'log-made.json',
  'raft',
  'kv',
  'peer-urls',
  'succeeds.json',
  'member.json',
] as const;

/** Notes that the log is there; without the note it is made again. */
export async function noteLog(disk: Disk, directory: string): Promise<void> {
  const path = `${directory}/log-made.json`;
  if (await disk.exists(path)) return;
  await writeFileAtomic(disk, path, `${JSON.stringify({ formatVersion })}\n`);
}

/** Rejects when there was a log: with it the member's votes and acknowledgements are gone, and it may not begin as the same. */
export async function checkNeverHadLog(disk: Disk, directory: string, logDirectory: string): Promise<void> {
  if (!(await disk.exists(`${directory}/log-made.json`))) return;
  throw new KeelsonError(
    'LOG_MISSING',
    `start from ${directory}: the log in ${logDirectory} is gone, and with it this member’s votes: put it back, or start with ` +
      '--rejoin to come back as a new member; if it is the only member, restore the latest backup',
  );
}

/** Who this directory was before it was given up; undefined for one that never was, or that has an identity again. */
export async function readAbandoned(disk: Disk, directory: string): Promise<{ readonly memberId: number } | undefined> {
  const path = `${directory}/abandoned.json`;
  const text = await readTextIfAny(disk, path);
  if (text === undefined) return undefined;
  const { memberId } = parseObject<{ memberId: number }>(text, path);
  if (!isId(memberId)) throw damaged(path, 'memberId');
  return { memberId };
}

/**
 * Gives the identity up: everything of it is set aside, so that the next start begins as a new member. Cut off by a crash, it
 * is done to the end by the next call. Nothing may be using the directory.
 */
export async function abandonIdentity(disk: Disk, directory: string): Promise<void> {
  const file = await readMemberFile(disk, directory);
  if (file !== undefined) {
    await writeFileAtomic(disk, `${directory}/abandoned.json`, JSON.stringify({ memberId: file.memberId }));
  }
  const abandoned = await readAbandoned(disk, directory);
  if (abandoned === undefined) return;
  const aside = `${directory}/abandoned-${abandoned.memberId.toString(16)}`;
  await disk.makeDirectory(aside);
  // The member file goes last: while it is there, this is not done.
  for (const name of identityNames) {
    if (await disk.exists(`${directory}/${name}`)) await setAside(disk, `${directory}/${name}`, `${aside}/${name}`);
  }
  await disk.syncDirectory(aside);
  await disk.syncDirectory(directory);
}

/** A crash may have left the name in both places: what is there already stays. Nobody reads either again. */
async function setAside(disk: Disk, from: string, to: string): Promise<void> {
  let free = to;
  for (let number = 2; await disk.exists(free); number++) free = `${to}.${number}`;
  await disk.rename(from, free);
}

/** The directory has a new identity. */
export async function forgetAbandoned(disk: Disk, directory: string): Promise<void> {
  const path = `${directory}/abandoned.json`;
  if (!(await disk.exists(path))) return;
  await disk.remove(path);
  await disk.syncDirectory(directory);
}
