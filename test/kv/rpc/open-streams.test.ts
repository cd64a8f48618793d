/** Streams that are open and idle: what they wait for, and what they cost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KvError } from '../../../src/kv/errors.ts';
import type { Face } from '../../../src/kv/rpc/call.ts';
import { OpenStreams } from '../../../src/kv/rpc/open-streams.ts';

const manyStreams = 10_000;

function world() {
  const timers = new Set<() => void>();
  const stopping = new AbortController();
  let listeners = 0;
  let leader = 1;
  const signal = stopping.signal;
  const addEventListener = signal.addEventListener.bind(signal);
  signal.addEventListener = (...listener: Parameters<typeof addEventListener>) => {
    listeners++;
    addEventListener(...listener);
  };
  const clock = {
    every: (_ms: number, run: () => void) => {
      timers.add(run);
      return () => timers.delete(run);
    },
  };
  const server = { clock, electionMs: 1000, position: () => ({ leader }) };
  const opened = new OpenStreams({ server, stopping: signal } as unknown as Face);
  const failed: string[] = [];
  const open = (wantsLeader: boolean) => {
    const stream = {
      wantsLeader,
      fail: (error: KvError) => {
        failed.push(error.message);
        opened.remove(stream);
      },
    };
    opened.add(stream);
    return stream;
  };
  return {
    opened,
    open,
    failed,
    timers,
    stopping,
    listeners: () => listeners,
    setLeader: (value: number) => {
      leader = value;
    },
    poll: (times: number) => {
      for (let time = 0; time < times; time++) for (const run of Array.from(timers)) run();
    },
  };
}

test('ten thousand streams that want a leader share one timer and one listener, and the last one takes the timer along', () => {
  const { opened, open, timers, listeners } = world();
  const streams = Array.from({ length: manyStreams }, () => open(true));
  assert.deepEqual([timers.size, listeners()], [1, 1]);
  for (const stream of streams) opened.remove(stream);
  assert.equal(timers.size, 0);
  open(false);
  assert.deepEqual([timers.size, listeners()], [0, 1]);
});

test('streams that want a leader end when there was none for three election time-outs, others go on', () => {
  const { open, failed, setLeader, poll, timers } = world();
  open(true);
  open(true);
  open(false);
  setLeader(0);
  poll(2);
  setLeader(2);
  poll(1);
  setLeader(0);
  poll(2);
  assert.deepEqual(failed, []);
  poll(1);
  assert.deepEqual(failed, ['etcdserver: no leader', 'etcdserver: no leader']);
  assert.equal(timers.size, 0);
});

test('all streams end when the member goes away', () => {
  const { open, failed, stopping } = world();
  open(true);
  open(false);
  stopping.abort();
  assert.deepEqual(failed, ['etcdserver: server stopped', 'etcdserver: server stopped']);
});
