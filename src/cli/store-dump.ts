/** `keelson store dump DIR`: prints what a data directory holds, for people or (`-o json`) for programs. */
import { once } from 'node:events';
import { type DumpItem, dumpDirectory } from '../kv/snapshot/dump.ts';
import { flagHelp, parseFlags, UsageError } from './flags.ts';
import { offlineFlags, offlineOptions } from './store-offline.ts';

const flags = {
  o: { type: 'string', default: 'text', help: 'text, or json: one object a line' },
  ...offlineFlags,
} as const;

const summary =
  'Prints the log, the snapshots and the rows in the data directory of a member that does not run. Touches nothing. Rows\nhold everything in the store, the hashes of passwords too.';
/** A value in text form is cut after this. */
const shownCharacters = 80;

export async function run(args: readonly string[]): Promise<number> {
  const command = 'store dump';
  const { values, positionals } = parseFlags(flags, { command, args, positionalsMax: 1 });
  if (values.help) {
    process.stdout.write(flagHelp('keelson store dump DIR [-o json]', summary, flags));
    return 0;
  }
  if (values.o !== 'json' && values.o !== 'text') {
    throw new UsageError(`keelson ${command}: -o ${JSON.stringify(values.o)}: want text or json`);
  }
  for await (const item of dumpDirectory(offlineOptions(command, values, positionals))) {
    const line = values.o === 'json' ? JSON.stringify(item) : lineOf(item);
    // What reads is slower than what prints: without a wait everything would be held in memory.
    if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain');
  }
  return 0;
}

function lineOf(item: DumpItem): string {
  switch (item.kind) {
    case 'member':
      return `member ${item.file.memberId.toString(16)} cluster ${item.file.clusterId.toString(16)} ${JSON.stringify(item.file)}`;
    case 'log': {
      const { item: entry } = item;
      if (entry.kind === 'snapshot')
        return `snapshot ${entry.path} ${entry.isWhole ? 'whole' : 'DAMAGED'} ${entry.text}`;
      const where = `${entry.segment.slice(entry.segment.lastIndexOf('/') + 1)}@${entry.offset}`;
      return entry.kind === 'damage'
        ? `log ${where} DAMAGED ${entry.reason}`
        : `log ${where} ${entry.type} ${entry.text}`;
    }
    case 'revision': {
      if (item.type === 'delete') return `revision ${item.revision} delete ${JSON.stringify(item.key)}`;
      const lease = item.lease === undefined ? '' : ` lease ${item.lease}`;
      const value = (item.value ?? '').slice(0, shownCharacters);
      return `revision ${item.revision} put ${JSON.stringify(item.key)} created ${item.createRevision} version ${item.version}${lease} ${item.valueBytes} bytes ${JSON.stringify(value)}`;
    }
    case 'row':
      return `row ${item.key} ${JSON.stringify(item.value)}`;
  }
}
