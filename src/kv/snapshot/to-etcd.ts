/**
 * From the store's rows to etcd's buckets: what `etcdctl snapshot restore` and `etcdutl snapshot restore` take. Keys are
 * streamed; the small tables are gathered on the way and written behind them.
 */
import { assert, present } from '../../env/assert.ts';
import type { Member } from '../api.ts';
import { isRevisionRow, RowReader, type StoredState } from '../apply/meta-rows.ts';
import { eachRow } from '../backend/row-blocks.ts';
import type { BoltWriter } from '../bbolt/writer.ts';
import { decodeRevision } from '../mvcc/revision.ts';
import { decodeRow, isTombstone } from '../mvcc/row.ts';
import { encodeAuthSwitch, encodeRole, encodeUser } from './etcd-auth.ts';
import {
  encodeAlarm,
  encodeDeletedKey,
  encodeEtcdRevision,
  KeyValueWriter,
  encodeLease,
  encodeUint64,
  leaseKey,
} from './etcd-messages.ts';

/** What etcd keeps beside the state that the rows do not say. */
export interface RaftPosition {
  readonly term: number;
  readonly voters: readonly number[];
  readonly learners: readonly number[];
}

type Entries = readonly (readonly [Uint8Array | string, Uint8Array | string])[];

/** Writes every bucket; the caller finishes the writer. `blocks`: rows in key order, as `KvState.rowBlocks` gives them. */
export async function writeEtcdBuckets(
  blocks: AsyncIterable<Uint8Array>,
  writer: BoltWriter,
  position: RaftPosition,
): Promise<{ readonly revision: number; readonly rows: number }> {
  const reader = new RowReader();
  let revisions = 0;
  writer.beginBucket('key');
  const messages = new KeyValueWriter();
  const onRow = (key: Buffer, value: Buffer): void => {
    if (!isRevisionRow(key)) return reader.add(key, value);
    const { main, sub } = decodeRevision(key);
    const kv = decodeRow(value, main);
    const isDelete = isTombstone(value);
    writer.add(encodeEtcdRevision(main, sub, isDelete), isDelete ? encodeDeletedKey(kv.key) : messages.encode(kv));
    revisions += 1;
  };
  for await (const block of blocks) {
    eachRow(block, onRow);
    if (writer.isFull()) await writer.flush();
  }
  writer.endBucket();
  const state = reader.state();
  assert(state.applied !== undefined, 'a state says how far it was applied');
  const buckets: Readonly<Record<string, Entries>> = {
    meta: metaEntries(state, position),
    lease: state.leases.map((lease) => [leaseKey(lease.id), encodeLease(lease)] as const),
    alarm: state.alarms.map((alarm) => [encodeAlarm(alarm), ''] as const),
    auth: encodeAuthSwitch(state.auth.switch),
    authRoles: state.auth.roles.map((role) => [role.name, encodeRole(role)] as const),
    authUsers: state.auth.users.map((user) => [user.name, encodeUser(user)] as const),
    cluster: state.clusterVersion === '' ? [] : [['clusterVersion', state.clusterVersion]],
    members: state.members.map((member) => [etcdId(member.id), JSON.stringify(etcdMember(member))] as const),
    members_removed: state.removedMembers.map((id) => [etcdId(id), 'removed'] as const),
  };
  for (const [name, entries] of Object.entries(buckets)) await writeBucket(writer, name, entries);
  return { revision: state.applied.revision, rows: revisions };
}

async function writeBucket(writer: BoltWriter, name: string, entries: Entries): Promise<void> {
  const sorted = entries.map(([key, value]) => [Buffer.from(key), Buffer.from(value)] as const);
  sorted.sort(([a], [b]) => Buffer.compare(a, b));
  writer.beginBucket(name);
  for (const [key, value] of sorted) {
    writer.add(key, value);
    if (writer.isFull()) await writer.flush();
  }
  writer.endBucket();
}

function metaEntries(state: StoredState, position: RaftPosition): Entries {
  const { index } = present(state.applied, 'the applied index');
  const confState = {
    voters: position.voters,
    ...(position.learners.length > 0 ? { learners: position.learners } : {}),
    auto_leave: false,
  };
  const compacted = encodedCompaction(state.compactRevision);
  return [
    ['consistent_index', encodeUint64(index)],
    ['term', encodeUint64(position.term)],
    ['confState', JSON.stringify(confState)],
    // In which form the file is; etcd up to 3.5 passes it over.
    ...(state.clusterVersion === '' ? [] : [['storageVersion', state.clusterVersion] as const]),
    // Both: what is not cleaned yet here is cleaned there by the next compaction, and cannot be read before either.
    ...(compacted ? [['scheduledCompactRev', compacted] as const, ['finishedCompactRev', compacted] as const] : []),
  ];
}

function encodedCompaction(revision: number): Uint8Array | undefined {
  return revision === 0 ? undefined : encodeEtcdRevision(revision, 0, false);
}

/** As etcd writes ids: hexadecimal without leading zeros. */
function etcdId(id: number): string {
  return id.toString(16);
}

function etcdMember(member: Member): object {
  return {
    id: member.id,
    peerURLs: member.peerUrls,
    ...(member.isLearner ? { isLearner: true } : {}),
    ...(member.name === '' ? {} : { name: member.name }),
    ...(member.clientUrls.length > 0 ? { clientURLs: member.clientUrls } : {}),
  };
}
