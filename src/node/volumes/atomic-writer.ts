/**
 * Writes a set of files so that a reader sees all of the old or all of the new ones, never a mixture.
 *
 * The files lie in a directory named by a counter, `..data` is a link to it, and every visible name is a link through
 * `..data`: replacing that one link by rename changes all files at once. Worked example, volume with `a` and `b/c`:
 *
 *   ..3f2a/a  ..3f2a/b/c   ..data -> ..3f2a   a -> ..data/a   b -> ..data/b
 *
 * One writer per directory at a time.
 */
import { createHash } from 'node:crypto';
import { assert } from '../../env/assert.ts';
import type { HostFiles } from './host-files.ts';

export interface PayloadFile {
  readonly content: Uint8Array;
  readonly mode: number;
}

/** Files by path relative to the volume. */
export type Payload = ReadonlyMap<string, PayloadFile>;

export interface Ownership {
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** True when something was changed. */
export async function writePayload(
  files: HostFiles,
  directory: string,
  payload: Payload,
  ownership: Ownership = {},
): Promise<boolean> {
  for (const path of payload.keys()) {
    assert(isInside(path), () => `a volume's file ${JSON.stringify(path)} must lie inside the volume`);
  }
  const name = `..${digest(payload)}`;
  const before = await files.readLink(`${directory}/..data`);
  if (before !== name) await writeVersion(files, directory, name, payload, ownership);
  // Names are put right even when the content is the same: an earlier call may have been cut off in between.
  const visible = new Set([...payload.keys()].map((path) => path.split('/')[0] as string));
  const present = await files.list(directory);
  for (const entry of visible) {
    if (!present.includes(entry)) await files.symlink(`..data/${entry}`, `${directory}/${entry}`);
  }
  for (const entry of present) {
    if (entry === '..data' || entry === name || visible.has(entry)) continue;
    await files.removeAll(`${directory}/${entry}`);
  }
  return before !== name;
}

async function writeVersion(
  files: HostFiles,
  directory: string,
  name: string,
  payload: Payload,
  ownership: Ownership,
): Promise<void> {
  const version = `${directory}/${name}`;
  await files.removeAll(version);
  await files.makeDirectory(version, 0o755);
  for (const [path, file] of payload) {
    const parts = path.split('/');
    for (let depth = 1; depth < parts.length; depth++) {
      await files.makeDirectory(`${version}/${parts.slice(0, depth).join('/')}`, 0o755);
    }
    await files.writeFile(`${version}/${path}`, file.content, file.mode);
    if (ownership.uid !== undefined || ownership.gid !== undefined) {
      await files.changeOwner(`${version}/${path}`, ownership.uid ?? 0, ownership.gid ?? 0);
    }
  }
  await files.removeAll(`${directory}/..data_tmp`);
  await files.symlink(name, `${directory}/..data_tmp`);
  await files.rename(`${directory}/..data_tmp`, `${directory}/..data`);
}

function isInside(path: string): boolean {
  return path !== '' && !path.startsWith('/') && !path.startsWith('..') && !path.split('/').includes('..');
}

function digest(payload: Payload): string {
  const hash = createHash('sha256');
  for (const [path, file] of [...payload].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${path.length}:${path}:${file.mode}:${file.content.length}:`).update(file.content);
  }
  return hash.digest('hex').slice(0, 24);
}
