/**
 * Reads all segments of a log, in order and without changing anything: what they say, and where they cannot be read.
 */
import { present } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import { newestSequence } from './newest.ts';
import { readBytes } from './read-bytes.ts';
import { hopeless, Replay } from './replay.ts';
import { type Damage, parseSegmentName, readSegment, type SegmentContent, type SegmentName } from './segment.ts';
import type { WalIdentity, WalOptions } from './wal.ts';

/** The segments that there are, in order. */
export async function segmentNames(options: WalOptions): Promise<readonly SegmentName[]> {
  const names = (await options.disk.list(`${options.directory}/wal`)).map(parseSegmentName);
  return names.filter((name) => name !== undefined).sort((a, b) => a.sequence - b.sequence);
}

/** What the segments say, before anything is changed. */
export interface FoundLog {
  readonly replay: Replay;
  readonly identity: WalIdentity;
  readonly damage: readonly Damage[];
  /** In use; without those that a new beginning made useless. */
  readonly segments: readonly SegmentName[];
  /** All that there are. */
  readonly names: readonly SegmentName[];
  readonly lastSequence: number;
  /** The last segment, when it is there and can be read up to its end. */
  readonly last: SegmentContent | undefined;
  readonly lastBytes: Buffer;
}

/** Rejects with `DATA_OTHER_CLUSTER`, `DATA_NEWER_VERSION`, or `WAL_CORRUPT` when not even a header is left. */
export async function findLog(
  options: WalOptions,
  names: readonly SegmentName[],
  expected: Partial<Pick<WalIdentity, 'clusterId' | 'memberId'>>,
): Promise<FoundLog> {
  const wal = `${options.directory}/wal`;
  let replay: Replay | undefined;
  let identity: WalIdentity | undefined;
  let damage: Damage[] = [];
  let segments: SegmentName[] = [];
  let previous: SegmentContent | undefined;
  let lastBytes: Buffer = Buffer.alloc(0);
  const suffer = (what: Damage) => {
    damage.push(what);
    replay?.damage(what);
  };
  /** Missing segments, until the next one there says in which term it begins. */
  const missing: Damage[] = [];
  const sufferMissing = (term?: number) => {
    for (const what of missing.splice(0)) suffer(term === undefined ? what : { ...what, next: { term } });
  };
  const newest = Math.max(await newestSequence(options.disk, options.directory), names.at(-1)?.sequence ?? 0);
  const first = present(names[0], 'a segment').sequence;
  for (let sequence = first; sequence <= newest; sequence++) {
    const name = names.find((candidate) => candidate.sequence === sequence);
    if (!name) {
      missing.push({
        path: `${wal} number ${sequence}`,
        offset: 0,
        bytes: options.segmentBytes,
        reason: 'it is missing',
      });
      previous = undefined;
      continue;
    }
    const path = `${wal}/${name.name}`;
    const bytes = await readBytes(options.disk, path);
    const content = readSegment(path, bytes, sequence === newest);
    const { header } = content;
    sufferMissing(header?.hardState.term);
    if (header) {
      const next = { term: header.hardState.term };
      checkIdentity(path, header.identity, identity ?? expected);
      identity = header.identity;
      const isStart = header.isNewBeginning || replay === undefined;
      if (header.sequence !== sequence || header.firstIndex !== name.firstIndex) {
        suffer({ path, offset: 0, bytes: 0, reason: 'name and header differ', next });
      }
      if (!isStart && previous && header.previousSegmentCrc !== previous.lastCrc) {
        const reason = 'it does not follow the segment before it, whose end is missing or damaged';
        suffer({ path, offset: 0, bytes: 0, reason, next });
      }
      if (isStart) {
        const hadDamage = !header.isNewBeginning && damage.length > 0;
        replay = new Replay(header);
        if (hadDamage) replay.holeBefore();
        if (header.isNewBeginning) [damage, segments] = [[], []];
      } else {
        replay?.header(header);
      }
    }
    segments.push(name);
    for (const item of content.items) {
      if (item.kind === 'damage') suffer(item.damage);
      else replay?.record(item.record, path);
    }
    previous = content;
    lastBytes = bytes;
  }
  sufferMissing();
  if (!replay || !identity) throw hopeless(present(damage[0], 'a reason'));
  return { replay, identity, damage, segments, names, lastSequence: newest, last: previous, lastBytes };
}

function checkIdentity(
  path: string,
  found: WalIdentity,
  expected: Partial<Pick<WalIdentity, 'clusterId' | 'memberId'>>,
): void {
  const isSame = (key: 'clusterId' | 'memberId') => expected[key] === undefined || expected[key] === found[key];
  if (isSame('clusterId') && isSame('memberId')) return;
  throw new KeelsonError(
    'DATA_OTHER_CLUSTER',
    `open log: ${path} belongs to member ${found.memberId} of cluster ${found.clusterId}, not to member ` +
      `${expected.memberId ?? found.memberId} of cluster ${expected.clusterId ?? found.clusterId}: check the data directory`,
  );
}
