/** `keelson stop NAME`: stops one master or node of the cluster on this machine; `--kill` as a power cut would. */
import { realEnv } from '../env/real.ts';
import { flagHelp, parseFlags, UsageError } from './flags.ts';
import { directoryFlag, loadCluster } from './up-flags.ts';

const flags = {
  ...directoryFlag,
  kill: { type: 'boolean', help: 'kill -9 all its processes at once' },
} as const;

export async function run(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(
      flagHelp(
        'keelson stop NAME [flags]',
        'Stops a master or node, for example m1 or n2. keelson start NAME brings it back.',
        flags,
      ),
    );
    return 0;
  }
  const { values, positionals } = parseFlags(flags, { command: 'stop', args, positionalsMax: 1 });
  const name = positionals[0];
  if (name === undefined) throw new UsageError('keelson stop: name a host, for example: keelson stop m1');
  const cluster = await loadCluster(realEnv('warn'), values.dir);
  await cluster.stopHost(cluster.host(name), values.kill);
  process.stdout.write(`keelson: ${name} is ${values.kill ? 'killed' : 'stopped'}\n`);
  return 0;
}
