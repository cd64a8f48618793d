/** A Watch stream over a store that does what the test says: ids, refusals, slow clients, fragments, progress. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KvEvent } from '../../../src/kv/api.ts';
import type { WatchSink } from '../../../src/kv/mvcc/contract.ts';
import { EventBatches } from '../../../src/kv/rpc/event-batch.ts';
import { WatchStream } from '../../../src/kv/rpc/watch-stream.ts';
import type { Out, WireWatchResponse } from '../../../src/kv/rpc/wire.ts';
import type { KvServer } from '../../../src/kv/server/contract.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

function eventAt(revision: number, sizeBytes = 1): KvEvent {
  const kv = {
    key: bytes('k'),
    value: new Uint8Array(sizeBytes),
    createRevision: 1,
    modRevision: revision,
    version: 1,
    lease: 0n,
  };
  return { type: 'put', kv };
}

/** A store whose watchers the test drives, and a client whose buffer holds `room` responses. */
function world(room = 1_000) {
  const sinks: WatchSink[] = [];
  const resumed: number[] = [];
  const timers: { readonly periodic: boolean; readonly run: () => void }[] = [];
  const sent: Out<WireWatchResponse>[] = [];
  let isSynced = true;
  let left = room;
  let whenResumed: (index: number) => unknown = () => undefined;
  const schedule = (periodic: boolean) => (_ms: number, run: () => void) => {
    const timer = { periodic, run };
    timers.push(timer);
    return () => {
      const index = timers.indexOf(timer);
      if (index >= 0) timers.splice(index, 1);
    };
  };
  const server = {
    clusterId: 1,
    memberId: 2,
    clock: { after: schedule(false), every: schedule(true), monotonicMs: () => 0, wallMs: () => 0 },
    position: () => ({ revision: 10, term: 3, leader: 2, isLearner: false }),
    watchRefusal: () => undefined,
    watch: (_request: unknown, sink: WatchSink) => {
      const index = sinks.push(sink) - 1;
      const resume = () => {
        resumed.push(index);
        whenResumed(index);
      };
      return { resume, cancel: () => undefined, isSynced: () => isSynced };
    },
  } as unknown as KvServer;
  const write = (response: Out<WireWatchResponse>) => {
    sent.push(response);
    left -= 1;
    return left > 0;
  };
  const stream = new WatchStream({
    server,
    write,
    writeShared: (response, watchId) => write(response.of(watchId)),
    batches: new EventBatches(server),
    progressEveryMs: 1_000,
    fragmentBytes: 1_000,
  });
  return {
    stream,
    sinks,
    resumed,
    sent,
    setSynced: (value: boolean) => {
      isSynced = value;
    },
    /** What a watch does when it is resumed. */
    onResume: (does: typeof whenResumed) => {
      whenResumed = does;
    },
    makeRoom: (count: number) => {
      left = count;
    },
    periodic: () => timers.filter((item) => item.periodic).length,
    tick: () => {
      for (const timer of timers.filter((item) => item.periodic)) timer.run();
    },
    runDelayed: () => {
      for (const timer of timers.filter((item) => !item.periodic)) {
        timers.splice(timers.indexOf(timer), 1);
        timer.run();
      }
    },
  };
}

const create = (fields: object = {}) => ({ createRequest: { key: bytes('k'), ...fields } });

test('watches get ids in order, or the id the client chose, and never one that is taken', () => {
  const { stream, sent } = world();
  stream.take(create());
  stream.take(create({ watchId: 7 }));
  stream.take(create());
  stream.take(create({ watchId: 7 }));
  assert.deepEqual(
    sent.map((response) => [
      response.watchId,
      response.created,
      response.canceled ?? false,
      response.cancelReason ?? '',
    ]),
    [
      [0, true, false, ''],
      [7, true, false, ''],
      [1, true, false, ''],
      [-1, true, true, 'mvcc: duplicate watch ID provided on the WatchStream'],
    ],
  );
  assert.deepEqual(sent[0]?.header, { clusterId: 1, memberId: 2, revision: 10, raftTerm: 3 });
});

test('an empty interval is refused, an empty key means from the first key on', () => {
  const { stream, sent, sinks } = world();
  stream.take(create({ key: bytes('b'), rangeEnd: bytes('a') }));
  assert.equal(sent[0]?.cancelReason, 'mvcc: watcher range is empty');
  stream.take(create({ key: new Uint8Array(0), rangeEnd: new Uint8Array([0]) }));
  assert.equal(sinks.length, 1);
});

test('a client that does not read pauses its watches; they go on when there is room, one after another', () => {
  const { stream, sinks, sent, resumed, makeRoom } = world(3);
  stream.take(create());
  stream.take(create());
  const [first, second] = sinks as [WatchSink, WatchSink];
  assert.equal(first.events([eventAt(11)], 11), false, 'the third response fills the buffer');
  assert.equal(second.events([eventAt(11)], 11), false);
  assert.equal(sent.length, 4, 'what a watch was handed is sent all the same');
  makeRoom(10);
  stream.drained();
  assert.deepEqual(resumed, [0, 1]);
  assert.equal(first.events([eventAt(12)], 12), true);
});

test('watches of a client that reads slowly take turns: one that has more waits behind those that waited', () => {
  const { stream, sinks, resumed, makeRoom, onResume } = world(4);
  for (let count = 0; count < 3; count++) stream.take(create());
  const [first, second, third] = sinks as [WatchSink, WatchSink, WatchSink];
  for (const sink of sinks) assert.equal(sink.events([eventAt(11)], 11), false);
  makeRoom(1);
  // The first has more than there is room for.
  onResume((index) => index === 0 && first.events([eventAt(12)], 12));
  stream.drained();
  assert.deepEqual(resumed, [0]);
  onResume(() => undefined);
  makeRoom(10);
  stream.drained();
  assert.deepEqual(resumed, [0, 1, 2, 0]);
  assert.deepEqual(
    [second, third].map((sink) => sink.events([eventAt(12)], 12)),
    [true, true],
  );
});

test('ten thousand idle watches have one timer if any of them wants progress, and none if none does', () => {
  const { stream, periodic } = world(100_000);
  for (let count = 0; count < 10_000; count++) stream.take(create());
  assert.equal(periodic(), 0);
  for (let id = 20_000; id < 20_100; id++) stream.take(create({ progressNotify: true, watchId: id }));
  assert.equal(periodic(), 1);
  for (let id = 20_000; id < 20_100; id++) stream.take({ cancelRequest: { watchId: id } });
  assert.equal(periodic(), 0);
});

test('a large batch is split for a client that asked for fragments, and only for that one', () => {
  const { stream, sinks, sent } = world();
  stream.take(create({ fragment: true }));
  stream.take(create());
  sent.length = 0;
  const batch = [eventAt(11, 500), eventAt(11, 500), eventAt(11, 500)];
  for (const sink of sinks) sink.events(batch, 11);
  assert.deepEqual(
    sent.map((response) => [response.watchId, response.events?.length, response.fragment ?? false]),
    [
      [0, 1, true],
      [0, 1, true],
      [0, 1, false],
      [1, 3, false],
    ],
  );
});

test('progress is told only when every watch has everything', () => {
  const { stream, sent, setSynced, runDelayed } = world();
  stream.take(create());
  setSynced(false);
  stream.take({ progressRequest: {} });
  assert.equal(sent.length, 1, 'a watch that catches up holds the answer back');
  setSynced(true);
  runDelayed();
  assert.deepEqual([sent[1]?.watchId, sent[1]?.header?.revision, sent[1]?.events], [-1, 10, undefined]);
});

test('an idle watch that asked for it is told of progress at every interval', () => {
  const { stream, sent, sinks, tick } = world();
  stream.take(create({ progressNotify: true }));
  stream.take(create());
  sent.length = 0;
  tick();
  assert.equal(sent.length, 0, 'it was just created');
  tick();
  assert.deepEqual(
    sent.map((response) => response.watchId),
    [0],
  );
  sinks[0]?.events([eventAt(11)], 11);
  tick();
  assert.equal(sent.length, 2, 'events say as much');
});

test('a watch from a revision to come is told of no progress before it (etcd #20221)', () => {
  const { stream, sent, tick } = world();
  stream.take(create({ progressNotify: true, startRevision: 11 }));
  stream.take(create({ progressNotify: true, startRevision: 10 }));
  sent.length = 0;
  tick();
  tick();
  assert.deepEqual(
    sent.map((response) => response.watchId),
    [1],
    'the store is at 10',
  );
});

test('compaction and cancelling end a watch, and a compaction tells up to where', () => {
  const { stream, sent, sinks } = world();
  stream.take(create());
  stream.take(create());
  sinks[0]?.compacted(5);
  stream.take({ cancelRequest: { watchId: 1 } });
  stream.take({ cancelRequest: { watchId: 99 } });
  assert.deepEqual(
    sent
      .slice(2)
      .map((response) => [
        response.watchId,
        response.canceled,
        response.compactRevision ?? 0,
        response.cancelReason ?? '',
      ]),
    [
      [0, true, 5, ''],
      [1, true, 0, ''],
    ],
  );
});
