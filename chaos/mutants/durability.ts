/** Planted bugs: What is on disk when something is promised, and what is made of a disk that was hurt. */
import type { Mutant } from './mutant.ts';

export const durability: readonly Mutant[] = [
  {
    name: 'send-before-sync',
    story: 'Votes and acknowledgements leave before they are on disk.',
    file: 'src/raft/host/raft-node.ts',
    find: 'if (ready.messagesAfterPersist) this.#sealed.push(ready.messagesAfterPersist);',
    replace: 'if (ready.messagesAfterPersist) this.#send(ready.messagesAfterPersist.sealedMessages);',
  },
  {
    name: 'log-not-synced',
    story: 'The log says durable without a sync: a power cut takes acknowledged writes away.',
    file: 'src/raft/wal/segmented-wal.ts',
    find: '    await this.#file.dataSync();',
    replace: '',
  },
  {
    name: 'data-directory-not-synced',
    story: 'The data directory’s own name is not made durable (a bug this simulation found here).',
    file: 'src/env/files.ts',
    find: '  for (const count of counts) {',
    replace: '  for (const count of counts.slice(counts.length)) {',
  },
  {
    name: 'lost-log-ignored',
    story: 'What the log knows about entries that were lost is not given to Raft at all.',
    file: 'src/raft/core/loss.ts',
    find: '  if (restored.lostUpTo === undefined) return undefined;',
    replace: '  if (restored.lostUpTo !== undefined || true) return undefined;',
    profile: 'lostLog',
  },
  {
    name: 'lost-log-votes',
    story:
      'A member that lost part of its log votes as if it had not: somebody leads without what it had acknowledged.',
    file: 'src/raft/core/loss.ts',
    find: '  return last.term > loss.term || (last.term === loss.term && last.index >= loss.upTo);',
    replace: '  return last.term >= 0;',
    profile: 'lostLog',
  },
  {
    name: 'wiped-member-believed',
    story: 'A member that lost its disk goes on under its old id, without its votes.',
    file: 'src/kv/server/member-key.ts',
    find: '  const seed = Buffer.from(random.bytes(seedBytes));',
    replace: '  const seed = Buffer.alloc(seedBytes, random.bytes(1).length);',
  },
  {
    name: 'tail-always-torn',
    story: 'Damage anywhere in the last part of the log counts as a torn end: what was acknowledged is cut away.',
    file: 'src/raft/wal/record.ts',
    find: '  if (to > bytes.length) return true;',
    replace: '  if (to >= 0) return true;',
    profile: 'lostLog',
  },
  {
    name: 'checksum-not-looked-at',
    story: 'The checksum of a record is not compared.',
    file: 'src/raft/wal/record.ts',
    find: '  if (crc32(payload) !== head.payloadCrc) return',
    replace: '  if (payload.length > recordPayloadBytesMax) return',
    profile: 'lostLog',
  },
  {
    name: 'index-ahead-of-rows',
    story: 'The state says that it is further than its rows are (etcd 13766).',
    file: 'src/kv/apply/state.ts',
    find: '    this.#gathered.add({ index: this.#index, revision: this.#store.revision() }, revisionRows, rows);',
    replace:
      '    this.#gathered.add({ index: this.#index + 1, revision: this.#store.revision() }, revisionRows, rows);',
    etcdIssue: 13766,
  },
];
