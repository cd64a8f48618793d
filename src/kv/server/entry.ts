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
import { asBuffer } from '../backend/bytes.ts';

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
  const data = asBuffer(encodeInternalRequest(entry.request, proposerBytes));
  data.writeUInt32BE(Math.floor(entry.proposer / 2 ** 32), 0);
  data.writeUInt32BE(entry.proposer % 2 ** 32, 4);
  return data;
}

export function decodeEntry(data: Uint8Array): StoreEntry {
  assert(data.length > proposerBytes, () => `an entry of ${data.length} bytes holds no request`);
  const bytes = asBuffer(data);
  const proposer = bytes.readUInt32BE(0) * 2 ** 32 + bytes.readUInt32BE(4);
  assert(Number.isSafeInteger(proposer) && proposer > 0, 'an entry names its proposer');
  return { proposer, request: decodeInternalRequest(bytes.subarray(proposerBytes)) };
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
