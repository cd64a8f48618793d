/** What peers tell each other in the metadata of a call, beside the header: a sender's key, a refusal, how far a snapshot has come. */
import { assert } from '../../env/assert.ts';
import type { FieldPair } from '../../rpc/h2/stream.ts';
import type { RefusedAs } from './contract.ts';

/** The first value of a field; undefined when it was not sent. */
export type ReadField = (name: string) => string | undefined;

const fromKeyName = 'keelson-from-key';
const toKeyName = 'keelson-to-key';
const refusalName = 'keelson-refused-as';
const stagedBytesName = 'keelson-staged-bytes';

/** For the log of who is refused; it names what to do. */
export const refusalTexts: Readonly<Record<RefusedAs, string>> = {
  otherKey:
    'this id belongs to another data directory, so the one it is used with now has lost its votes: start it with ' +
    '--rejoin, or remove the member and add it again with an empty data directory',
  removed: 'it was removed from the cluster: start it with --rejoin, or add it again with an empty data directory',
};

/** By what key the caller is known, and by what key it knows who is called; each absent while nobody has told it. */
export interface CallKeys {
  readonly from: string | undefined;
  readonly to: string | undefined;
}

export function encodeCallKeys(keys: CallKeys): FieldPair[] {
  assert(keys.from !== '' && keys.to !== '', 'a key is not empty');
  const fields: FieldPair[] = [];
  if (keys.from !== undefined) fields.push([fromKeyName, keys.from]);
  if (keys.to !== undefined) fields.push([toKeyName, keys.to]);
  return fields;
}

export function callKeysOf(read: ReadField): CallKeys {
  return { from: read(fromKeyName) || undefined, to: read(toKeyName) || undefined };
}

export function encodeRefusal(as: RefusedAs): readonly FieldPair[] {
  return [[refusalName, as]];
}

/** Undefined for any other error. */
export function refusalOf(read: ReadField): RefusedAs | undefined {
  const as = read(refusalName);
  return as === 'otherKey' || as === 'removed' ? as : undefined;
}

/** The answer to the first message of a snapshot stream: how much of its content the receiver has already. */
export function encodeStagedBytes(stagedBytes: number): readonly FieldPair[] {
  assert(Number.isSafeInteger(stagedBytes) && stagedBytes >= 0, 'staged bytes are a number of bytes');
  return [[stagedBytesName, String(stagedBytes)]];
}

/** 0 for anything but a number of bytes. */
export function stagedBytesOf(read: ReadField): number {
  const stagedBytes = Number(read(stagedBytesName) ?? 0);
  return Number.isSafeInteger(stagedBytes) && stagedBytes >= 0 ? stagedBytes : 0;
}
