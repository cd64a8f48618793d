/**
 * What one Raft entry of the store holds: who proposed it, and the request (kv/apply's encoding).
 *
 * The proposer is in the entry and not only in the request id, so that no two members can ever mistake each other's
 * entries for their own.
 */
import { Packr } from 'msgpackr';
import { assert } from '../../env/assert.ts';
import type { InternalRequest, Member } from '../api.ts';
import { decodeInternalRequest, encodeInternalRequest } from '../apply/index.ts';

export interface StoreEntry {
  readonly proposer: number;
  readonly request: InternalRequest;
}

/** What the context of a membership change holds. */
export interface MemberChange {
  readonly proposer: number;
  readonly requestId: number;
  readonly action:
    | { readonly kind: 'add'; readonly member: Member }
    | { readonly kind: 'update'; readonly member: Member }
    | { readonly kind: 'promote'; readonly id: number }
    | { readonly kind: 'remove'; readonly id: number };
}

const proposerBytes = 8;

export function encodeEntry(entry: StoreEntry): Uint8Array {
  assert(Number.isSafeInteger(entry.proposer) && entry.proposer > 0, 'an entry names its proposer');
  const request = encodeInternalRequest(entry.request);
  const data = Buffer.allocUnsafe(proposerBytes + request.length);
  data.writeBigUInt64BE(BigInt(entry.proposer), 0);
  data.set(request, proposerBytes);
  return data;
}

export function decodeEntry(data: Uint8Array): StoreEntry {
  assert(data.length > proposerBytes, () => `an entry of ${data.length} bytes holds no request`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const proposer = Number(view.getBigUint64(0));
  assert(Number.isSafeInteger(proposer) && proposer > 0, 'an entry names its proposer');
  return { proposer, request: decodeInternalRequest(data.subarray(proposerBytes)) };
}

/** Plain maps: a change must be readable without the changes before it. */
const packr = new Packr({ useRecords: false, copyBuffers: true });
const changeFormatVersion = 1;

export function encodeMemberChange(change: MemberChange): Uint8Array {
  assert(change.proposer > 0, 'a membership change names its proposer');
  return packr.pack([changeFormatVersion, change.proposer, change.requestId, change.action]);
}

export function decodeMemberChange(context: Uint8Array): MemberChange {
  const [version, proposer, requestId, action] = packr.unpack(context) as [
    number,
    number,
    number,
    MemberChange['action'],
  ];
  assert(
    version === changeFormatVersion,
    () => `membership entry of format ${version}: ${changeFormatVersion} is known`,
  );
  assert(typeof action === 'object' && action !== null, 'a membership entry says what changes');
  return { proposer, requestId, action };
}
