/** States of the store with everything in them, made by requests, and their way through an etcd snapshot. */
import type { InternalOp, Member } from '../../../src/kv/api.ts';
import { createKvState, type KvState, openKvState } from '../../../src/kv/apply/index.ts';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';
import { openBolt } from '../../../src/kv/bbolt/reader.ts';
import { createBoltWriter } from '../../../src/kv/bbolt/writer.ts';
import { etcdRows, examineEtcd } from '../../../src/kv/snapshot/from-etcd.ts';
import { writeEtcdBuckets } from '../../../src/kv/snapshot/to-etcd.ts';
import { op } from '../apply/requests.ts';
import { MemoryFile } from '../bbolt/memory-file.ts';

export const members: readonly Member[] = [
  { id: 7, name: 'm7', peerUrls: ['http://127.0.0.1:7'], clientUrls: ['http://127.0.0.1:70'], isLearner: false },
];

/** A generator of numbers in [0, 1) that a seed repeats. */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A state after `count` random puts, deletes, grants and compactions, cleaned or not. */
export function randomState(seed: number, count: number): KvState {
  const random = randomOf(seed);
  const kv = createKvState({ backend: createMemoryBackend() });
  let index = 0;
  const apply = (request: InternalOp) => kv.apply(++index, { requestId: 0, op: request });
  for (const member of members) kv.setMember(member);
  for (let step = 0; step < count; step++) {
    const dice = random();
    const key = `key ${Math.floor(random() * 20)}`;
    if (dice < 0.6) {
      const lease = random() < 0.3 ? BigInt(1 + Math.floor(random() * 3)) : 0n;
      apply(op.put(key, `value ${step}`, { lease }));
    } else if (dice < 0.8) apply(op.del(key, random() < 0.3 ? 'key 3' : ''));
    else if (dice < 0.9) {
      apply({ kind: 'leaseGrant', id: BigInt(1 + Math.floor(random() * 3)), ttlSeconds: 60 + step });
    } else if (dice < 0.93) apply({ kind: 'leaseRevoke', id: BigInt(1 + Math.floor(random() * 3)) });
    else if (dice < 0.97) {
      apply({ kind: 'compact', revision: 1 + Math.floor(random() * kv.revision()) });
      if (random() < 0.7) while (kv.cleanStep());
    } else kv.skip(++index);
  }
  return kv;
}

/** The state as a bbolt file. */
export async function toEtcd(kv: KvState): Promise<MemoryFile> {
  const file = new MemoryFile();
  const writer = createBoltWriter(file);
  await writeEtcdBuckets(kv.rowBlocks(), writer, { term: 3, voters: [7], learners: [] });
  await writer.finish();
  return file;
}

/** The state in a bbolt file, as a restore would make it. */
export async function fromEtcd(file: MemoryFile): Promise<KvState> {
  const reader = await openBolt(file);
  const content = await examineEtcd(reader);
  const { revision, compactRevision } = content;
  const backend = createMemoryBackend();
  for await (const rows of etcdRows(reader, content, { index: 1, members, revision, compactRevision })) {
    backend.write(rows.map(([key, value]) => ({ type: 'put' as const, key, value })));
  }
  return openKvState({ backend });
}
