/** `keelson store <subcommand>`: what is done with a store's data while no member runs on it. Loaded when asked for. */
import { UsageError } from './flags.ts';

interface Subcommand {
  readonly summary: string;
  readonly load: () => Promise<{ run(args: readonly string[]): Promise<number> }>;
}

const subcommands: Readonly<Record<string, Subcommand>> = {
  restore: {
    summary: 'make a data directory out of a snapshot of etcd or Keelson',
    load: () => import('./store-restore.ts'),
  },
  export: {
    summary: 'write the store as an etcd snapshot file',
    load: () => import('./store-export.ts'),
  },
  verify: { summary: 'check a data directory', load: () => import('./store-verify.ts') },
  dump: { summary: 'print what a data directory holds', load: () => import('./store-dump.ts') },
};

/** Runs the subcommand that the first argument names; undefined when it is a flag, or there is none. */
export async function runSubcommand(args: readonly string[]): Promise<number | undefined> {
  const [name, ...rest] = args;
  if (name === undefined || name.startsWith('-')) return undefined;
  const found = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined;
  if (found === undefined) {
    const known = Object.keys(subcommands).join(', ');
    throw new UsageError(`keelson store: unknown subcommand ${JSON.stringify(name)}: want one of ${known}, or flags`);
  }
  return (await found.load()).run(rest);
}

/** Lines for `keelson store --help`. */
export function subcommandHelp(): string {
  const lines = Object.entries(subcommands).map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`);
  return `\nSubcommands:\n${lines.join('\n')}\n`;
}
