import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKvState, openKvState } from '../../../src/kv/apply/index.ts';
import { rangeRequest } from '../../../src/kv/api.ts';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';
import type { BackendWrite } from '../../../src/kv/backend/contract.ts';
import { bytes, op } from './requests.ts';

function counted() {
  const backend = createMemoryBackend();
  const batches: (readonly BackendWrite[])[] = [];
  const write = backend.write.bind(backend);
  backend.write = (batch) => {
    batches.push(batch);
    write(batch);
  };
  return { backend, batches };
}

test('a batch of entries reaches the backend in one piece, with the index of the last of them', async () => {
  const { backend, batches } = counted();
  const state = createKvState({ backend });
  batches.length = 0;
  state.beginBatch();
  for (let index = 1; index <= 3; index++) state.apply(index, { requestId: 0, op: op.put('k', `v${index}`) });
  state.skip(4);
  assert.equal(batches.length, 0);
  state.endBatch();
  assert.equal(batches.length, 1);
  assert.equal(batches[0]?.length, 4, 'three revisions and the index');
  const again = await openKvState({ backend });
  assert.deepEqual([again.consistentIndex(), again.revision()], [4, 4]);
});

test('within a batch, old revisions are read although the backend does not have them yet', () => {
  const { backend, batches } = counted();
  const state = createKvState({ backend });
  batches.length = 0;
  state.beginBatch();
  state.apply(1, { requestId: 0, op: op.put('k', 'old') });
  state.apply(2, { requestId: 0, op: op.put('k', 'new') });
  const result = state.range(rangeRequest({ key: bytes('k'), revision: 2 }));
  assert.ok(typeof result !== 'string');
  assert.equal(Buffer.from(result.kvs[0]?.value ?? []).toString(), 'old');
  state.endBatch();
  assert.equal(batches.length, 1, 'what was handed over early is not handed over again');
});
