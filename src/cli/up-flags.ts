/** Flags that say which cluster on this machine a command means, and what `up` makes of it. */
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { Cluster } from '../cluster/cluster.ts';
import type { Env } from '../env/env.ts';
import { KeelsonError } from '../env/errors.ts';
import { keelsonProgram } from './runtime.ts';

export const directoryFlag = {
  dir: { type: 'string', default: '.keelson', help: 'directory that holds the cluster' },
} as const;

export const upFlags = {
  ...directoryFlag,
  masters: { type: 'number', default: 3, min: 1, max: 7, help: 'masters: 1, 3, 5 or 7' },
  nodes: { type: 'number', default: 2, min: 0, max: 50, help: 'nodes that run pods' },
  'masters-run-nodes': { type: 'boolean', help: 'run a node beside every master too, tainted NoSchedule' },
  'allow-even-masters': { type: 'boolean', help: 'go on with an even number of masters' },
  fresh: { type: 'boolean', help: 'delete what the directory holds and start over' },
  detach: { type: 'boolean', help: 'return when all is ready; `keelson down` stops it' },
  'api-port': {
    type: 'number',
    default: 6443,
    min: 0,
    max: 65_535,
    help: 'port on 127.0.0.1 for kubectl; 0 takes a free one',
  },
  subnet: { type: 'string', help: "first three octets of the hosts' network (a free one in 10.89.0.0/16)" },
  'node-monitor-period': { type: 'duration', default: 5_000, help: 'how often the state of nodes is checked' },
  'node-monitor-grace-period': {
    type: 'duration',
    default: 40_000,
    help: 'silence after which a node counts as not ready',
  },
  'default-toleration-seconds': {
    type: 'number',
    default: 300,
    help: 'how long pods stay on a node that is not ready',
  },
} as const;

export function absoluteDirectory(directory: string): string {
  return resolve(directory);
}

/** Six hex digits that differ between directories, so that clusters do not share names on the machine. */
export function clusterId(directory: string): string {
  return createHash('sha256').update(directory).digest('hex').slice(0, 6);
}

export async function loadCluster(env: Env, directory: string): Promise<Cluster> {
  const absolute = absoluteDirectory(directory);
  const cluster = await Cluster.load(env, keelsonProgram, absolute);
  if (cluster === undefined)
    throw new KeelsonError(
      'NO_CLUSTER',
      `${absolute} holds no cluster: make one with keelson up, or name its directory with --dir`,
    );
  return cluster;
}
