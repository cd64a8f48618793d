/**
 * Who the members are, as the content of a snapshot for a witness, which keeps nothing else. It is a snapshot like any other
 * (snapshot-stream.ts) without data; Raft gives it to nobody but witnesses (raft/core/witness.ts).
 *
 * It names no index: the members are the same at every index between two changes of them, and the snapshot's meta data says
 * where it stands.
 */
import { assert } from '../../env/assert.ts';
import type { BackendWrite } from '../backend/contract.ts';
import type { KvState } from './contract.ts';
import { appliedRow, clusterVersionRow, memberRow, removedMemberRow } from './meta-rows.ts';
import { encodeSnapshot, type Row } from './snapshot-stream.ts';

/** The revision of a store without data. */
const firstRevision = 1;

export function membershipSnapshot(
  kv: Pick<KvState, 'members' | 'removedMembers' | 'clusterVersion'>,
): AsyncIterable<Uint8Array> {
  const version = kv.clusterVersion();
  const writes: BackendWrite[] = [
    appliedRow({ index: 0, revision: firstRevision }),
    ...[...kv.members().values()].map(memberRow),
    ...[...kv.removedMembers()].map(removedMemberRow),
    ...(version === '' ? [] : [clusterVersionRow(version)]),
  ];
  const rows = writes.map((write): Row => {
    assert(write.type === 'put', 'a snapshot holds what is there');
    return [write.key, write.value];
  });
  return encodeSnapshot(inOrder(rows.sort(([left], [right]) => Buffer.compare(left, right))));
}

async function* inOrder(rows: readonly Row[]): AsyncGenerator<Row> {
  yield* rows;
}
