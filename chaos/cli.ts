/** `keelson chaos`: breaks a store on purpose and judges what comes of it. Each command is loaded when it is asked for. */
import { KeelsonError } from '../src/env/errors.ts';
import { UsageError } from '../src/cli/flags.ts';

interface Command {
  readonly about: string;
  /** Resolves with the exit code. */
  readonly run: (args: readonly string[]) => Promise<number>;
}

const commands: Readonly<Record<string, Command>> = {
  sim: {
    about: 'simulated worlds: a whole store in one process, a seed each',
    run: async (args) => (await import('./sim/run.ts')).runSim(args),
  },
  live: {
    about: 'scenarios on real members, in network namespaces of their own',
    run: async (args) => (await import('./live/run.ts')).runLive(args),
  },
  check: {
    about: 'judges a history that somebody wrote down, of any store',
    run: async (args) => (await import('./check/main.ts')).runCheck(args),
  },
  report: {
    about: 'makes a page, JUnit or JSON lines of what a run has written down',
    run: async (args) => (await import('./report/main.ts')).runReport(args),
  },
  explore: {
    about: 'every state that a small cluster can come to',
    run: async (args) => (await import('./explore/main.ts')).runExplore(args),
  },
};

function help(): string {
  const lines = Object.entries(commands).map(([name, { about }]) => `  ${name.padEnd(10)}${about}`);
  return `Usage: keelson chaos <command> [flags]\n\n${lines.join('\n')}\n\nkeelson chaos <command> --help tells its flags.`;
}

async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === 'help') {
    console.log(help());
    return name === undefined ? 2 : 0;
  }
  const command = commands[name];
  if (command === undefined) {
    throw new UsageError(`keelson chaos: no command ${name}: want one of ${Object.keys(commands).join(', ')}`);
  }
  return command.run(args);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof KeelsonError)) throw error;
  console.error(error.message);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
