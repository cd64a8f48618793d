/** What peers tell each other in the metadata of a call, beside the header: a sender's key, a refusal, how far a snapshot has come. */
import * as grpc from '@grpc/grpc-js';
import { assert } from '../../env/assert.ts';
import type { RefusedAs } from './contract.ts';

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

export function withCallKeys(metadata: grpc.Metadata, keys: CallKeys): grpc.Metadata {
  assert(keys.from !== '' && keys.to !== '', 'a key is not empty');
  if (keys.from !== undefined) metadata.set(fromKeyName, keys.from);
  if (keys.to !== undefined) metadata.set(toKeyName, keys.to);
  return metadata;
}

export function callKeysOf(metadata: grpc.Metadata): CallKeys {
  const textOf = (name: string) => String(metadata.get(name)[0] ?? '') || undefined;
  return { from: textOf(fromKeyName), to: textOf(toKeyName) };
}

export function encodeRefusal(as: RefusedAs): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set(refusalName, as);
  return metadata;
}

/** Undefined for any other error. */
export function refusalOf(metadata: grpc.Metadata | undefined): RefusedAs | undefined {
  const as = metadata?.get(refusalName)[0];
  return as === 'otherKey' || as === 'removed' ? as : undefined;
}

/** The answer to the first message of a snapshot stream: how much of its content the receiver has already. */
export function encodeStagedBytes(stagedBytes: number): grpc.Metadata {
  assert(Number.isSafeInteger(stagedBytes) && stagedBytes >= 0, 'staged bytes are a number of bytes');
  const metadata = new grpc.Metadata();
  metadata.set(stagedBytesName, String(stagedBytes));
  return metadata;
}

/** 0 for anything but a number of bytes. */
export function stagedBytesOf(metadata: grpc.Metadata): number {
  const stagedBytes = Number(metadata.get(stagedBytesName)[0] ?? 0);
  return Number.isSafeInteger(stagedBytes) && stagedBytes >= 0 ? stagedBytes : 0;
}
