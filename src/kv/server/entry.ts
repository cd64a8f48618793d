/**
 * What one Raft entry of the store holds: a request and who proposed it, in msgpack.
 *
 * The proposer is in the entry and not only in the request id, so that no two members can ever mistake each other's
 * entries for their own. 64-bit lease ids stay bigint on the way.
 */
import { Packr } from 'msgpackr';
import { assert } from '../../env/assert.ts';
import type { InternalOp, InternalRequest, Member } from '../api.ts';

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

/** Plain maps: an entry must be readable without the entries before it. Bytes are copied, so that values kept by the store do not pin the log. */
const packr = new Packr({ useRecords: false, copyBuffers: true, int64AsType: 'bigint' });

/** Encoding's version, first in every entry; a member refuses to guess at what a newer one wrote. */
const formatVersion = 1;

export function encodeEntry(entry: StoreEntry): Uint8Array {
  assert(entry.proposer > 0, 'an entry names its proposer');
  return packr.pack([formatVersion, entry.proposer, entry.request.requestId, entry.request.op]);
}

export function decodeEntry(data: Uint8Array): StoreEntry {
  const [version, proposer, requestId, op] = packr.unpack(data) as [number, number, number, InternalOp];
  assert(version === formatVersion, () => `log entry of format ${version}: this program reads ${formatVersion}`);
  assert(Number.isSafeInteger(proposer) && Number.isSafeInteger(requestId), 'a log entry names proposer and request');
  return { proposer, request: { requestId, op } };
}

export function encodeMemberChange(change: MemberChange): Uint8Array {
  return packr.pack([formatVersion, change.proposer, change.requestId, change.action]);
}

export function decodeMemberChange(context: Uint8Array): MemberChange {
  const [version, proposer, requestId, action] = packr.unpack(context) as [
    number,
    number,
    number,
    MemberChange['action'],
  ];
  assert(version === formatVersion, () => `membership entry of format ${version}: this program reads ${formatVersion}`);
  assert(typeof action === 'object' && action !== null, 'a membership entry says what changes');
  return { proposer, requestId, action };
}
