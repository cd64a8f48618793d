/**
 * Makes a segment durable under its final name, with its header and, when the log is written anew, with entries. The
 * file is longer than what is in it: later writes then leave its length alone, and their syncs are cheaper.
 */
import { assert } from '../../env/assert.ts';
import type { DiskFile } from '../../env/disk.ts';
import type { Entry } from '../core/types.ts';
import { encodeBatch, encodeSegmentHeader, type SegmentHeader } from './payload.ts';
import { framedBytes, frameRecord, type RecordFacts, type RecordType, recordTypes } from './record.ts';
import type { SegmentName } from './segment.ts';
import type { WalOptions } from './wal.ts';

/**
 * How far a file is made longer at a time. With 64 KiB or less the length would change every few groups; more only makes
 * a simulated disk slower, as the bytes are not there on a real one.
 */
const growBytesMax = 1024 * 1024;

/** The length that a file of a log gets when it has to hold `bytes`. */
export function allocatedFor(bytes: number, segmentBytes: number): number {
  const step = Math.min(growBytesMax, Math.max(4096, Math.ceil(segmentBytes / 4096) * 4096));
  return Math.ceil((bytes + 1) / step) * step;
}

export interface CreatedSegment {
  readonly file: DiskFile;
  readonly offset: number;
  readonly lastCrc: number;
  readonly allocatedBytes: number;
}

export async function createSegment(
  options: WalOptions,
  name: SegmentName,
  state: Omit<SegmentHeader, 'sequence' | 'firstIndex'>,
  batches: readonly (readonly Entry[])[] = [],
): Promise<CreatedSegment> {
  const path = `${options.directory}/wal/${name.name}`;
  const temporary = `${path}.tmp`;
  const { term, vote } = state.hardState;
  const header = encodeSegmentHeader({ ...state, sequence: name.sequence, firstIndex: name.firstIndex });
  // Of an attempt that found the disk full.
  if (await options.disk.exists(temporary)) await options.disk.remove(temporary);
  const file = await options.disk.open(temporary, 'create');
  try {
    let offset = 0;
    let lastCrc = 0;
    const write = async (type: RecordType, payload: Uint8Array, facts: RecordFacts): Promise<void> => {
      const groupEnd = offset + framedBytes(payload.length);
      assert(groupEnd < 2 ** 32, 'offsets in a segment fit 32 bits');
      const record = frameRecord(type, payload, { offset, previousCrc: lastCrc, groupStart: offset, groupEnd }, facts);
      await file.write(offset, record.chunks);
      offset = groupEnd;
      lastCrc = record.crc;
    };
    await write(recordTypes.segmentHeader, header, { term, vote, firstIndex: 0, lastIndex: name.firstIndex - 1 });
    for (const entries of batches) {
      const [first, last] = [entries[0]?.index ?? 0, entries.at(-1)?.index ?? 0];
      assert(first > 0 && last >= first, 'a batch of a new beginning has entries');
      const payload = encodeBatch({ hardState: state.hardState, entries });
      await write(recordTypes.batch, payload, { term, vote, firstIndex: first, lastIndex: last });
    }
    const allocatedBytes = allocatedFor(offset, options.segmentBytes);
    await file.truncate(allocatedBytes);
    await file.dataSync();
    await options.disk.rename(temporary, path);
    await options.disk.syncDirectory(`${options.directory}/wal`);
    return { file, offset, lastCrc, allocatedBytes };
  } catch (error) {
    await file.close();
    throw error;
  }
}
