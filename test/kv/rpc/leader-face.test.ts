/** The leader's side of what followers ask about leases: many at once, answered in their order, and not too many. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import type * as grpc from '@grpc/grpc-js';
import { leaderFace } from '../../../src/kv/rpc/leader-face.ts';
import { questionsPerCallMax } from '../../../src/kv/rpc/question-batches.ts';
import type { KvServer } from '../../../src/kv/server/contract.ts';
import { grpcStatus } from '../../../src/rpc/grpc-status.ts';

/** Leases below 100 last as many seconds as their id says; there are no others. */
const server = {
  position: () => ({ isWitness: false }),
  leaseKeepAlive: async (id: bigint) => (id < 100n ? Number(id) : 0),
  leaseTimeToLive: async (id: bigint, withKeys: boolean) =>
    id < 100n
      ? { ttlSeconds: Number(id) - 1, grantedTtlSeconds: Number(id), keys: withKeys ? [Buffer.from('key')] : [] }
      : { ttlSeconds: -1, grantedTtlSeconds: 0, keys: [] },
} as unknown as KvServer;

function ask(method: string, request: object, running: KvServer | undefined = server): Promise<object> {
  const handler = leaderFace(() => running)[method] as grpc.handleUnaryCall<object, object>;
  const call = Object.assign(new EventEmitter(), { request }) as unknown as grpc.ServerUnaryCall<object, object>;
  return new Promise((resolve, reject) => {
    handler(call, (error, answer) => {
      if (error) reject(error);
      else resolve(answer as object);
    });
  });
}

test('leases are answered in the order of asking, also those that are gone', async () => {
  const ids = ['30', '700', '20'];
  assert.deepEqual(await ask('LeaseKeepAlive', { ids }), { ttlSeconds: [30, 0, 20] });
  assert.deepEqual(await ask('LeaseTimeToLive', { ids }), {
    ttlSeconds: [29, -1, 19],
    grantedTtlSeconds: [30, 0, 20],
  });
  assert.deepEqual(await ask('LeaseKeys', { id: '30' }), {
    ttlSeconds: 29,
    grantedTtlSeconds: 30,
    keys: [Buffer.from('key')],
  });
});

test('more leases than a member asks for at once are refused', async () => {
  const ids = Array.from({ length: questionsPerCallMax + 1 }, (_none, id) => String(id));
  for (const method of ['LeaseKeepAlive', 'LeaseTimeToLive']) {
    await assert.rejects(ask(method, { ids }), { code: grpcStatus.invalidArgument, details: /want at most 1000/ });
    assert.ok(await ask(method, { ids: ids.slice(1) }));
  }
});

test('who does not run yet, or keeps no leases, says that there is no leader', async () => {
  const handler = leaderFace(() => undefined)['LeaseKeepAlive'] as grpc.handleUnaryCall<object, object>;
  const call = Object.assign(new EventEmitter(), { request: { ids: [] } }) as never;
  const code = await new Promise((resolve) => {
    handler(call, (error) => resolve((error as { code: number }).code));
  });
  assert.equal(code, grpcStatus.unavailable);
  const witness = { position: () => ({ isWitness: true }) } as unknown as KvServer;
  await assert.rejects(ask('LeaseKeepAlive', { ids: [] }, witness), { code: grpcStatus.unavailable });
});
