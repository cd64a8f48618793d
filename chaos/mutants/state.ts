/** Planted bugs: Keys, revisions and transactions. */
import type { Mutant } from './mutant.ts';

export const state: readonly Mutant[] = [
  {
    name: 'compaction-takes-the-version-at-it',
    story: 'Compaction drops the version that a reader at the compacted revision still sees.',
    file: 'src/kv/mvcc/key-index.ts',
    find: '    const end = this.#main <= atMain ? older.length : latestAtOrBelow(older, atMain);',
    replace: '    const end = this.#main <= atMain ? older.length : latestAtOrBelow(older, atMain) + stride;',
  },
  {
    name: 'tombstone-kept-for-good',
    story: 'A deletion at the compacted revision is dropped on some members (etcd 19179).',
    file: 'src/kv/mvcc/key-index.ts',
    find: '    if (this.#ended && this.#main < atMain) {',
    replace: '    if (this.#ended && this.#main <= atMain) {',
  },
  {
    name: 'old-read-sees-the-head',
    story: 'A read at an older revision sees the head.',
    file: 'src/kv/mvcc/store.ts',
    find: '    const isHead = request.revision === 0 || (request.revision === this.#revision && this.#openTxn === undefined);',
    replace: '    const isHead = request.revision === 0 || request.revision >= this.#revision - 1;',
  },
  {
    name: 'compacted-read-answered',
    story: 'What was compacted is still read (etcd 18667).',
    file: 'src/kv/mvcc/store.ts',
    find: "    if (request.revision !== 0 && request.revision < this.#compactRevision) return 'compacted';",
    replace: '',
    etcdIssue: 18667,
  },
  {
    name: 'read-only-txn-makes-a-revision',
    story: 'A transaction that changes nothing takes a revision.',
    file: 'src/kv/mvcc/store.ts',
    find: `    if (changes.length === 0) return this.#revision;
    this.#revision += 1;`,
    replace: `    this.#revision += 1;
    if (changes.length === 0) return this.#revision;`,
  },
  {
    name: 'delete-of-nothing-writes',
    story: 'The second deletion in a transaction takes the revision of the first.',
    file: 'src/kv/mvcc/store-txn.ts',
    find: '    return { main: this.#store.revision() + 1, sub: this.#changes.length };',
    replace: '    return { main: this.#store.revision() + 1, sub: Math.min(this.#changes.length, 1) };',
  },
  {
    name: 'compare-ignored-when-absent',
    story: 'A comparison with a key that is not there holds.',
    file: 'src/kv/apply/txn.ts',
    find: "    return compare.target.kind !== 'value' && resultHolds(compare, compareWith(compare, undefined));",
    replace: '    return resultHolds(compare, 0);',
  },
];
