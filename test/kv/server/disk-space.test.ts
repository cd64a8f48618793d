import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimDisk } from '../../../chaos/sim/disk.ts';
import { seededRandom } from '../../../chaos/sim/random.ts';
import type { Clock } from '../../../src/env/clock.ts';
import { silentLog } from '../../../src/env/log.ts';
import type { Alarm } from '../../../src/kv/server/contract.ts';
import { DiskSpace, type SpaceUser } from '../../../src/kv/server/disk-space.ts';

const mebibyte = 1024 * 1024;
const capacityBytes = 16 * mebibyte;
/** A sixteenth of the disk: the limit and the reserve. */
const share = capacityBytes / 16;

/** Checks happen when the test says so; pauses take no time. */
function handClock() {
  let tick: () => void = () => undefined;
  const clock: Clock = {
    monotonicMs: () => 0,
    wallMs: () => 0,
    after: (_delayMs, callback) => {
      queueMicrotask(callback);
      return () => undefined;
    },
    every: (_periodMs, callback) => {
      tick = callback;
      return () => {
        tick = () => undefined;
      };
    },
  };
  return { clock, tick: () => tick() };
}

async function world() {
  const disk = new SimDisk({ random: seededRandom('space'), capacityBytes });
  await disk.makeDirectory('/data');
  const { clock, tick } = handClock();
  let alarms: Alarm[] = [];
  let used = 0;
  let hasRaisedAlarm = false;
  const user: SpaceUser = {
    memberId: 7,
    quotaBytes: 1000,
    bytesOnDisk: () => used,
    alarms: () => alarms,
    hasRaisedAlarm: () => hasRaisedAlarm,
    setAlarm: async (action) => {
      alarms = action === 'activate' ? [{ memberId: 7, alarm: 'noSpace' }] : [];
    },
  };
  const space = new DiskSpace({ clock, log: silentLog, disk, directory: '/data' });
  await space.prepare();
  space.watch(user);
  return {
    disk,
    space,
    isAlarmed: () => alarms.length > 0,
    byHand: () => user.setAlarm('activate'),
    use: (bytes: number) => {
      used = bytes;
    },
    raiseForQuota: () => {
      hasRaisedAlarm = true;
      return user.setAlarm('activate');
    },
    /** Some checks, each finished before the next. */
    check: async (times = 1) => {
      for (let count = 0; count < times; count++) {
        tick();
        const before = disk.operationCount;
        let quiet = 0;
        for (let last = before; quiet < 50; quiet = disk.operationCount === last ? quiet + 1 : 0) {
          last = disk.operationCount;
          await Promise.resolve();
        }
      }
    },
    fill: async (leaveBytes: number) => {
      const file = await disk.open('/data/other', 'create');
      await file.write(0, [new Uint8Array((await disk.freeBytes('/data')) - leaveBytes)]);
      await file.close();
    },
    free: () => disk.remove('/data/other'),
  };
}

test('a disk that is nearly full raises the alarm, and clears it half a minute after space is back', async () => {
  const { check, fill, free, isAlarmed } = await world();
  await check();
  assert.equal(isAlarmed(), false);
  await fill(share - 1);
  await check();
  assert.equal(isAlarmed(), true);
  await check(10);
  assert.equal(isAlarmed(), true);
  await free();
  await check(5);
  assert.equal(isAlarmed(), true);
  await check();
  assert.equal(isAlarmed(), false);
});

test('a quota alarm clears once the store is well below its quota again', async () => {
  const { check, use, raiseForQuota, isAlarmed } = await world();
  use(1001);
  await raiseForQuota();
  use(950);
  await check(10);
  assert.equal(isAlarmed(), true, 'not while the next write could raise it again');
  use(900);
  await check(6);
  assert.equal(isAlarmed(), false);
});

test('an alarm that an operator activates is left to them', async () => {
  const { check, byHand, isAlarmed } = await world();
  await check();
  await byHand();
  await check(20);
  assert.equal(isAlarmed(), true);
});

test('a full disk gets the reserve, which is made again when there is room', async () => {
  const { disk, check, fill, free, space } = await world();
  await check(2);
  const reserve = () => disk.files().find(({ path }) => path === '/data/reserve')?.sizeBytes;
  assert.equal(reserve(), share);
  await fill(0);
  assert.equal(await space.wait(), true);
  assert.equal(reserve(), undefined);
  assert.equal(await disk.freeBytes('/data'), share);
  assert.equal(await space.wait(), true, 'later ones wait and are tried again');
  await free();
  await check(2);
  assert.equal(reserve(), share);
  space.stop();
  assert.equal(await space.wait(), false);
});
