import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World } from '../../../chaos/sim/world.ts';

test('the same seed gives the same world, event for event', async () => {
  const first = await new World('determinism').run();
  const second = await new World('determinism').run();
  assert.equal(first.violation, undefined);
  assert.ok(first.events > 1_000);
  assert.equal(second.traceHash, first.traceHash);
  assert.equal(second.events, first.events);
});

test('another seed gives another world', async () => {
  const first = await new World('one').run();
  const second = await new World('another').run();
  assert.notEqual(second.traceHash, first.traceHash);
});
