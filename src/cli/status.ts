/** `keelson status`: the members of the cluster on this machine, who leads, and how many losses it can take. */
import { ensureCredentials } from '../cluster/credentials.ts';
import { mastersOf } from '../cluster/plan.ts';
import { storeStatus } from '../cluster/readiness.ts';
import { realEnv } from '../env/real.ts';
import { adminStore } from './cluster-clients.ts';
import { flagHelp, parseFlags, UsageError } from './flags.ts';
import { directoryFlag, loadCluster } from './up-flags.ts';

const flags = {
  ...directoryFlag,
  o: { type: 'string', default: 'text', help: 'output: text or json' },
} as const;

export async function run(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(
      flagHelp('keelson status [flags]', 'Shows the masters and nodes of the cluster on this machine.', flags),
    );
    return 0;
  }
  const { values } = parseFlags(flags, { command: 'status', args });
  if (values.o !== 'text' && values.o !== 'json')
    throw new UsageError(`keelson status: -o ${JSON.stringify(values.o)}: want text or json`);
  const env = realEnv('error');
  const cluster = await loadCluster(env, values.dir);
  const store = adminStore(env, cluster.plan, await ensureCredentials(env, cluster.plan));
  const members = await storeStatus(cluster.plan, store);
  store.close();
  const hosts = await Promise.all(
    cluster.plan.hosts.map(async (host) => {
      const member = members.find((candidate) => candidate.name === host.name);
      return {
        name: host.name,
        role: host.role,
        address: host.address,
        process: (await cluster.processes.running(host.name)) === undefined ? 'stopped' : 'running',
        ...(host.role === 'master'
          ? {
              store:
                member?.status === undefined
                  ? 'no answer'
                  : member.status.leader === member.status.memberId
                    ? 'leader'
                    : 'follower',
              revision: member?.status?.revision ?? null,
              term: member?.status?.raftTerm ?? null,
            }
          : {}),
      };
    }),
  );
  const masters = mastersOf(cluster.plan).length;
  const up = members.filter((member) => member.status !== undefined).length;
  const quorum = Math.floor(masters / 2) + 1;
  const canLose = up - quorum;
  if (values.o === 'json') {
    process.stdout.write(
      `${JSON.stringify({ hosts, quorum: { masters, up, needed: quorum, canLose: Math.max(canLose, 0) } }, null, 2)}\n`,
    );
    return canLose >= 0 ? 0 : 1;
  }
  const rows = [
    ['NAME', 'ROLE', 'ADDRESS', 'PROCESS', 'STORE', 'TERM', 'REVISION'],
    ...hosts.map((host) => [
      host.name,
      host.role,
      host.address,
      host.process,
      'store' in host ? host.store : '',
      'term' in host ? String(host.term ?? '') : '',
      'revision' in host ? String(host.revision ?? '') : '',
    ]),
  ];
  const widths = (rows[0] as string[]).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] as string).length)),
  );
  for (const row of rows)
    process.stdout.write(
      `${row
        .map((cell, column) => cell.padEnd(widths[column] as number))
        .join('  ')
        .trimEnd()}\n`,
    );
  const verdict =
    canLose < 0
      ? `the store has NO quorum: ${up} of ${masters} masters answer, ${quorum} are needed; writes are refused until ${-canLose} more come back`
      : `quorum: ${up} of ${masters} masters answer, ${quorum} are needed; ${canLose} more can be lost`;
  process.stdout.write(`${verdict}\n`);
  return canLose >= 0 ? 0 : 1;
}
