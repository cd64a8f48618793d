/** `keelson start NAME`: starts one stopped master or node of the cluster on this machine. */
import { realEnv } from '../env/real.ts';
import { flagHelp, parseFlags, UsageError } from './flags.ts';
import { directoryFlag, loadCluster } from './up-flags.ts';

export async function run(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(
      flagHelp('keelson start NAME [flags]', 'Starts a stopped master or node, for example m1 or n2.', directoryFlag),
    );
    return 0;
  }
  const { values, positionals } = parseFlags(directoryFlag, { command: 'start', args, positionalsMax: 1 });
  const name = positionals[0];
  if (name === undefined) throw new UsageError('keelson start: name a host, for example: keelson start m1');
  const cluster = await loadCluster(realEnv('warn'), values.dir);
  const host = cluster.host(name);
  if (host.role === 'master') await cluster.startMaster(host);
  if (host.runsNode) await cluster.startNode(host);
  process.stdout.write(`keelson: ${name} is started\n`);
  return 0;
}
