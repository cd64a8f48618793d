/** Histories of whole stores: odd ones that are good, and bad ones, judged by everything at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkerNames, checkHistory } from '../../../chaos/check/check-history.ts';
import { accepts, rejects, removed, type Scene, scene, wrote } from './scene.ts';

/** Revisions 2 and 3, known to whoever watches everything. */
function twoWrites(made: Scene): void {
  made.watch('all');
  made.put('a', '1', 2);
  made.tell('all', wrote('a', '1', 2));
  made.put('a', '2', 3);
  made.tell('all', wrote('a', '2', 3, { createRevision: 2, version: 2 }));
}

test('every checker has a word on every history, also on an empty one', () => {
  const results = checkHistory({ events: [] });
  assert.deepEqual(
    results.map(({ name }) => name),
    checkerNames,
  );
  assert.ok(results.every(({ verdict }) => verdict === 'notApplicable'));
  assert.equal(new Set(checkerNames).size, checkerNames.length);
});

test('a store that keeps its word passes, with a watch of everything in the place of its log', () => {
  const good = (made: Scene) => {
    twoWrites(made);
    made.get('a', '2', 3, 3);
    made.begin({ kind: 'put', key: 'a', value: 'came true' });
    made.begin({ kind: 'put', key: 'a', value: 'did not' });
    made.tell('all', wrote('a', 'came true', 4, { createRevision: 2, version: 3 }));
    made.get('a', 'came true', 4, 4);
    made.did({ kind: 'delete', key: 'a' }, { kind: 'delete', deleted: true, revision: 5 });
    made.tell('all', removed('a', 5));
  };
  for (const name of ['linearizability', 'revisions', 'answers', 'watches']) accepts(name, good);
});

test('watches of everything that were cut off and resumed make one log', () => {
  accepts('answers', (made) => {
    twoWrites(made);
    made.add({ type: 'watchClosed', watch: 'all' });
    made.watch('again', 3);
    made.tell('again', wrote('a', '2', 3, { createRevision: 2, version: 2 }));
    made.put('b', '3', 4);
    made.tell('again', wrote('b', '3', 4));
  });
});

test('a history may begin at a later revision of a store that is empty there', () => {
  const late = (made: Scene) => {
    made.watch('all', 101);
    made.put('a', '1', 101);
    made.tell('all', wrote('a', '1', 101));
  };
  accepts('answers', (made) => {
    made.add({ type: 'expect', baseRevision: 100 });
    late(made);
  });
  assert.equal(scene(late).result('answers').verdict, 'unknown');
});

test('an answer beyond what watches were told cannot be judged, and is no pass', () => {
  const made = scene((one) => {
    twoWrites(one);
    one.put('a', 'untold', 4);
  });
  assert.equal(made.result('answers').verdict, 'unknown');
  assert.equal(scene((one) => one.put('a', '1', 2)).result('answers').verdict, 'unknown');
});

test('an answer that the event log contradicts is a violation', () => {
  rejects('answers', /an answer is what its revision holds/, (made) => {
    twoWrites(made);
    return [made.did({ kind: 'list', at: 2, isLocal: true }, { kind: 'list', revision: 3, keys: [] })];
  });
});

test('a lost write is a violation for each of those who look for it', () => {
  const lost = (made: Scene) => {
    made.put('a', '1', 2);
    made.put('a', '2', 3);
    made.get('a', '1', 2, 3);
  };
  rejects('linearizability', /no order of the 3 operations on a/, (made) => {
    lost(made);
    return [1, 2];
  });
  rejects('revisions', /a read returns the newest write/, lost);
});

test('what failed and was seen all the same is a violation', () => {
  rejects('failures', /the failed write of "1" was read/, (made) => {
    const failed = made.begin({ kind: 'put', key: 'a', value: '1' });
    made.fail(failed);
    return [failed, made.get('a', '1', 2, 2)];
  });
  rejects('failures', /is revision 2/, (made) => {
    made.fail(made.begin({ kind: 'put', key: 'a', value: '1' }));
    made.watch('all');
    made.tell('all', wrote('a', '1', 2));
  });
  accepts('failures', (made) => {
    made.fail(made.begin({ kind: 'put', key: 'a', value: '1' }));
    made.watch('all');
    made.put('a', '2', 2);
    made.tell('all', wrote('a', '2', 2));
  });
});

test('a watch of everything that leaves out a revision is a violation, though nobody knows what it was', () => {
  rejects(
    'watches',
    /every revision as it was: all on everything was told revision 5, .* what revision 3 left/,
    (made) => {
      twoWrites(made);
      made.tell('all', wrote('b', 'x', 5));
    },
  );
  rejects('watches', /every revision as it was: all on everything was told revision 4/, (made) => {
    twoWrites(made);
    made.tell('all', removed('never there', 4));
  });
});

test('watchers that disagree are a violation, whatever else is known', () => {
  const onlyA = { key: 'a', end: '' };
  rejects('watchAgreement', /agree on what happened/, (made) => {
    made.watch('one', 2, onlyA);
    made.watch('two', 2, onlyA);
    made.tell('one', wrote('a', '1', 2));
    made.tell('two', wrote('a', 'other', 2));
  });
  rejects('watchAgreement', /no watcher misses .*two, which covers 2 to 3, was not/, (made) => {
    made.watch('one', 2, onlyA);
    made.watch('two', 2, { key: 'a', end: 'c' });
    made.tell('one', wrote('a', '1', 2));
    made.tell('two', wrote('b', '1', 3));
    made.add({ type: 'watchClosed', watch: 'two' });
  });
  rejects('watchAgreement', /unique/, (made) => {
    made.watch('one', 2, onlyA);
    made.watch('two', 2, onlyA);
    made.tell('one', wrote('a', '1', 2), wrote('a', '1', 2));
  });
  rejects('watchAgreement', /ordered/, (made) => {
    made.watch('one', 2, onlyA);
    made.watch('two', 2, onlyA);
    made.tell('one', wrote('a', '2', 3), wrote('a', '1', 2));
  });
});

test('watchers that were told different parts agree', () => {
  accepts('watchAgreement', (made) => {
    made.watch('all');
    made.watch('only a', 3, { key: 'a', end: '' });
    made.watch('cut off', 1, { key: 'a', end: '' });
    made.tell('cut off', wrote('a', '1', 2));
    made.add({ type: 'watchClosed', watch: 'cut off' });
    made.tell('all', wrote('a', '1', 2), wrote('b', '1', 3), removed('a', 4));
    made.tell('only a', removed('a', 4));
  });
});

test('compaction is honest: nobody reads what is gone, nobody is told so without a reason', () => {
  const compact = (made: Scene, revision: number) =>
    made.did({ kind: 'compact', revision }, { kind: 'compact', revision: 9 });
  const list = { kind: 'list', at: 2, isLocal: false } as const;
  accepts('compaction', (made) => {
    compact(made, 5);
    made.fail(made.begin(list), true);
    made.did({ ...list, isLocal: true }, { kind: 'list', revision: 3, keys: [] });
    made.did({ ...list, at: 5 }, { kind: 'list', revision: 9, keys: [] });
    made.fail(made.begin({ kind: 'compact', revision: 5 }), true);
    made.watch('late');
    made.add({ type: 'watchCompacted', watch: 'late', revision: 5 });
  });
  rejects('compaction', /a list at 2 was answered after compaction up to 5/, (made) => [
    compact(made, 5),
    made.did(list, { kind: 'list', revision: 9, keys: [] }),
  ]);
  rejects('compaction', /nobody had asked for a compaction beyond 2/, (made) => {
    made.fail(made.begin(list), true);
    compact(made, 5);
  });
  rejects('compaction', /ended as compacted at 7/, (made) => {
    compact(made, 5);
    made.watch('late');
    made.add({ type: 'watchCompacted', watch: 'late', revision: 7 });
  });
});

const held = (key: string, value: string, revision: number) => ({
  key,
  value,
  createRevision: revision,
  modRevision: revision,
  version: 1,
  lease: '0',
});

test('members at one revision hold the same, and what was committed', () => {
  accepts('members', (made) => {
    made.put('a', '1', 2);
    made.add({ type: 'state', member: 'm1', revision: 2, keys: [held('a', '1', 2)] });
    made.add({ type: 'state', member: 'm2', revision: 1, keys: [] });
  });
  rejects('members', /equal revisions are equal states/, (made) => {
    made.add({ type: 'state', member: 'm1', revision: 2, keys: [held('a', '1', 2)] });
    made.add({ type: 'state', member: 'm2', revision: 2, keys: [] });
  });
  rejects('members', /holds what was committed/, (made) => {
    made.add({ type: 'commit', request: { kind: 'put', key: 'a', value: '1', lease: '0' } });
    made.add({ type: 'state', member: 'm1', revision: 2, keys: [] });
  });
});

test('after a power loss everything acknowledged is there, or what replaced it', () => {
  accepts('durability', (made) => {
    made.put('a', '1', 2);
    made.put('b', '2', 3);
    made.put('c', '3', 4);
    made.begin({ kind: 'delete', key: 'b' });
    made.begin({ kind: 'put', key: 'c', value: 'unsure' });
    made.add({ type: 'powerLoss' });
    made.get('a', '1', 2, 4);
    made.get('b', undefined, 0, 5);
    made.get('c', 'unsure', 6, 6);
  });
  assert.equal(scene((made) => made.add({ type: 'powerLoss' })).result('durability').verdict, 'unknown');
});

test('what was acknowledged and is gone after a power loss is a violation', () => {
  rejects('durability', /survives a power loss: .*the key holds undefined/, (made) => {
    const write = made.put('a', '1', 2);
    made.add({ type: 'powerLoss' });
    return [write, made.get('a', undefined, 0, 2)];
  });
  rejects('durability', /survives a power loss: .*the key holds "1"/, (made) => {
    made.put('a', '1', 0);
    const write = made.put('a', '2', 0);
    made.add({ type: 'powerLoss' });
    return [write, made.get('a', '1', 0, 0)];
  });
  rejects('durability', /no revision is lost/, (made) => {
    const write = made.put('a', '1', 2);
    made.add({ type: 'powerLoss' });
    return [write, made.get('b', undefined, 0, 1)];
  });
});
