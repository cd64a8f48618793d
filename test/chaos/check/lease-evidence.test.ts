/** Leases of a history file: their lives from a log, or from the keys that hung on them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accepts, rejects, removed, type Scene, scene, wrote } from './scene.ts';

const lease = '7';
const ttlSeconds = 2;

function grant(made: Scene): void {
  made.did({ kind: 'leaseGrant', lease, ttlSeconds }, { kind: 'leaseGrant', ttlSeconds });
}

/** A granted lease with the keys a and b on it, seen by a watch of everything. */
function hung(made: Scene): void {
  made.watch('all');
  grant(made);
  for (const [position, key] of ['a', 'b'].entries()) {
    const revision = position + 2;
    made.did({ kind: 'put', key, value: key, lease }, { kind: 'put', revision });
    made.tell('all', wrote(key, key, revision, { lease }));
  }
}

const gone = (revision: number) => [removed('a', revision), removed('b', revision)];

test('keys that go when their lease has had its time are in order', () => {
  accepts('leases', (made) => {
    hung(made);
    made.wait(2_000);
    made.tell('all', ...gone(4));
    made.did({ kind: 'leaseTimeToLive', lease }, { kind: 'leaseTimeToLive', ttlSeconds: -1 });
  });
});

test('who heard of no grant goes by what he was told later', () => {
  accepts('leases', (made) => {
    made.begin({ kind: 'leaseGrant', lease, ttlSeconds: 1 });
    made.watch('all');
    made.did({ kind: 'leaseKeepAlive', lease }, { kind: 'leaseKeepAlive', ttlSeconds: 3 });
    made.did({ kind: 'put', key: 'a', value: 'a', lease }, { kind: 'put', revision: 2 });
    made.tell('all', wrote('a', 'a', 2, { lease }));
    made.wait(3_000);
    made.tell('all', removed('a', 3));
  });
});

test('keys that go before the time that the holder was told are a violation', () => {
  rejects('leases', /a lease does not end early/, (made) => {
    hung(made);
    made.wait(1_000);
    made.tell('all', ...gone(4));
  });
  rejects('leases', /a lease does not end early: keepAlive/, (made) => {
    hung(made);
    made.wait(1_500);
    made.did({ kind: 'leaseKeepAlive', lease }, { kind: 'leaseKeepAlive', ttlSeconds });
    made.wait(1_000);
    made.tell('all', ...gone(4));
  });
});

test('keys may go early with a lease that was revoked, or because somebody deleted them', () => {
  accepts('leases', (made) => {
    hung(made);
    made.did({ kind: 'leaseRevoke', lease }, { kind: 'leaseRevoke', ttlSeconds: 0 });
    made.tell('all', ...gone(4));
  });
  accepts('leases', (made) => {
    hung(made);
    made.did({ kind: 'delete', key: 'a' }, { kind: 'delete', deleted: true, revision: 4 });
    made.tell('all', removed('a', 4));
  });
  accepts('leases', (made) => {
    hung(made);
    made.begin({ kind: 'delete', key: 'a' });
    made.tell('all', removed('a', 4));
  });
});

test('a lease that leaves a key behind is a violation', () => {
  rejects('leases', /takes all its keys with it at once: lease 7 .* left b/, (made) => {
    hung(made);
    made.wait(3_000);
    made.tell('all', removed('a', 4));
  });
});

test('a lease that ended is not renewed', () => {
  rejects('leases', /a lease that has ended stays so/, (made) => {
    hung(made);
    made.wait(3_000);
    made.tell('all', ...gone(4));
    made.did({ kind: 'leaseKeepAlive', lease }, { kind: 'leaseKeepAlive', ttlSeconds });
  });
});

test('once calm, a lease that nobody renews ends within its bound', () => {
  const forgotten = (afterMs: number) => (made: Scene) => {
    made.add({ type: 'expect', leaseEndWithinMs: 1_000 });
    hung(made);
    made.add({ type: 'calm' });
    made.wait(afterMs);
    made.add({ type: 'expect' });
  };
  accepts('leases', forgotten(2_500));
  rejects('leases', /a lease that nobody renews ends/, forgotten(4_000));
  // Nobody can hold a faulty system to a time.
  accepts('leases', (made) => {
    hung(made);
    made.wait(60_000);
    made.add({ type: 'expect' });
  });
});

test('with the log of the store at hand, leases without keys are judged as well', () => {
  const commits = (endAfterMs: number) => (made: Scene) => {
    const id = made.begin({ kind: 'leaseGrant', lease, ttlSeconds });
    made.add({ type: 'commit', request: { kind: 'grant', lease, ttlSeconds } });
    made.ok(id, { kind: 'leaseGrant', ttlSeconds });
    made.wait(endAfterMs);
    made.add({ type: 'commit', request: { kind: 'revoke', lease } });
  };
  accepts('leases', commits(2_000));
  rejects('leases', /a lease does not end early/, commits(1_000));
});

test('leases without times, or without anything that tells their ends, cannot be judged', () => {
  const made = scene(grant);
  assert.equal(made.result('leases').verdict, 'unknown');
  assert.match(made.result('leases').detail, /neither a log nor a watch/);
  const untimed = scene(hung);
  for (const [position, event] of untimed.events.entries()) {
    const { atMs: _atMs, ...rest } = event;
    untimed.events[position] = rest;
  }
  assert.match(untimed.result('leases').detail, /not every call has its time/);
});
