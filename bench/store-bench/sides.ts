/** The stores that are compared: this checkout's, Debian's etcd, and what the environment or the flags add. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type StoreCluster, startStoreCluster } from '../../test/contract/store-processes.ts';
import type { Target } from '../load/closed-loop.ts';

export interface Side {
  readonly name: string;
  readonly kind: 'keelson' | 'etcd';
  /** Absent: the one that the cluster starts by itself. */
  readonly command?: readonly string[];
  /** The checkout that it is of. */
  readonly root?: string;
}

const ownRoot = fileURLToPath(new URL('../..', import.meta.url));

export const ownSide: Side = { name: 'keelson', kind: 'keelson', root: ownRoot };

/**
 * The side as its users start it. A package that is installed runs dist/, without the compiler that strips types and the
 * texts of the sources: it is made anew, and throws when it cannot be. What is no checkout of Keelson stays as it is.
 */
export function asInstalled(side: Side): Side {
  if (side.root === undefined) return side;
  const node = join(side.root, 'node_modules/.bin/node');
  const build = join(side.root, 'scripts/build.ts');
  const { status } = spawnSync(node, ['--disable-warning=ExperimentalWarning', build], { stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error(`${build} failed with exit code ${status}: correct what it says first`);
  const command = [node, '--disable-warning=ExperimentalWarning', join(side.root, 'dist/cli/entry.js'), 'store'];
  return { ...side, command };
}

/** `KEELSON_BENCH_ETCD` names further etcd binaries, separated by colons; `other` is another checkout of Keelson. */
export function findSides(options: { readonly other?: string | undefined; readonly alone?: boolean }): readonly Side[] {
  const sides: Side[] = [ownSide];
  if (options.other !== undefined) {
    const node = join(options.other, 'node_modules/.bin/node');
    const command = [node, '--disable-warning=ExperimentalWarning', join(options.other, 'src/cli/entry.ts'), 'store'];
    sides.push({ name: 'other', kind: 'keelson', command, root: options.other });
  }
  if (options.alone) return sides;
  if (existsSync('/usr/bin/etcd')) sides.push({ name: 'etcd', kind: 'etcd' });
  const more = (process.env['KEELSON_BENCH_ETCD'] ?? '').split(':').filter((path) => path !== '');
  const onPath = (process.env['PATH'] ?? '')
    .split(':')
    .map((directory) => join(directory, 'etcd'))
    .filter((path) => !['/usr/bin/etcd', '/bin/etcd'].includes(path));
  const found = [...more, ...onPath].filter((path) => existsSync(path));
  found.forEach((path, index) => {
    sides.push({ name: `etcd-${index + 2}`, kind: 'etcd', command: [path] });
  });
  return sides;
}

export interface Running {
  readonly side: Side;
  readonly cluster: StoreCluster;
  readonly target: Target;
}

export async function startSide(
  side: Side,
  options: { readonly count: 1 | 3; readonly tls: boolean; readonly flags?: readonly string[] },
): Promise<Running> {
  // A benchmark writes more than the default quota of 2 GiB.
  const flags = ['--quota-backend-bytes', String(8 * 2 ** 30), ...(options.flags ?? [])];
  const cluster = await startStoreCluster({
    kind: side.kind,
    count: options.count,
    tls: options.tls,
    flags,
    ...(side.command ? { command: side.command } : {}),
  });
  return {
    side,
    cluster,
    target: targetOf(
      cluster,
      cluster.members.map((member) => member.name),
    ),
  };
}

/** The members of these names, as a target for load. */
export function targetOf(cluster: StoreCluster, names: readonly string[]): Target {
  const members = cluster.members.filter((member) => names.includes(member.name));
  return {
    endpoints: members.map((member) => member.endpoint),
    tls: cluster.clientTls as Target['tls'],
    pids: () => members.map((member) => member.pid()),
  };
}
