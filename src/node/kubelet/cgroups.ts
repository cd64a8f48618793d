/**
 * Takes the cgroups of a pod away: the runtime removes the containers' own, the parent that we named stays behind. Both
 * hierarchies are served: version 1 has one tree per controller, version 2 a single one.
 */
import type { HostFiles } from '../volumes/host-files.ts';

const cgroupRoot = '/sys/fs/cgroup';

/** Removes `parent` and what is empty below it; what is still busy stays. */
export async function removeCgroup(files: HostFiles, parent: string): Promise<void> {
  const controllers = await files.listDirectories(cgroupRoot);
  const trees = [cgroupRoot, ...controllers.map((name) => `${cgroupRoot}/${name}`)];
  for (const tree of trees) {
    const path = `${tree}${parent}`;
    for (const child of await files.listDirectories(path)) await files.removeDirectory(`${path}/${child}`);
    await files.removeDirectory(path);
  }
}
