/** Which backups stay, as a pure rule: the newest few always, and all of the last while. */
import { assert } from '../../env/assert.ts';

export interface Retention {
  /** So many of the newest stay however old they are; at least one. */
  readonly keep: number;
  /** And all that are younger than this; 0 = none for their age. */
  readonly keepForMs: number;
}

const namePattern = /^keelson-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-[0-9a-f]+\.backup$/;

/** `keelson-20260301T120000000Z-177dfa.backup`: names sort by time, and say which cluster they are of. */
export function backupName(wallMs: number, clusterId: string): string {
  const stamp = new Date(wallMs).toISOString().replace(/[-:.]/g, '');
  const name = `keelson-${stamp}-${clusterId}.backup`;
  assert(namePattern.test(name), () => `${name} is the name of a backup`);
  return name;
}

/** When a backup was made; undefined for a name that is none's. */
export function madeAtMs(name: string): number | undefined {
  const match = namePattern.exec(name);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second, millisecond] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return Date.UTC(year, month - 1, day, hour, minute, second, millisecond);
}

/** The backups among `names` that may go, oldest first. Names that are no backup's are never among them. */
export function expired(names: readonly string[], nowMs: number, retention: Retention): readonly string[] {
  assert(retention.keep >= 1 && retention.keepForMs >= 0, 'at least the newest backup is kept');
  const backups = names
    .map((name) => ({ name, madeMs: madeAtMs(name) }))
    .filter((each): each is { name: string; madeMs: number } => each.madeMs !== undefined)
    .sort((a, b) => a.madeMs - b.madeMs);
  const mayGo = backups.slice(0, Math.max(0, backups.length - retention.keep));
  return mayGo.filter(({ madeMs }) => nowMs - madeMs > retention.keepForMs).map(({ name }) => name);
}
