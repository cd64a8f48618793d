/** What clients cost that are there and do nothing, and whether a writer beside them feels them. */
import { runLoad } from '../load/closed-loop.ts';
import { openIdle, openWatches } from '../load/crowd.ts';
import { encodeMessage, keyMarker, template } from '../load/messages.ts';
import { residentBytes } from '../load/usage.ts';
import type { Running } from './sides.ts';
import type { Figure } from './table.ts';

const idleConnections = 10_000;
const idleWatches = 10_000;
const slowWatches = 1_000;
/** For what is left to do after many were opened, and for a collector that has time. */
const settleMs = 3_000;
const put = template(
  encodeMessage([
    [1, keyMarker('bench/crowd-aaaaaaaa')],
    [2, Buffer.alloc(256, 'v')],
  ]),
);

/** One member. Resident KB of each idle connection and each idle watch, and a put's time alone and beside all of them. */
export async function measureCrowd(running: Running, seconds: number): Promise<readonly Figure[]> {
  const { target } = running;
  const [pid] = target.pids();
  if (pid === undefined) throw new Error('a cluster has a member');
  const calls = [{ path: '/etcdserverpb.KV/Put', message: put, weight: 1 }];
  const load = () => runLoad(target, { calls, inFlight: 100, seconds, keys: 100 });
  const settled = async () => {
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    return residentBytes(pid);
  };
  const before = await settled();
  const sockets = await openIdle(target.endpoints[0] as string, idleConnections);
  const withConnections = await settled();
  const watching = await openWatches(target, {
    connections: 10,
    streamsPerConnection: 10,
    watchesPerStream: idleWatches / 100,
    range: (index) => [`crowd/idle/${index}`],
  });
  const withWatches = await settled();
  // Code is compiled while it runs for the first time.
  await load();
  await load();
  const besideIdle = await load();
  const beforeSlow = await settled();
  const slow = await openWatches(target, {
    connections: 20,
    streamsPerConnection: 50,
    watchesPerStream: slowWatches / 1000,
    range: () => ['bench/', 'bench0'],
  });
  for (const connection of slow) connection.stopReading();
  // The first writes fill what the system and the member take for them.
  await load();
  const besideSlow = await load();
  const withSlow = await settled();
  for (const connection of [...watching, ...slow]) connection.close();
  for (const socket of sockets) socket.destroy();
  await settled();
  const alone = await load();
  return [
    { name: 'put µs beside', value: besideSlow.cpuPerCallMicroseconds, digits: 1 },
    { name: 'beside idle', value: besideIdle.cpuPerCallMicroseconds, digits: 1 },
    { name: 'alone', value: alone.cpuPerCallMicroseconds, digits: 1 },
    { name: 'p50 ms beside', value: besideSlow.p50Ms, digits: 2 },
    { name: 'alone', value: alone.p50Ms, digits: 2 },
    { name: 'KB/connection', value: (withConnections - before) / idleConnections / 1024, digits: 1 },
    { name: 'KB/watch', value: (withWatches - withConnections) / idleWatches / 1024, digits: 1 },
    { name: 'MB of slow', value: (withSlow - beforeSlow) / 2 ** 20, digits: 0 },
  ];
}
