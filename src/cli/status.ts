/**
 * `keelson status`: the members of the cluster on this machine, or of a store (`--endpoints`), who leads, how many losses it
 * can take, and what the autopilot says.
 */
import { ensureCredentials } from '../cluster/credentials.ts';
import { mastersOf } from '../cluster/plan.ts';
import type { Env } from '../env/env.ts';
import { KeelsonError } from '../env/errors.ts';
import { realEnv } from '../env/real.ts';
import { adminStoreOptions } from './cluster-clients.ts';
import { flagHelp, type FlagValues, parseFlags, UsageError } from './flags.ts';
import { readSnapshotRequest, storeClientFlags } from './store-client-flags.ts';
import { type StoreView, tableOf, verdictOf, viewStore } from './store-view.ts';
import { directoryFlag, loadCluster } from './up-flags.ts';

const flags = {
  ...directoryFlag,
  ...storeClientFlags,
  o: { type: 'string', default: 'text', help: 'output: text or json' },
} as const;

const summary =
  'Shows the masters and nodes of the cluster on this machine, or with --endpoints the members of a store.';

export async function run(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(flagHelp('keelson status [flags]', summary, flags));
    return 0;
  }
  const { values } = parseFlags(flags, { command: 'status', args });
  if (values.o !== 'text' && values.o !== 'json')
    throw new UsageError(`keelson status: -o ${JSON.stringify(values.o)}: want text or json`);
  const env = realEnv('error');
  return values.endpoints.length > 0 ? statusOfStore(env, values) : statusOfCluster(env, values);
}

async function statusOfStore(env: Env, values: FlagValues<typeof flags>): Promise<number> {
  const view = await viewStore(await readSnapshotRequest(env, 'status', values, process.env));
  const rows = view.members.map(({ name, id, role, state, endpoint, term, revision }) => [
    name || id,
    role,
    state,
    endpoint,
    String(term ?? ''),
    String(revision ?? ''),
  ]);
  const table = tableOf([['NAME', 'ROLE', 'STORE', 'ENDPOINT', 'TERM', 'REVISION'], ...rows]);
  const text = `${table}${verdictOf(view).join('\n')}\n`;
  process.stdout.write(values.o === 'json' ? `${JSON.stringify(view, null, 2)}\n` : text);
  return view.canLose >= 0 ? 0 : 1;
}

async function statusOfCluster(env: Env, values: FlagValues<typeof flags>): Promise<number> {
  const cluster = await loadCluster(env, values.dir);
  const view = await viewUnlessSilent(env, cluster.plan);
  const masters = mastersOf(cluster.plan).length;
  const hosts = await Promise.all(
    cluster.plan.hosts.map(async ({ name, role, address }) => {
      const process = (await cluster.processes.running(name)) === undefined ? 'stopped' : 'running';
      const member = view?.members.find((candidate) => candidate.name === name);
      const { state = 'no answer', revision = null, term = null } = member ?? {};
      const store = member?.role === 'standby' && state === 'follower' ? 'standby' : state;
      return { name, role, address, process, ...(role === 'master' ? { store, revision, term } : {}) };
    }),
  );
  const { voters = masters, up = 0, needed = Math.floor(masters / 2) + 1 } = view ?? {};
  const canLose = up - needed;
  if (values.o === 'json') {
    const quorum = { masters, voters, up, needed, canLose: Math.max(canLose, 0) };
    const autopilot = view?.autopilot === undefined ? {} : { autopilot: view.autopilot };
    process.stdout.write(`${JSON.stringify({ hosts, quorum, ...autopilot }, null, 2)}\n`);
    return canLose >= 0 ? 0 : 1;
  }
  const rows = hosts.map((host) => [
    host.name,
    host.role,
    host.address,
    host.process,
    'store' in host ? String(host.store) : '',
    'term' in host ? String(host.term ?? '') : '',
    'revision' in host ? String(host.revision ?? '') : '',
  ]);
  process.stdout.write(tableOf([['NAME', 'ROLE', 'ADDRESS', 'PROCESS', 'STORE', 'TERM', 'REVISION'], ...rows]));
  const noView = { members: [], voters, up, needed, canLose, isJoint: false, hasLeader: false, hasAutopilot: false };
  process.stdout.write(`${verdictOf(view ?? noView).join('\n')}\n`);
  return canLose >= 0 ? 0 : 1;
}

/** A cluster that is stopped has a status too. */
async function viewUnlessSilent(
  env: Env,
  plan: Parameters<typeof adminStoreOptions>[1],
): Promise<StoreView | undefined> {
  try {
    return await viewStore(adminStoreOptions(env, plan, await ensureCredentials(env, plan)));
  } catch (error) {
    if (error instanceof KeelsonError && error.code === 'NO_ANSWER') return undefined;
    throw error;
  }
}
