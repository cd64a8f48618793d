/** `keelson store verify DIR`: checks a data directory offline. Exit code 1 when something in it is damaged. */
import { verifyDirectory } from '../kv/snapshot/verify.ts';
import { flagHelp, parseFlags } from './flags.ts';
import { offlineFlags, offlineOptions } from './store-offline.ts';

const summary =
  'Checks the data directory of a member that does not run: log, snapshots, rows, and that they fit together. Prints each\nproblem in one line and touches nothing; exit code 1 when there is one.';

export async function run(args: readonly string[]): Promise<number> {
  const command = 'store verify';
  const { values, positionals } = parseFlags(offlineFlags, { command, args, positionalsMax: 1 });
  if (values.help) {
    process.stdout.write(flagHelp('keelson store verify DIR [flags]', summary, offlineFlags));
    return 0;
  }
  const options = offlineOptions(command, values, positionals);
  let problems = 0;
  for await (const { kind, text } of verifyDirectory(options)) {
    if (kind === 'problem') problems += 1;
    process.stdout.write(kind === 'problem' ? `PROBLEM ${text}\n` : `${text}\n`);
  }
  process.stdout.write(
    problems === 0 ? `${options.directory}: no problems\n` : `${options.directory}: ${problems} problems\n`,
  );
  return problems === 0 ? 0 : 1;
}
