/** Snapshots of the own state when the disk has no room for one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeelsonError } from '../../../src/env/errors.ts';
import { silentLog } from '../../../src/env/log.ts';
import type { Index, Term } from '../../../src/raft/core/types.ts';
import { Snapshots } from '../../../src/raft/host/snapshots.ts';

type SnapshotsOptions = ConstructorParameters<typeof Snapshots>[0];

test('what a snapshot’s content holds open is given back when its file cannot be made', async () => {
  const given = Promise.withResolvers<void>();
  const fatal: unknown[] = [];
  const point = { index: 9 as Index, term: 2 as Term };
  const options = {
    core: {
      compactionPoint: () => point,
      status: () => ({
        confState: { voters: [1], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false },
      }),
      trimLog: () => undefined,
    },
    wal: {
      latestSnapshot: () => ({ index: 0 }),
      stats: () => ({ bytes: 0 }),
      createSnapshot: () => Promise.reject(new KeelsonError('NO_SPACE', 'write: the disk is full')),
    },
    stateMachine: {
      durableIndex: () => 9 as Index,
      async *snapshot() {
        try {
          yield new Uint8Array(1);
          yield new Uint8Array(1);
        } finally {
          given.resolve();
        }
      },
    },
    applier: { applied: point },
    log: silentLog,
    snapshotEntries: 5,
    snapshotLogBytes: 0,
    catchUpEntries: 0,
    wake: () => undefined,
    onFatal: (error: unknown) => fatal.push(error),
  } as unknown as SnapshotsOptions;
  const snapshots = new Snapshots(options);
  snapshots.want();
  await given.promise;
  await snapshots.stop();
  assert.deepEqual(fatal, [], 'a full disk does not end the member');
});
