/**
 * The search over a copy of the core with a bug in it. The copy is loaded beside the real one, in the same process; it
 * shares no module with it.
 */
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Bounds } from '../../../chaos/explore/cluster.ts';
import type * as main from '../../../chaos/explore/main.ts';
import type * as search from '../../../chaos/explore/search.ts';
import type * as story from '../../../chaos/explore/story.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const copied = ['src/raft/core', 'src/env', 'src/cli/flags.ts', 'chaos/explore', 'chaos/check'];

export interface Edit {
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
}

/** The core's own assertions on votes: without them a search must see by itself what comes of a second vote. */
export const unwatchedVotes: readonly Edit[] = [
  {
    file: 'src/raft/core/hard-state.ts',
    find: 'hardState.term > this.handed.term || this.handed.vote === 0 || hardState.vote === this.handed.vote,',
    replace: 'hardState.vote >= 0,',
  },
  {
    file: 'src/raft/core/check-state.ts',
    find: 'before.vote === nobody || after.vote === before.vote,',
    replace: 'before.vote >= 0,',
  },
];

export interface Planted {
  readonly run: (bounds: Bounds, statesMax: number) => search.SearchResult;
  readonly retell: typeof story.retell;
  readonly storyText: typeof story.storyText;
  readonly runExplore: typeof main.runExplore;
}

/** Loads a copy with the edits, hands it to `use` and removes it. */
export async function withPlanted<T>(edits: readonly Edit[], use: (planted: Planted) => T | Promise<T>): Promise<T> {
  const copy = await mkdtemp(join(tmpdir(), 'keelson-explore-'));
  try {
    for (const path of copied) {
      await mkdir(dirname(join(copy, path)), { recursive: true });
      await cp(join(root, path), join(copy, path), { recursive: true });
    }
    await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
    await writeFile(join(copy, 'package.json'), '{ "type": "module" }');
    for (const edit of edits) await plant(copy, edit);
    const load = (file: string): Promise<unknown> => import(pathToFileURL(join(copy, 'chaos/explore', file)).href);
    const { Search } = (await load('search.ts')) as typeof search;
    const { retell, storyText } = (await load('story.ts')) as typeof story;
    const { runExplore } = (await load('main.ts')) as typeof main;
    return await use({
      runExplore,
      run: (bounds, statesMax) => new Search(bounds, { statesMax }).run(),
      retell,
      storyText,
    });
  } finally {
    await rm(copy, { recursive: true });
  }
}

async function plant(copy: string, { file, find, replace }: Edit): Promise<void> {
  const text = await readFile(join(copy, file), 'utf8');
  const occurrences = text.split(find).length - 1;
  if (occurrences !== 1)
    throw new Error(
      `${file} holds ${JSON.stringify(find)} ${occurrences} times, want once: change the bug with the code`,
    );
  await writeFile(
    join(copy, file),
    text.replace(find, () => replace),
  );
}
