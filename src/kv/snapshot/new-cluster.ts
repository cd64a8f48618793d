/**
 * After a quorum is lost for good: makes a new cluster of one out of a survivor's data directory. The state is all that the
 * survivor has, its log to the end; member, cluster id and key are new, so that members of the old cluster, wherever
 * they come back from, are strangers to it.
 *
 * The old directory is set aside and not changed, and so is a log that lies apart (switch-over.ts).
 */
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { Env } from '../../env/env.ts';
import type { Backend } from '../backend/contract.ts';
import { noteLog } from '../server/data-directory.ts';
import { readSucceeded, writeSucceeded } from '../server/succession.ts';
import { SnapshotExporter } from './exporter.ts';
import { openOffline } from './offline.ts';
import { type Restored, restoreMember } from './restore.ts';
import { saveSnapshot } from './save.ts';
import { openSnapshotFile } from './snapshot-file.ts';
import { finishSwitch, isOfLog, isSwitching, parentOf, switchOver } from './switch-over.ts';

export interface NewClusterOptions {
  readonly env: Pick<Env, 'clock' | 'disk' | 'random'>;
  readonly directory: string;
  /** Where the log is, when it is not in the data directory. */
  readonly logDirectory?: string | undefined;
  readonly openBackend: (path: string) => Promise<Backend>;
  /** Does nothing when the member is its cluster's only one already. */
  readonly unlessAlone?: boolean;
}

export interface NewCluster extends Restored {
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly token: string;
  /** Where the old directory is now. */
  readonly aside: string;
  /** And its log, when that lies apart. */
  readonly logAside?: string;
}

/**
 * Undefined when nothing was to be done. Rejects with nothing changed when the data cannot be read, or does not say where
 * its member was.
 */
export async function makeNewCluster(options: NewClusterOptions): Promise<NewCluster | undefined> {
  const { env, directory, logDirectory, openBackend } = options;
  const { disk } = env;
  await finishSwitch(disk, directory);
  const mark = env.random.uuid();
  const [made, snapshotPath, aside] = ['made', 'snapshot', 'before'].map((part) => `${directory}.${part}-${mark}`) as [
    string,
    string,
    string,
  ];
  const log = logDirectory === undefined ? undefined : { directory: logDirectory, ...namesInLog(mark) };
  const logPaths = log && { made: `${log.directory}/${log.made}`, aside: `${log.directory}/${log.aside}` };
  const member = await openOffline({
    env,
    directory,
    openBackend,
    ...(logDirectory !== undefined && { logDirectory }),
    scratch: `${directory}.copy-${mark}`,
    takeAll: true,
  });
  try {
    const { voters, votersOutgoing, learners } = member.confState;
    const isAlone = voters.length === 1 && voters[0] === member.file.memberId;
    if (options.unlessAlone === true && isAlone && votersOutgoing.length + learners.length === 0) return undefined;
    const self = member.kv.members().get(member.file.memberId);
    if (self === undefined || self.peerUrls.length === 0) {
      throw new KeelsonError(
        'NO_MEMBER',
        `make a new cluster from ${directory}: its data does not know member ${member.file.memberId.toString(16)}, which it belongs to: it was removed from the cluster: use another survivor`,
      );
    }
    const exporter = new SnapshotExporter(disk, parentOf(directory));
    const snapshot = await exporter.take(member.kv, { term: member.lastTerm, voters: [self.id], learners: [] });
    try {
      await saveSnapshot(disk, snapshotPath, snapshot.chunks());
    } finally {
      await snapshot.close();
    }
    const name = nameOf(self.name, member.file.initialCluster, self.peerUrls);
    const peerUrls = [...self.peerUrls].sort();
    const source = await openSnapshotFile(disk, snapshotPath, false);
    let restored: Restored;
    try {
      restored = await restoreMember({
        disk,
        source,
        directory: made,
        ...(logPaths && { logDirectory: logPaths.made }),
        name,
        initialCluster: [{ name, peerUrls }],
        peerUrls,
        token: member.file.token,
        bumpRevision: 0,
        // Alone it need not agree with anybody, and two recoveries of one directory must not take each other for the same.
        salt: mark,
        openBackend,
      });
    } finally {
      await source.close();
    }
    assert(restored.clusterId !== member.file.clusterId, 'the new cluster has an id of its own');
    const before = await readSucceeded(disk, directory);
    await writeSucceeded(disk, made, [member.file.clusterId, ...before]);
    await noteLog(disk, made);
    const names = log && (await disk.list(log.directory)).filter((name) => isOfLog(name));
    await switchOver(disk, directory, { made, aside, ...(log && names && { log: { ...log, names } }) });
    const logAside = logPaths && { logAside: logPaths.aside };
    return { ...restored, name, peerUrls, token: member.file.token, aside, ...logAside };
  } finally {
    await member.close();
    // Once it is noted that it takes the place, what was made is not in the way any more.
    const isInTheWay = !(await isSwitching(disk, directory));
    for (const path of [snapshotPath, ...(isInTheWay ? [made, logPaths?.made] : [])]) {
      if (path !== undefined && (await disk.exists(path))) await disk.remove(path);
    }
  }
}

/** The name it published, or, when it never came to that, the one it was first started with. */
function nameOf(published: string, initialCluster: readonly string[], peerUrls: readonly string[]): string {
  if (published !== '') return published;
  const pair = initialCluster.find((each) => peerUrls.includes(each.slice(each.indexOf('=') + 1)));
  return pair === undefined ? 'default' : pair.slice(0, pair.indexOf('='));
}

function namesInLog(mark: string): { readonly made: string; readonly aside: string } {
  const names = { made: `made-${mark}`, aside: `before-${mark}` };
  assert(!isOfLog(names.made) && !isOfLog(names.aside), 'what is on the way is not taken for the log');
  return names;
}
