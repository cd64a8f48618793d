/**
 * Puts one data directory in the place of another, with the log that belongs to it wherever that lies. It takes several
 * renames; what a crash cuts off is done to the end by `finishSwitch`, which every start owes before it looks at the
 * directory: in between there may be none, and a start would begin an empty cluster in its place.
 *
 *   <dir>.switching      the note: written once the new directory is whole, removed when all is done
 *   <dir> ─▶ aside       made ─▶ <dir>
 *   <log>/* ─▶ log.aside     log.made/* ─▶ <log>     inside the log's directory, which may be a mount and cannot be renamed
 */
import { assert } from '../../env/assert.ts';
import type { Disk } from '../../env/disk.ts';
import { KeelsonError } from '../../env/errors.ts';
import { readTextIfAny, writeFileAtomic } from '../../env/files.ts';

export interface Switch {
  /** The new directory; on the file system of the old one. */
  readonly made: string;
  /** Where the old one goes; not there yet. */
  readonly aside: string;
  /** Of a log that lies apart. */
  readonly log?: LogSwitch;
}

export interface LogSwitch {
  readonly directory: string;
  /** Names in `directory`. */
  readonly made: string;
  readonly aside: string;
  /** What is set aside. */
  readonly names: readonly string[];
}

const noteOf = (directory: string) => `${directory}.switching`;

/**
 * Whether a name in a log's directory is Raft's. Logs that were set aside by earlier switches are not, nor what a file system
 * keeps at its root.
 */
export function isOfLog(name: string): boolean {
  return name === 'wal' || name === 'snap';
}

/** Whether a switch has begun and not come to its end. */
export function isSwitching(disk: Disk, directory: string): Promise<boolean> {
  return disk.exists(noteOf(directory));
}

export async function switchOver(disk: Disk, directory: string, plan: Switch): Promise<void> {
  assert(await disk.exists(plan.made), 'what takes the place is there');
  assert(!(await disk.exists(plan.aside)), 'what is set aside gets a free name');
  await writeFileAtomic(disk, noteOf(directory), `${JSON.stringify(plan)}\n`);
  await carryOut(disk, directory, plan);
}

/** Does to the end what a crash had cut off. False when there was nothing. Nobody may be using the directory. */
export async function finishSwitch(disk: Disk, directory: string): Promise<boolean> {
  const text = await readTextIfAny(disk, noteOf(directory));
  if (text === undefined) return false;
  await carryOut(disk, directory, parse(text, directory));
  return true;
}

function parse(text: string, directory: string): Switch {
  try {
    const { made, aside, log } = JSON.parse(text) as Switch;
    const isWhole = [made, aside, ...(log ? [log.directory, log.made, log.aside, ...log.names] : [])].every(
      (name) => typeof name === 'string' && name !== '',
    );
    if (isWhole) return { made, aside, ...(log && { log }) };
  } catch {
    // Told below, as what is no switch is.
  }
  throw new KeelsonError(
    'DATA_DAMAGED',
    `read ${noteOf(directory)}: it does not say what was to take the place of ${directory}: look for ${directory}.made-* and ` +
      `${directory}.before-*, give one of them the name ${directory}, and remove the note`,
  );
}

/** Every step looks whether it was done before. */
async function carryOut(disk: Disk, directory: string, { made, aside, log }: Switch): Promise<void> {
  const parent = parentOf(directory);
  if (await disk.exists(made)) {
    if (!(await disk.exists(aside))) await disk.rename(directory, aside);
    if (log !== undefined) await switchLog(disk, log);
    await disk.rename(made, directory);
    await disk.syncDirectory(parent);
  }
  assert(await disk.exists(directory), 'the new directory has taken its place');
  await disk.remove(noteOf(directory));
  await disk.syncDirectory(parent);
}

async function switchLog(disk: Disk, { directory, made, aside, names }: LogSwitch): Promise<void> {
  await disk.makeDirectory(`${directory}/${aside}`);
  for (const name of names) {
    // A name that is aside already is the new log's by now.
    if (!(await disk.exists(`${directory}/${aside}/${name}`))) {
      await disk.rename(`${directory}/${name}`, `${directory}/${aside}/${name}`);
    }
  }
  await disk.syncDirectory(`${directory}/${aside}`);
  if (!(await disk.exists(`${directory}/${made}`))) return;
  for (const name of await disk.list(`${directory}/${made}`)) {
    await disk.rename(`${directory}/${made}/${name}`, `${directory}/${name}`);
  }
  await disk.syncDirectory(directory);
  await disk.remove(`${directory}/${made}`);
}

export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  if (slash < 0) return '.';
  return slash === 0 ? '/' : path.slice(0, slash);
}
