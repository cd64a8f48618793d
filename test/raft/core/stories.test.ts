/**
 * The stories in test/testdata/raft run as they are written. A story whose outcome changed fails with the difference;
 * `--rewrite` after the file name, or REWRITE=1, writes the new outcome. Commit that only when you understand it.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runStory } from '../../support/raft-story.ts';

const directory = fileURLToPath(new URL('../../testdata/raft/', import.meta.url));
const isRewriting = process.argv.includes('--rewrite') || process.env['REWRITE'] === '1';
const stories = readdirSync(directory).filter((name) => name.endsWith('.txt'));

test('there are stories to run', () => {
  assert.ok(stories.length >= 15, `only ${stories.length} stories in ${directory}`);
});

for (const name of stories) {
  test(`story: ${name.replace('.txt', '').replaceAll('-', ' ')}`, () => {
    const written = readFileSync(directory + name, 'utf8');
    const outcome = runStory(written);
    if (isRewriting) writeFileSync(directory + name, outcome);
    else assert.equal(outcome, written);
  });
}
