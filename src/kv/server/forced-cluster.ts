/** `--force-new-cluster`: before a start, a member whose cluster is lost for good is made the only one of a new cluster. */
import { makeNewCluster } from '../snapshot/new-cluster.ts';
import { readMemberFile } from './data-directory.ts';
import type { MemberOptions } from './member-options.ts';

/** The data that is here goes on as a cluster of one; without data there is nothing to do. */
export async function forceNewCluster({ env, directory, logDirectory, openBackend }: MemberOptions): Promise<void> {
  if ((await readMemberFile(env.disk, directory)) === undefined) return;
  const made = await makeNewCluster({ env, directory, logDirectory, openBackend, unlessAlone: true });
  if (made === undefined) return;
  env.log.warn('forced a new cluster of one member: start without --force-new-cluster from now on', {
    clusterId: made.clusterId.toString(16),
    memberId: made.memberId.toString(16),
    revision: made.revision,
    'old-data': made.aside,
    ...(made.logAside !== undefined && { 'old-log': made.logAside }),
  });
}
