/** What is measured once per cluster: memory and restart with a million keys, idling, and the time without a leader. */
import { LeanConnection } from '../load/connection.ts';
import { encodeMessage, numberField } from '../load/messages.ts';
import { ask } from '../load/streams.ts';
import { cpuMicroseconds, quantile, residentBytes } from '../load/usage.ts';
import { type Running, targetOf } from './sides.ts';
import type { Figure } from './table.ts';
import { fillKeys } from './works.ts';

const megabyte = 2 ** 20;

/** Resident size after a million puts of 256 bytes, then the time from start to the first answered read. */
export async function measureMemory(running: Running, keys: number): Promise<readonly Figure[]> {
  const [member] = running.cluster.members;
  if (member === undefined) throw new Error('a cluster has a member');
  const startedMs = performance.now();
  await fillKeys(running.target, keys, 'memory/');
  const loadSeconds = (performance.now() - startedMs) / 1000;
  await wait(2000);
  const loaded = residentBytes(member.pid());
  await member.end('SIGTERM');
  const restartMs = performance.now();
  await member.start();
  await readOnce(running);
  const restartSeconds = (performance.now() - restartMs) / 1000;
  await wait(2000);
  return [
    { name: 'resident MB', value: loaded / megabyte, digits: 0 },
    { name: 'restart s', value: restartSeconds, digits: 2 },
    { name: 'MB after restart', value: residentBytes(member.pid()) / megabyte, digits: 0 },
    { name: 'load s', value: loadSeconds, digits: 1 },
  ];
}

/** Processor share and memory of members that nobody talks to; the greatest of the three each. */
export async function measureIdle(running: Running, seconds: number): Promise<readonly Figure[]> {
  const { members } = running.cluster;
  // What a start leaves to do is done by then: reserving space, the first elections, giving memory back, and compiling,
  // which takes a while where code runs ten times a second.
  await wait(60_000);
  const before = members.map((member) => cpuMicroseconds([member.pid()]));
  await wait(seconds * 1000);
  const shares = members.map(
    (member, index) => (cpuMicroseconds([member.pid()]) - (before[index] ?? 0)) / (seconds * 10_000),
  );
  return [
    {
      name: 'MB resident',
      value: Math.max(...members.map((member) => residentBytes(member.pid()))) / megabyte,
      digits: 0,
    },
    { name: '% of a core', value: Math.max(...shares), digits: 2 },
  ];
}

/** Kills the leader again and again; from the kill until the next write is acknowledged by anybody. */
export async function measureFailover(running: Running, kills: number): Promise<readonly Figure[]> {
  const tookMs: number[] = [];
  for (let kill = 0; kill < kills; kill++) {
    const leader = await leaderOf(running);
    const others = running.cluster.members.filter((member) => member !== leader);
    const connections = await Promise.all(
      others.map((member) =>
        LeanConnection.open({ endpoint: member.endpoint, tls: running.target.tls, onBroken: () => undefined }),
      ),
    );
    const startedMs = performance.now();
    await leader.end('SIGKILL');
    await Promise.any(connections.map((connection) => putUntilTaken(connection)));
    tookMs.push(performance.now() - startedMs);
    for (const connection of connections) connection.close();
    await leader.start();
  }
  tookMs.sort((a, b) => a - b);
  return [
    { name: 'p99 ms', value: quantile(tookMs, 0.99), digits: 0 },
    { name: 'p50 ms', value: quantile(tookMs, 0.5), digits: 0 },
    { name: 'kills', value: kills, digits: 0 },
  ];
}

const failoverPut = encodeMessage([
  [1, 'bench/failover'],
  [2, 'x'],
]);

async function putUntilTaken(connection: LeanConnection): Promise<void> {
  for (;;) {
    try {
      await ask(connection, '/etcdserverpb.KV/Put', failoverPut);
      return;
    } catch {
      // Refused or lost with the old leader: asked again, as a client would.
      await wait(5);
    }
  }
}

/** The member that leads, as its peers say. */
export async function leaderOf(running: Running): Promise<Running['cluster']['members'][number]> {
  for (;;) {
    for (const member of running.cluster.members) {
      const target = targetOf(running.cluster, [member.name]);
      const connection = await LeanConnection.open({
        endpoint: target.endpoints[0] as string,
        tls: target.tls,
        onBroken: () => undefined,
      });
      const status = await ask(connection, '/etcdserverpb.Maintenance/Status', Buffer.alloc(0));
      connection.close();
      // Status: leader is field 4; the answering member is field 2 of the header.
      const leader = leaderField(status, 4);
      if (leader !== '0' && leader === headerMember(status)) return member;
    }
    await wait(50);
  }
}

/** A top-level varint field as the text of its bytes: ids have 64 bits. */
function leaderField(message: Buffer, wanted: number): string {
  let at = 0;
  let found = '0';
  const varint = (): string => {
    const from = at;
    while ((message[at++] ?? 0) >= 128);
    return message.subarray(from, at).toString('hex');
  };
  while (at < message.length) {
    const tag = message[at++] ?? 0;
    if ((tag & 7) === 2) {
      let length = 0;
      for (let factor = 1; ; factor *= 128) {
        const byte = message[at++] ?? 0;
        length += (byte & 127) * factor;
        if (byte < 128) break;
      }
      at += length;
    } else {
      const value = varint();
      if (tag >>> 3 === wanted) found = value;
    }
  }
  return found;
}

function headerMember(message: Buffer): string {
  const length = message[1] ?? 0;
  return leaderField(message.subarray(2, 2 + length), 2);
}

async function readOnce(running: Running): Promise<void> {
  const [endpoint] = running.target.endpoints;
  const connection = await LeanConnection.open({
    endpoint: endpoint as string,
    tls: running.target.tls,
    onBroken: () => undefined,
  });
  const range = encodeMessage([[1, `memory/${'0'.repeat(10)}`]]);
  for (;;) {
    try {
      const answer = await ask(connection, '/etcdserverpb.KV/Range', range);
      if (numberField(answer, 4) !== 1) throw new Error('a key is missing after the restart');
      break;
    } catch (error) {
      if (error instanceof Error && error.message.includes('missing')) throw error;
      await wait(10);
    }
  }
  connection.close();
}

function wait(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}
