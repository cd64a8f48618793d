import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KeyEntry } from '../../../src/kv/mvcc/key-index.ts';

/** put 2, put 4, delete 5, put 6, delete 8, put 9: the example of key-index.ts. */
function example(): KeyEntry {
  const entry = new KeyEntry('a');
  entry.put(2, 0, 10);
  entry.put(4, 1, 10);
  entry.tombstone(5, 0, 5);
  entry.put(6, 0, 10);
  entry.tombstone(8, 2, 5);
  entry.put(9, 0, 10);
  return entry;
}

test('the key index shows one generation for each life of the key', () => {
  assert.equal(example().describe(), '[2, 4, 5(t)] [6, 8(t)] [9]');
});

test('a reader sees the newest write at or below its revision, and nothing while the key is dead', () => {
  const entry = example();
  //                    1          2  3  4  5          6  7  8          9  10
  const seen = [undefined, 2, 2, 4, undefined, 6, 6, undefined, 9, 9];
  seen.forEach((main, position) => assert.equal(entry.find(position + 1)?.main, main, `at ${position + 1}`));
  assert.equal(entry.find(4)?.sub, 1);
});

test('compaction keeps what a reader at the compacted revision or later needs, and the tombstone at it', () => {
  const pictures: readonly (readonly [number, string, readonly number[]])[] = [
    [1, '[2, 4, 5(t)] [6, 8(t)] [9]', []],
    [2, '[2, 4, 5(t)] [6, 8(t)] [9]', []],
    [3, '[2, 4, 5(t)] [6, 8(t)] [9]', []],
    [4, '[4, 5(t)] [6, 8(t)] [9]', [2]],
    [5, '[5(t)] [6, 8(t)] [9]', [2, 4]],
    [6, '[6, 8(t)] [9]', [2, 4, 5]],
    [7, '[6, 8(t)] [9]', [2, 4, 5]],
    [8, '[8(t)] [9]', [2, 4, 5, 6]],
    [9, '[9]', [2, 4, 5, 6, 8]],
    [20, '[9]', [2, 4, 5, 6, 8]],
  ];
  for (const [at, picture, dropped] of pictures) {
    const entry = example();
    const kept = [...entry.kept(at, 100)].map((revision) => revision.main);
    assert.deepEqual(
      entry.compact(at).map((revision) => revision.main),
      dropped,
      `dropped at ${at}`,
    );
    assert.equal(entry.describe(), picture, `at ${at}`);
    assert.deepEqual(
      [...entry.kept(1, 100)].map((revision) => revision.main),
      kept,
      'kept says what compact leaves',
    );
  }
});

test('step by step, compaction leaves the same picture as at once, and readers at or above it see the same', () => {
  const entry = example();
  for (const [at, picture] of [
    [2, '[2, 4, 5(t)] [6, 8(t)] [9]'],
    [4, '[4, 5(t)] [6, 8(t)] [9]'],
    [5, '[5(t)] [6, 8(t)] [9]'],
    [6, '[6, 8(t)] [9]'],
    [8, '[8(t)] [9]'],
    [9, '[9]'],
  ] as const) {
    entry.compact(at);
    assert.equal(entry.describe(), picture, `at ${at}`);
    const whole = example();
    for (let revision = at; revision < 12; revision++) assert.deepEqual(entry.find(revision), whole.find(revision));
  }
});

test('the version is counted on although older revisions are gone', () => {
  const entry = new KeyEntry('a');
  const put = (main: number) => {
    entry.put(main, 0, 1);
    return { created: entry.created(), version: entry.version() };
  };
  assert.deepEqual(put(2), { created: 2, version: 1 });
  assert.deepEqual(put(3), { created: 2, version: 2 });
  entry.compact(3);
  assert.deepEqual(put(7), { created: 2, version: 3 });
  entry.tombstone(8, 0, 1);
  assert.deepEqual(put(9), { created: 9, version: 1 });
});

test('a deleted key is empty once compaction has passed its tombstone', () => {
  const entry = new KeyEntry('a');
  entry.put(2, 0, 1);
  entry.tombstone(3, 0, 1);
  entry.compact(3);
  assert.equal(entry.describe(), '[3(t)]');
  assert.ok(!entry.isEmpty());
  entry.compact(4);
  assert.ok(entry.isEmpty());
});

test('what is impossible stops the process', () => {
  const entry = example();
  assert.throws(() => entry.put(9, 1, 1), /follows a write at 9/);
  assert.throws(() => entry.tombstone(3, 0, 1), /follows a write at 9/);
  assert.throws(() => new KeyEntry('b').tombstone(2, 0, 1), /only a live key/);
});

test('any life story, compacted anywhere, reads as before from there on', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }), fc.nat(45), fc.nat(45), (puts, early, at) => {
      const whole = new KeyEntry('a');
      const compacted = new KeyEntry('a');
      let isAlive = false;
      puts.forEach((isPut, position) => {
        const main = position + 2;
        if (!isPut && !isAlive) return;
        for (const entry of [whole, compacted]) {
          if (isPut) entry.put(main, 0, 1);
          else entry.tombstone(main, 0, 1);
        }
        isAlive = isPut;
      });
      const kept = [...whole.kept(at + 1, Infinity)];
      const dropped = [...compacted.compact(Math.min(early, at) + 1), ...compacted.compact(at + 1)];
      assert.deepEqual(compacted.compact(at + 1), [], 'once is enough');
      assert.deepEqual([...compacted.kept(1, Infinity)], kept);
      assert.deepEqual([...dropped, ...kept], [...whole.kept(1, Infinity)], 'what was dropped and what is kept is all');
      for (const revision of kept) assert.deepEqual(compacted.writeAt(revision.main), revision);
      for (const revision of dropped) assert.equal(compacted.writeAt(revision.main), undefined);
      for (let revision = at + 1; revision < puts.length + 4; revision++) {
        assert.deepEqual(compacted.find(revision), whole.find(revision));
        assert.deepEqual(compacted.writeAt(revision), whole.writeAt(revision));
      }
    }),
  );
});

test('of a key written half a million times each revision is found and compacted without a look at all others', () => {
  // Work for each revision that grew with the number of revisions would take hours here.
  const writes = 500_000;
  const entry = new KeyEntry('leader');
  const lives = new KeyEntry('lives');
  for (let main = 2; main < writes; main++) {
    entry.put(main, 0, 1);
    if (main % 2 === 0) lives.put(main, 0, 1);
    else lives.tombstone(main, 0, 1);
  }
  let dropped = 0;
  for (const each of [entry, lives]) {
    for (let main = 2; main < writes; main++) {
      assert.equal(each.writeAt(main)?.main, main);
      assert.equal(each.find(main) === undefined, each === lives && main % 2 === 1);
    }
    // As cleaning does: the key once for each of its writes up to the compacted one.
    for (let main = 2; main < writes / 2; main++) dropped += each.compact(writes / 2).length;
  }
  assert.equal(dropped, writes - 4);
});
