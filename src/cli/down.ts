/** `keelson down`: stops a cluster on this machine and leaves nothing of it but its data. */
import { realEnv } from '../env/real.ts';
import { flagHelp, parseFlags } from './flags.ts';
import { directoryFlag, loadCluster } from './up-flags.ts';

export async function run(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(
      flagHelp(
        'keelson down [flags]',
        'Stops the cluster on this machine. Its data stays; `keelson up` goes on with it.',
        directoryFlag,
      ),
    );
    return 0;
  }
  const { values } = parseFlags(directoryFlag, { command: 'down', args });
  const cluster = await loadCluster(realEnv('warn'), values.dir);
  await cluster.down((message) => process.stdout.write(`keelson: ${message}\n`));
  process.stdout.write('keelson: stopped\n');
  return 0;
}
