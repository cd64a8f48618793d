/** What every composition root needs of its own process. */
import { fileURLToPath } from 'node:url';

/** The launcher of this very installation. */
export const keelsonProgram: string = fileURLToPath(new URL('../../bin/keelson', import.meta.url));

/** Resolves with the first SIGINT or SIGTERM. A second one ends the process at once. */
export function untilStopSignal(): Promise<'SIGINT' | 'SIGTERM'> {
  return new Promise((resolve) => {
    let seen = false;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (seen) process.exit(130);
        seen = true;
        resolve(signal);
      });
    }
  });
}

/** A file of this installation, by its path from the package's root. */
export function repositoryFile(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}
