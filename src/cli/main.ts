/**
 * `keelson <command>`: finds the command, runs it, turns errors into one line and an exit code. 0 = done, 1 = failed,
 * 2 = wrong usage. Commands are loaded when asked for, so that `keelson --help` costs nothing.
 */
import { DiskError } from '../env/disk.ts';
import { errorText, KeelsonError } from '../env/errors.ts';
import { UsageError } from './flags.ts';

/** Every command module exports `run`: arguments after the command's name in, exit code out. */
type Command = {
  readonly summary: string;
  readonly load: () => Promise<{ run(args: readonly string[]): Promise<number> }>;
};

const commands: Readonly<Record<string, Command>> = {
  up: { summary: 'start a whole highly available cluster on this machine', load: () => import('./up.ts') },
  down: { summary: 'stop the cluster that `up --detach` started', load: () => import('./down.ts') },
  start: {
    summary: 'start one stopped master or node of the cluster on this machine',
    load: () => import('./start.ts'),
  },
  stop: { summary: 'stop one master or node of the cluster on this machine', load: () => import('./stop.ts') },
  status: { summary: 'show the members of the cluster on this machine', load: () => import('./status.ts') },
  server: { summary: 'run a master: store, API server, controllers, scheduler', load: () => import('./server.ts') },
  node: { summary: 'run a node: kubelet, service proxy, DNS', load: () => import('./node.ts') },
  store: { summary: 'run one member of the replicated store', load: () => import('./store.ts') },
  backup: { summary: 'back up a running store; list, verify and restore backups', load: () => import('./backup.ts') },
  recover: { summary: 'bring a store back that has lost its quorum for good', load: () => import('./recover.ts') },
  apiserver: { summary: 'run an API server', load: () => import('./apiserver.ts') },
  'controller-manager': { summary: 'run the controllers', load: () => import('./controller-manager.ts') },
  scheduler: { summary: 'run the scheduler', load: () => import('./scheduler.ts') },
  balancer: { summary: 'forward a local port to the API servers that are ready', load: () => import('./balancer.ts') },
};

function help(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length)) + 2;
  const lines = Object.entries(commands).map(([name, command]) => `  ${name.padEnd(width)}${command.summary}`);
  return `Keelson runs containers on a highly available cluster.\n\nUsage:\n  keelson <command> [flags]\n\nCommands:\n${lines.join('\n')}\n\nkeelson <command> --help tells a command's flags.\n`;
}

export async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(help());
    return name === undefined ? 2 : 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  try {
    if (command === undefined)
      throw new UsageError(`keelson: unknown command ${JSON.stringify(name)} (see keelson --help)`);
    return await (await command.load()).run(rest);
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`${error.message}\n`);
      return 2;
    }
    // An operating error explains itself; anything else is a bug and shows where it came from.
    const text =
      error instanceof KeelsonError
        ? `keelson ${name}: ${error.message}`
        : error instanceof DiskError
          ? `keelson ${name}: ${error.message}: check that the path is right, that it may be used, and that the disk has space`
          : error instanceof Error
            ? (error.stack ?? errorText(error))
            : errorText(error);
    process.stderr.write(`${text}\n`);
    return 1;
  }
}
