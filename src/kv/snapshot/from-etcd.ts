/**
 * From etcd's buckets to the store's rows. `examineEtcd` reads all of it once and checks it, so that nothing is written of
 * a snapshot that the store could not load; `etcdRows` then reads it again and hands the rows out in key order.
 *
 * Left behind: members (a restore makes new ones), alarms (they name the old members) and what belongs to them. A key whose
 * lease is gone, which etcd then keeps for ever, comes without one.
 */
import { assert } from '../../env/assert.ts';
import type { LeaseId, Member } from '../api.ts';
import { appliedRow, authRow, compactRow, leaseRow, memberRow } from '../apply/meta-rows.ts';
import type { Row } from '../apply/snapshot-stream.ts';
import type { AuthContent } from '../auth/table.ts';
import { toText } from '../backend/bytes.ts';
import type { BackendWrite } from '../backend/contract.ts';
import type { BoltReader } from '../bbolt/reader.ts';
import { encodeRevision, revisionRowsFrom } from '../mvcc/revision.ts';
import { encodePut, encodeTombstone } from '../mvcc/row.ts';
import { checkAuth, decodeAuthSwitch, decodeRole, decodeUser } from './etcd-auth.ts';
import { corruptSnapshot, decodeEtcdRevision, decodeKeyValue, decodeLease, type EtcdLease } from './etcd-messages.ts';
import { HistoryCheck } from './history-check.ts';

/** What an etcd snapshot holds, in numbers and small tables. */
export interface EtcdContent {
  readonly revision: number;
  readonly compactRevision: number;
  /** Live keys, and rows with their history. */
  readonly keys: number;
  readonly rows: number;
  readonly leases: readonly EtcdLease[];
  readonly auth: AuthContent;
  readonly clusterVersion: string;
  readonly alarms: number;
  /** `main.sub` of the last write of each live key whose lease is gone. */
  readonly withoutLease: ReadonlySet<string>;
}

/** What the new cluster begins with beside the keys. */
export interface NewBeginning {
  /** Raft index of the snapshot that the new log begins after. */
  readonly index: number;
  readonly members: readonly Member[];
  readonly revision: number;
  readonly compactRevision: number;
}

/** Every bucket that means something here. */
const knownBuckets = [
  'key',
  'meta',
  'lease',
  'alarm',
  'auth',
  'authUsers',
  'authRoles',
  'cluster',
  'members',
  'members_removed',
];

/** Reads and checks everything; rejects with `SNAPSHOT_CORRUPT` or `BOLT_DAMAGED`. */
export async function examineEtcd(reader: BoltReader): Promise<EtcdContent> {
  if (!reader.buckets.includes('key') || !reader.buckets.includes('meta')) {
    throw corruptSnapshot(`it has no buckets key and meta, but ${reader.buckets.join(', ') || 'none at all'}`);
  }
  const meta = await smallBucket(reader, 'meta');
  const compactRevision = Math.max(revisionIn(meta, 'finishedCompactRev'), revisionIn(meta, 'scheduledCompactRev'));
  const check = new HistoryCheck(compactRevision);
  for await (const { main, sub, isTombstone, kv } of etcdRevisions(reader, compactRevision)) {
    const revision = { main, sub, isTombstone, key: toText(kv.key) };
    const { createRevision, version, lease } = kv;
    const problem = check.add({ ...revision, createRevision, version, lease });
    if (problem !== undefined) throw corruptSnapshot(problem);
  }
  const leases = await leasesOf(reader);
  const known = new Set<LeaseId>(leases.map((lease) => lease.id));
  const orphans = [...check.keysWithoutLease(known)].map(({ main, sub }) => `${main}.${sub}`);
  const cluster = await smallBucket(reader, 'cluster');
  // The rest is read for the sake of its pages: damage anywhere is a reason to take another snapshot.
  for (const bucket of reader.buckets) if (!knownBuckets.includes(bucket)) await smallBucket(reader, bucket);
  return {
    revision: check.revision(),
    compactRevision,
    keys: check.keys(),
    rows: check.rows(),
    leases,
    auth: await authOf(reader),
    clusterVersion: Buffer.from(cluster.get('clusterVersion') ?? []).toString('utf8'),
    alarms: (await smallBucket(reader, 'alarm')).size,
    withoutLease: new Set(orphans),
  };
}

/** All rows of the store in key order, some hundred at a time. */
export async function* etcdRows(
  reader: BoltReader,
  content: EtcdContent,
  beginning: NewBeginning,
): AsyncGenerator<readonly Row[]> {
  const { index, revision, compactRevision } = beginning;
  assert(revision >= content.revision && compactRevision >= content.compactRevision, 'a restore does not go back');
  const others: BackendWrite[] = [
    appliedRow({ index, revision }),
    ...(compactRevision > 0 ? [compactRow(compactRevision)] : []),
    ...content.leases.map(leaseRow),
    ...beginning.members.map(memberRow),
    ...authWrites(content.auth),
  ];
  const sorted = others.map(rowOfWrite).sort((a, b) => Buffer.compare(a[0], b[0]));
  yield sorted.filter(([key]) => Buffer.compare(key, revisionRowsFrom) < 0);
  let batch: Row[] = [];
  let bytes = 0;
  for await (const { main, sub, isTombstone, kv } of etcdRevisions(reader, content.compactRevision)) {
    const lease = content.withoutLease.has(`${main}.${sub}`) ? 0n : kv.lease;
    const row = isTombstone ? encodeTombstone(kv.key) : encodePut({ ...kv, lease });
    batch.push([encodeRevision(main, sub), row]);
    bytes += row.length;
    if (batch.length < batchRows && bytes < batchBytes) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  yield [...batch, ...sorted.filter(([key]) => Buffer.compare(key, revisionRowsFrom) > 0)];
}

const batchRows = 500;
/** Values may have a megabyte and more: what a restore holds in memory follows this, not the size of the snapshot. */
const batchBytes = 1024 * 1024;
/** A bucket that is held in memory whole: `meta`, `cluster`, `alarm` and their like. */
const smallBucketBytesMax = 256 * 1024 * 1024;

async function smallBucket(reader: BoltReader, name: string): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  let bytes = 0;
  for await (const leaf of reader.entries(name)) {
    for (const [key, value] of leaf) {
      bytes += key.length + value.length;
      if (bytes > smallBucketBytesMax) throw corruptSnapshot(`bucket ${name} is larger than can be believed`);
      found.set(toText(key), Uint8Array.from(value));
    }
  }
  return found;
}

function revisionIn(meta: ReadonlyMap<string, Uint8Array>, name: string): number {
  const value = meta.get(name);
  return value === undefined ? 0 : decodeEtcdRevision(value).main;
}

async function* etcdRevisions(reader: BoltReader, compactRevision: number) {
  for await (const leaf of reader.entries('key')) {
    for (const [key, value] of leaf) {
      const revision = decodeEtcdRevision(key);
      const kv = decodeKeyValue(value);
      if (kv.key.length === 0) {
        // etcdutl writes such a row to carry a bumped revision, and marks that compacted.
        if (revision.main <= compactRevision) continue;
        throw corruptSnapshot(`revision ${revision.main}.${revision.sub} has no key`);
      }
      if (!revision.isTombstone && kv.modRevision !== revision.main) {
        throw corruptSnapshot(`revision ${revision.main}.${revision.sub} says that it is ${kv.modRevision}`);
      }
      yield { ...revision, kv };
    }
  }
}

async function leasesOf(reader: BoltReader): Promise<readonly EtcdLease[]> {
  const leases: EtcdLease[] = [];
  const ids = new Set<LeaseId>();
  for await (const leaf of reader.entries('lease')) {
    for (const [, value] of leaf) {
      const lease = decodeLease(value);
      if (ids.has(lease.id)) throw corruptSnapshot(`lease ${lease.id.toString(16)} is there twice`);
      ids.add(lease.id);
      leases.push(lease);
    }
  }
  return leases;
}

async function authOf(reader: BoltReader): Promise<AuthContent> {
  const users = [...(await smallBucket(reader, 'authUsers')).values()].map(decodeUser);
  const roles = [...(await smallBucket(reader, 'authRoles')).values()].map(decodeRole);
  const content = { switch: decodeAuthSwitch(await smallBucket(reader, 'auth')), users, roles };
  checkAuth(content);
  return content;
}

function authWrites(auth: AuthContent): readonly BackendWrite[] {
  return [
    authRow({ kind: 'switch', value: auth.switch }),
    ...auth.users.map((value) => authRow({ kind: 'user', value })),
    ...auth.roles.map((value) => authRow({ kind: 'role', value })),
  ];
}

function rowOfWrite(write: BackendWrite): Row {
  assert(write.type === 'put', 'a new state deletes nothing');
  return [write.key, write.value];
}
