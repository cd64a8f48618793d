/** `npm run build`: makes dist/, the JavaScript that is published. Sources in a checkout run as they are and need none of it. */
import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');

function compile(project: string): void {
  const { status } = spawnSync(`${root}/node_modules/.bin/tsc`, ['-p', project], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

function filesUnder(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** src/ becomes dist/ and chaos/ becomes dist/chaos/, so what was beside src/ lies within it. */
function moveChaos(): void {
  const from = join(dist, 'all', 'chaos');
  for (const path of filesUnder(from).filter((each) => /\.(js|d\.ts)$/.test(each))) {
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replaceAll(/((?:from|import\()\s*['"](?:\.\.\/)+)src\//g, '$1'));
  }
  renameSync(from, join(dist, 'chaos'));
  rmSync(join(dist, 'all'), { recursive: true });
  // Scenarios and pages are read where they lie.
  for (const path of filesUnder(join(root, 'chaos')).filter((each) => !each.endsWith('.ts')))
    cpSync(path, join(dist, path.slice(root.length)));
}

rmSync(dist, { recursive: true, force: true });
compile('tsconfig.build.json');
compile('tsconfig.build-chaos.json');
moveChaos();
