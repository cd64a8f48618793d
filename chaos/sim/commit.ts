/** Which sources ran, for whoever replays a world. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Undefined outside of a repository. */
export function commitOfSources(): string | undefined {
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  try {
    const found = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd, stdio: ['ignore', 'pipe', 'ignore'] });
    return found.toString().trim();
  } catch {
    // An installed package, or no git: the version is in package.json then.
    return undefined;
  }
}
