/** Real members in namespaces of their own. Needs root, as the suite does; each world takes some seconds to start. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { access, readdir, statfs } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { LiveWorld } from '../../../chaos/live/contract.ts';
import { createLiveWorld, removeLeftovers, supportedFaults } from '../../../chaos/live/live-world.ts';
import { faultKinds } from '../../../chaos/scenario/faults.ts';
import type { MemberState } from '../../../chaos/report/run-record.ts';
import { realClock } from '../../../src/env/real.ts';
import { createKvClient } from '../../../src/kv/client/client.ts';

/** Far more than any election or start takes here. */
const patienceMs = 30_000;

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + patienceMs;
  while (!(await holds())) {
    assert.ok(performance.now() < endMs, `waited ${patienceMs} ms until ${what}`);
    await wait(50);
  }
}

/** A world that does not get there tells where it stands. */
async function untilStates(
  what: string,
  world: LiveWorld,
  holds: (states: readonly MemberState[]) => boolean,
): Promise<void> {
  let states: readonly MemberState[] = [];
  const reached = until(what, async () => {
    states = (await world.states()).map(({ state }) => state);
    return holds(states);
  });
  await reached.catch((error: unknown) => {
    const written = states.map((state, member) => `${state}: ${world.output(member).slice(-1_000)}`).join('\n');
    const exits = JSON.stringify(world.unexpectedExits());
    throw new Error(`${String(error)}\nended by themselves: ${exits}\n${written}`, { cause: error });
  });
}

async function leaderOf(world: LiveWorld): Promise<number> {
  const states = (await world.states()).map(({ state }) => state);
  assert.ok(states.includes('leader'), `somebody leads: ${states.join(', ')}`);
  return states.indexOf('leader');
}

/** What there is on this machine of any live world, by names alone. */
async function tracesOf(id: string): Promise<readonly string[]> {
  const namespaces = await readdir('/var/run/netns').catch(() => []);
  const directories = await readdir(tmpdir());
  return [...namespaces, ...Object.keys(networkInterfaces()), ...directories].filter((name) => name.includes(id));
}

/** `10.89.0.11` was given by the world whose link to this machine is `10.89.0.1`. */
function idOf(world: LiveWorld): string {
  const host = (world.members[0]?.address ?? '').replace(/\.\d+$/, '.1');
  const found = Object.entries(networkInterfaces()).find(([, addresses]) =>
    addresses?.some(({ address }) => address === host),
  );
  assert.ok(found, `a link with ${host}`);
  return found[0].replace('kchaos-', '');
}

describe('three members over TLS', () => {
  let world: Awaited<ReturnType<typeof createLiveWorld>>;
  const bytes = (text: string) => new TextEncoder().encode(text);

  /** Whoever does not hear the leader cannot answer: one is asked who leads, unless it may be any. */
  async function write(text: string, members: readonly number[] = [0, 1, 2]): Promise<void> {
    const endpoints = members.map((member) => world.members[member]?.clientUrl ?? '');
    const client = createKvClient({ clock: realClock, endpoints, ...(world.tls ? { tls: world.tls } : {}) });
    await client.put({ key: bytes('k'), value: bytes(text) }).finally(() => client.close());
  }

  before(async () => {
    world = await createLiveWorld({
      program: { kind: 'keelson' },
      members: 3,
      isTls: true,
      flags: [],
      hasOwnDisks: true,
      hasOwnClocks: true,
    });
    assert.ok(world.tls);
  });
  after(async () => {
    await world?.close();
  });

  test('are ready when the world is', async () => {
    const states = (await world.states()).map(({ state }) => state).sort();
    assert.deepEqual(states, ['follower', 'follower', 'leader']);
    await write('first');
  });

  test('a partition leaves the smaller side without a leader, until it heals by itself', async () => {
    const old = await leaderOf(world);
    const sides = world.members.map((_, member) => (member === old ? 1 : 0));
    const struck = await world.strike({ kind: 'partition', sides, healMs: 2_500 });
    assert.equal(struck.links.length, 4);
    assert.equal(Math.round((struck.endMs ?? 0) - struck.atMs), 2_500);
    await untilStates(
      'the others have a leader, and the old one has given up',
      world,
      (states) => states[old] === 'candidate' && states.includes('leader'),
    );
    await write('on the larger side', [await leaderOf(world)]);
    await untilStates('all are together again', world, (states) =>
      states.every((state) => state === 'leader' || state === 'follower'),
    );
  });

  test('a killed member is down, and started again at its time', async () => {
    const { members } = await world.strike({ kind: 'crashLeader', downMs: 300 });
    const [killed = -1] = members;
    assert.equal((await world.states())[killed]?.state, 'down');
    assert.equal(world.members[killed]?.isUp, false);
    await untilStates('it follows again', world, (states) => states[killed] === 'follower');
    assert.deepEqual(world.unexpectedExits(), []);
  });

  test('a leader that stands still loses its place, and goes on as a follower', async () => {
    const { members } = await world.strike({ kind: 'pauseLeader', pauseMs: 60_000 });
    const [paused = -1] = members;
    await untilStates('another one leads', world, (states) => states[paused] === 'paused' && states.includes('leader'));
    await world.heal();
    assert.equal((await world.states())[paused]?.state, 'follower');
  });

  test('what was changed on the way is noticed, and nothing of it is believed', async () => {
    const from = await leaderOf(world);
    const to = (from + 1) % 3;
    await world.strike({ kind: 'corrupt', from, to, flipsPerByte: 0.01, healMs: 60_000 });
    await write('while bytes change', [from]);
    await until('its connections break', async () => (await world.linkCounts()).flips > 0);
    await world.heal();
    await write('afterwards');
  });

  test('connections are reset, or forgotten by one end, and made anew', async () => {
    const from = await leaderOf(world);
    const to = (from + 1) % 3;
    const reset = await world.strike({ kind: 'reset', from, to });
    assert.match(reset.text, /^[1-9]\d* connections between m\d and m\d reset$/);
    await until('there is one again to forget', async () => {
      const { text } = await world.strike({ kind: 'halfOpen', from, to, healMs: 60_000 });
      return /^[1-9]\d* connections between m\d and m\d reset, and m\d is not told$/.test(text);
    });
    await world.heal();
    await write('over new connections');
  });

  test('delays hold writes up, and go with the weather', async () => {
    const conditions = { delayMinMs: 100, delayMeanMs: 100, loss: 0, duplication: 0 };
    await world.strike({ kind: 'weather', conditions });
    const leader = await leaderOf(world);
    const startMs = performance.now();
    await write('slow', [leader]);
    assert.ok(performance.now() - startMs >= 200, 'to another member and back');
    await world.heal();
  });

  test('clients do not hear a member that other members hear', async () => {
    const member = await leaderOf(world);
    await world.strike({ kind: 'clientCut', member, lost: 'answers', healMs: 60_000 });
    await untilStates('it does not answer', world, (states) => states[member] === 'starting');
    const { term } = (await world.states())[(member + 1) % 3] ?? {};
    await world.heal();
    const after = (await world.states())[member];
    assert.deepEqual(after, { state: 'leader', term });
  });

  test('a leader whose clock stands still loses its place, and its time of day is whatever it is told', async () => {
    const member = await leaderOf(world);
    await world.strike({ kind: 'wallJump', member, byMs: 366 * 86_400_000 });
    await world.strike({ kind: 'clockFreeze', member, healMs: 60_000 });
    await untilStates('another one leads', world, (states) =>
      states.some((state, at) => at !== member && state === 'leader'),
    );
    const nextYear = new Date().getFullYear() + 1;
    await until('it writes so', async () => world.output(member).includes(`"ts":"${nextYear}-`));
    await world.heal();
  });

  test('leadership is moved', async () => {
    const member = ((await leaderOf(world)) + 1) % 3;
    await world.strike({ kind: 'transfer', member });
    await untilStates('the other one leads', world, (states) => states[member] === 'leader');
  });

  test('a member whose data is gone comes back and serves', async () => {
    const member = ((await leaderOf(world)) + 1) % 3;
    await world.strike({ kind: 'wipe', member, downMs: 100 });
    await world.heal();
    await write('with all of them');
  });

  test('a member finds out that its log is not what it wrote, and serves again', async () => {
    for (let count = 0; count < 10; count++) await write(`entry ${count}`);
    const member = await leaderOf(world);
    const struck = await world.strike({ kind: 'rot', member, downMs: 10, bytes: 2 });
    assert.match(struck.text, /^m\d killed, and 2 bytes of its log changed$/);
    await world.heal();
    await write('with a log that was repaired', [member]);
  });

  test('a member whose disk fails stops by itself, and comes back with what it had synced', async () => {
    const member = await leaderOf(world);
    await world.strike({ kind: 'diskError', member, code: 'EIO', downMs: 4_000 });
    // With nothing to write it would not notice.
    await assert.rejects(write('on a broken disk', [member]));
    await untilStates(
      'it has stopped, and another one leads',
      world,
      (states) => states[member] === 'down' && states.includes('leader'),
    );
    await untilStates('it follows', world, (states) => states[member] === 'follower');
    assert.deepEqual(world.unexpectedExits(), []);
  });

  test('what was acknowledged is there after a power cut', async () => {
    await write('before the power cut');
    const struck = await world.strike({ kind: 'crashAll', downMs: 100 });
    assert.match(struck.text, /what was not synced is lost$/);
    await world.heal();
    const client = createKvClient({
      clock: realClock,
      endpoints: [world.members[0]?.clientUrl ?? ''],
      ...(world.tls ? { tls: world.tls } : {}),
    });
    const { kvs } = await client.range({ key: bytes('k') }).finally(() => client.close());
    assert.equal(new TextDecoder().decode(kvs[0]?.value), 'before the power cut');
  });

  test('a full disk ends nobody, and is empty again after healing', async () => {
    const member = await leaderOf(world);
    await world.strike({ kind: 'fullDisk', member, healMs: 60_000 });
    const free = async () => (await statfs(`${tmpdir()}/keelson-chaos-${idOf(world)}/m${member + 1}`)).bavail;
    assert.equal(await free(), 0);
    await world.heal();
    assert.ok((await free()) > 1_000);
    await write('with room');
    assert.deepEqual(world.unexpectedExits(), []);
  });

  test('what cannot be done is refused beforehand and when it is tried', async () => {
    const refused = faultKinds.filter((kind) => !supportedFaults.has(kind));
    assert.ok(refused.includes('figureEight'));
    await assert.rejects(world.strike({ kind: 'figureEight' }), { code: 'CHAOS_FAULT_UNSUPPORTED' });
    await assert.rejects(world.strike({ kind: 'crash', member: 3, downMs: 1 }), { code: 'CHAOS_NO_MEMBER' });
  });

  test('closing takes everything away', async () => {
    const id = idOf(world);
    assert.notDeepEqual(await tracesOf(id), []);
    await world.close();
    assert.deepEqual(await tracesOf(id), []);
    await assert.rejects(world.states(), { code: 'CHAOS_CLOSED' });
  });
});

test('what a killed owner left is found and removed by the next one', async () => {
  const module = new URL('../../../chaos/live/live-world.ts', import.meta.url).href;
  const options = { program: { kind: 'keelson' }, members: 1, isTls: false, flags: [] };
  const script = `
    const { createLiveWorld } = await import(${JSON.stringify(module)});
    const world = await createLiveWorld(${JSON.stringify(options)});
    console.log(world.members[0].address);
  `;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [address] = (await owner.stdout.take(1).toArray()) as [Buffer];
  const world = { members: [{ address: address.toString().trim() }] } as unknown as LiveWorld;
  const id = idOf(world);
  assert.deepEqual((await removeLeftovers()).includes(id), false, 'its owner is there');
  const ended = new Promise((resolve) => owner.once('exit', resolve));
  owner.kill('SIGKILL');
  await ended;
  assert.notDeepEqual(await tracesOf(id), []);
  assert.ok((await removeLeftovers()).includes(id));
  assert.deepEqual(await tracesOf(id), []);
  await assert.rejects(access(`${tmpdir()}/keelson-chaos-${id}`));
});
