/** Linearizable reads share their ReadIndex: those of one turn one, those that come while it is asked for the next. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { KeelsonError } from '../../../src/env/errors.ts';
import { LinearizableReader } from '../../../src/kv/server/reader.ts';
import type { Index, RaftNode } from '../../../src/raft/index.ts';
import { StepClock } from '../../support/step-clock.ts';

/** A reader over a Raft whose ReadIndex is answered by hand. */
function reader() {
  const clock = new StepClock();
  const asked: { resolve(): void; reject(error: Error): void }[] = [];
  const raft = {
    readIndex(signal: AbortSignal) {
      const { promise, resolve, reject } = Promise.withResolvers<Index>();
      signal.addEventListener('abort', () => reject(signal.reason));
      asked.push({ resolve: () => resolve(1 as Index), reject });
      return promise;
    },
  } as unknown as RaftNode;
  return { clock, asked, reader: new LinearizableReader(clock, () => raft, 7_000) };
}

test('the reads of one turn share one ReadIndex', async () => {
  const { asked, reader: own } = reader();
  const reads = Array.from({ length: 100 }, () => own.point());
  await turn();
  assert.equal(asked.length, 1);
  asked[0]?.resolve();
  await Promise.all(reads);
});

test('a read that comes while a round is under way waits for the next one, as others do', async () => {
  const { asked, reader: own } = reader();
  const first = own.point();
  await turn();
  let areLaterDone = false;
  const later = Promise.all([own.point(), own.point()]).then(() => (areLaterDone = true));
  asked[0]?.resolve();
  await first;
  await turn();
  // What was asked for before they came says nothing about what was committed until they came.
  assert.deepEqual([asked.length, areLaterDone], [2, false]);
  asked[1]?.resolve();
  await later;
});

test('a round that meets a change of leader is asked again, and ends with its time', async () => {
  const { clock, asked, reader: own } = reader();
  const lost = own.point();
  await turn();
  asked[0]?.reject(new KeelsonError('LEADER_CHANGED', 'the leader changed'));
  await turn();
  clock.step(20);
  await turn();
  assert.equal(asked.length, 2);
  asked[1]?.reject(new KeelsonError('NO_LEADER', 'there is no leader'));
  await turn();
  clock.step(7_000);
  await assert.rejects(lost, { kv: 'timeout' });
  own.stop();
  await assert.rejects(own.point(), { kv: 'stopped' });
});
