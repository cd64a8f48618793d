/** `keelson chaos` as its user types it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../bin/keelson', import.meta.url));

function chaos(...args: readonly string[]): Promise<{ readonly code: number; readonly out: string }> {
  return new Promise((resolve) => {
    execFile(program, ['chaos', ...args], { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, out: stdout + stderr });
    });
  });
}

test('a seed gives the same trace in two processes, and another one with fewer of its faults', async () => {
  const [first, second, fewer] = await Promise.all([
    chaos('sim', '--seed', 'twice', '--trace-hash'),
    chaos('sim', '--seed', 'twice', '--trace-hash'),
    chaos('sim', '--seed', 'twice', '--faults', '0'),
  ]);
  assert.deepEqual([first?.code, second?.code, fewer?.code], [0, 0, 0]);
  const traceOf = (out: string | undefined) => /^trace ([0-9a-f]{64})$/m.exec(out ?? '')?.[1];
  assert.ok(traceOf(first?.out));
  assert.equal(traceOf(second?.out), traceOf(first?.out));
  assert.notEqual(traceOf(fewer?.out), traceOf(first?.out));
});

test('some seeds are run in processes of their own, and counted', async () => {
  const { code, out } = await chaos('sim', '--seeds', '4', '--jobs', '2');
  assert.equal(code, 0, out);
  assert.match(out, /^4 worlds, /m);
});

test('what is not there is refused in one line', async () => {
  for (const [args, want] of [
    [['nope'], /^keelson chaos: no command nope: want one of sim/],
    [['sim', '--profile', 'nope'], /^sim: no profile nope: want one of swarm/],
    [['sim', '--faults', '1'], /^sim: --faults is about one world: give its --seed$/],
    [['sim', '--seed', '1', '--faults', 'x'], /^sim: --faults x: want positions from 0, such as 3,7, or none$/],
    [['sim', '--seeds', '0'], /--seeds: want a whole number from 1/],
  ] as const) {
    const { code, out } = await chaos(...args);
    assert.equal(code, 2, out);
    assert.match(out.trim(), want);
    assert.equal(out.trim().split('\n').length, 1, out);
  }
});
