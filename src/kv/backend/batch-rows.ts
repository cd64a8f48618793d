/**
 * A numbered row in every disk batch. LevelDB drops what it cannot read of its own log and goes on with what follows; then a
 * number in the middle is missing. A missing end is no damage: it is applied again from the Raft log.
 */
import { assert } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';

/**
 * Numbers that are kept: more than there are batches in LevelDB's log of 32 MiB, as the store asks for a sync only every
 * thousand entries.
 */
export const batchesKept = 8192;

export const batchRowsFrom: Buffer = Buffer.from([0xff, 0xff, 1]);
export const batchRowsTo: Buffer = Buffer.from([0xff, 0xff, 2]);

export function batchKey(number: number): Buffer {
  assert(Number.isSafeInteger(number) && number > 0 && number < 2 ** 48, 'disk batches count from 1');
  const key = Buffer.alloc(9);
  batchRowsFrom.copy(key);
  key.writeUIntBE(number, 3, 6);
  return key;
}

export function batchNumber(key: Buffer): number {
  if (key.length !== 9) throw new KeelsonError('BACKEND_CORRUPT', `${key.toString('hex')} numbers no batch`);
  return key.readUIntBE(3, 6);
}

/** The newest number of ascending `numbers`; throws `BACKEND_CORRUPT` when one before it is missing. */
export function checkBatchNumbers(numbers: readonly number[], hasRows: boolean): number {
  const last = numbers.at(-1) ?? 0;
  if (last === 0 && hasRows) throw new KeelsonError('BACKEND_CORRUPT', 'there are rows, but no batch that wrote them');
  const expected = Math.min(last, batchesKept);
  if (numbers.length === expected && (numbers[0] ?? 0) === last - expected + (expected > 0 ? 1 : 0)) return last;
  throw new KeelsonError(
    'BACKEND_CORRUPT',
    `of the last ${expected} batches up to ${last} only ${numbers.length} are there: one in the middle is missing`,
  );
}
