import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimDisk } from '../../../chaos/sim/disk.ts';
import { seededRandom } from '../../../chaos/sim/random.ts';
import { readRaftIdentity } from '../../../src/raft/host/start-raft-node.ts';
import type { ReplicaId } from '../../../src/raft/core/types.ts';
import { settle } from '../../support/fake-clock.ts';
import { Cluster, clusterId, ListMachine, type Member } from './harness.ts';

const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, position) => `line-${from + position}`);
const noContext = new Uint8Array(0);

test('one member elects itself, writes, and has it all after a restart', async () => {
  const cluster = await Cluster.of(1);
  await cluster.write(...numbered(1, 20));
  const disk = cluster.kill(1, 'lost');
  assert.deepEqual(await readRaftIdentity(disk, '/member-1'), { clusterId, replicaId: 1 });
  const member = await cluster.start(1, { disk });
  await cluster.elect();
  await cluster.until('everything is applied again', () => member.machine.lines.length === 20);
  assert.deepEqual(member.machine.lines, numbered(1, 20));
  await cluster.stop();
});

test('three members agree, and go on with one of them gone and back', async () => {
  const cluster = await Cluster.of(3);
  await cluster.write(...numbered(1, 5));
  await cluster.agree();
  const gone = cluster.leader()?.node.status().id as number;
  const disk = cluster.kill(gone);
  await cluster.write(...numbered(6, 10));
  await cluster.start(gone, { disk });
  await cluster.agree();
  assert.deepEqual(cluster.member(gone).machine.lines, numbered(1, 10));
  for (const { fatal } of cluster.members.values()) assert.equal(fatal, undefined);
  await cluster.stop();
});

test('a state machine that kept its state gets only what it lacks', async () => {
  const cluster = await Cluster.of(1);
  await cluster.write(...numbered(1, 10));
  const { machine } = cluster.member(1);
  const disk = cluster.kill(1, 'lost');
  const member = await cluster.start(1, { disk, machine });
  await cluster.write('after');
  assert.deepEqual(member.machine.lines, [...numbered(1, 10), 'after']);
  await cluster.stop();
});

test('reads wait for their point, are answered on followers too, and are dropped without a leader', async () => {
  const cluster = await Cluster.of(3);
  await cluster.write('a');
  const leader = await cluster.elect();
  const follower = [...cluster.members.values()].find((member) => member !== leader) ?? leader;
  await cluster.agree();
  for (const { node, machine } of [leader, follower]) {
    const indexes: number[] = [];
    const reads = Array.from({ length: 50 }, () => node.readIndex().then((index) => indexes.push(index)));
    await cluster.clock.advance(100);
    await Promise.all(reads);
    assert.ok(indexes.every((index) => index <= machine.applied));
  }
  const aborted = new AbortController();
  const abortedRead = leader.node.readIndex(aborted.signal);
  aborted.abort(new Error('no longer wanted'));
  await assert.rejects(abortedRead, /no longer wanted/);
  cluster.network.cut.add(leader.node.status().id);
  const lost = assert.rejects(leader.node.readIndex(), (error) =>
    ['NO_LEADER', 'LEADER_CHANGED'].includes((error as { code: string }).code),
  );
  await cluster.clock.advance(2000);
  await lost;
  await cluster.stop();
});

test('snapshots are taken while writing goes on, and the log is released behind them', async () => {
  const cluster = await Cluster.of(1, { snapshotEntries: 20, catchUpEntries: 5, segmentBytes: 500 });
  for (let from = 1; from <= 200; from += 10) await cluster.write(...numbered(from, from + 9));
  const { node, disk } = cluster.member(1);
  assert.ok(node.counters().snapshotsTaken >= 5, `${node.counters().snapshotsTaken} snapshots`);
  assert.ok(node.status().firstIndex > 150, `log begins at ${node.status().firstIndex}`);
  const snapshots = disk.files().filter(({ path }) => path.endsWith('.snap'));
  assert.equal(snapshots.length, 2, 'the newest snapshot and the one before');
  const after = cluster.kill(1, 'torn');
  const member = await cluster.start(1, { disk: after });
  await cluster.elect();
  await cluster.until('all is back', () => member.machine.lines.length === 200);
  assert.equal(member.machine.restores, 1);
  assert.deepEqual(member.machine.lines, numbered(1, 200));
  await cluster.stop();
});

test('no snapshot is taken of a log that is too short to be worth it', async () => {
  const cluster = await Cluster.of(1, { snapshotEntries: 10, snapshotLogBytes: 20_000, segmentBytes: 20_000 });
  const { node } = cluster.member(1);
  let written = 0;
  const write = async () => cluster.write(...numbered(written + 1, (written += 10)));
  while (node.counters().walBytes < 19_000) await write();
  assert.ok(written > 50, `${written} entries`);
  assert.equal(node.counters().snapshotsTaken, 0);
  while (node.counters().walBytes < 39_000) await write();
  assert.equal(node.counters().snapshotsTaken, 1);
  while (node.counters().walBytes < 45_000) await write();
  assert.equal(node.counters().snapshotsTaken, 2);
  await cluster.stop();
});

test('the log is kept while the state machine has not made it durable', async () => {
  const cluster = await Cluster.of(1, { snapshotEntries: 10, catchUpEntries: 0, segmentBytes: 300 });
  cluster.member(1).machine.durable = 3 as never;
  for (let from = 1; from <= 60; from += 10) await cluster.write(...numbered(from, from + 9));
  assert.ok(cluster.member(1).node.status().firstIndex <= 4);
  await cluster.stop();
});

test('a snapshot whose stream breaks again and again goes on where it broke, and arrives', async () => {
  const cluster = await Cluster.of(3, { snapshotEntries: 400, catchUpEntries: 2, segmentBytes: 500_000 });
  await cluster.elect();
  const leader = cluster.leader() as Member;
  const away = [...cluster.members].find(([, member]) => member !== leader)?.[0] as number;
  const disk = cluster.kill(away);
  await cluster.write(...Array.from({ length: 420 }, (_, at) => `${at}`.padEnd(2_000, '.')));
  cluster.network.breakAfterBytes = 300 * 1024;
  const back = await cluster.start(away, { disk });
  await cluster.agree();
  const { snapshotBytes } = cluster.network;
  assert.ok(snapshotBytes.length >= 3, `${snapshotBytes.length} streams`);
  assert.ok(snapshotBytes.every((bytes) => bytes <= 300 * 1024));
  assert.equal(back.node.counters().snapshotsReceived, 1);
  assert.equal(disk.files().filter(({ path }) => path.includes('.tmp')).length, 0, 'nothing is left behind');
  await cluster.stop();
});

test('a member that was away too long catches up from a snapshot, also when the first stream breaks', async () => {
  const cluster = await Cluster.of(3, { snapshotEntries: 20, catchUpEntries: 2, segmentBytes: 500 });
  await cluster.write('first');
  await cluster.agree();
  const leader = await cluster.elect();
  const away = [...cluster.members.keys()].find((id) => id !== leader.node.status().id) as number;
  const disk = cluster.kill(away);
  for (let from = 1; from <= 100; from += 10) await cluster.write(...numbered(from, from + 9));
  cluster.network.failSnapshots = 1;
  const back = await cluster.start(away, { disk });
  await cluster.agree();
  assert.equal(back.machine.lines.length, 101);
  assert.ok(back.machine.restores >= 1);
  assert.ok(cluster.network.snapshotsSent >= 2, 'the broken stream was tried again');
  assert.equal(back.node.counters().snapshotsReceived, 1);
  // And the restored member survives its own restart.
  const again = await cluster.start(away, { disk: cluster.kill(away, 'lost') });
  await cluster.agree();
  assert.equal(again.machine.lines.length, 101);
  await cluster.stop();
});

test('a member joins with an empty log, becomes a voter and another one leaves', async () => {
  const cluster = await Cluster.of(3, { snapshotEntries: 50 });
  await cluster.write(...numbered(1, 10));
  const joining = await cluster.start(4);
  let leader = await cluster.elect();
  const id4 = 4 as ReplicaId;
  leader.node.proposeConfChange({ steps: [{ kind: 'addLearner', replica: id4 }], context: noContext });
  await cluster.agree();
  assert.deepEqual(joining.node.confState().learners, [4]);
  leader.node.proposeConfChange({ steps: [{ kind: 'addVoter', replica: id4 }], context: noContext });
  await cluster.until('the newcomer votes', () => joining.node.confState().voters.includes(id4));
  leader = await cluster.elect();
  const leaving = [1, 2, 3].find((id) => id !== leader.node.status().id) as ReplicaId;
  leader.node.proposeConfChange({ steps: [{ kind: 'remove', replica: leaving }], context: noContext });
  await cluster.until('one is gone', () => !joining.node.confState().voters.includes(leaving));
  await cluster.member(leaving).node.stop();
  cluster.members.delete(leaving);
  await cluster.write('after the change');
  await cluster.agree();
  assert.deepEqual(
    [...joining.node.confState().voters].sort((a, b) => a - b),
    [1, 2, 3, 4].filter((id) => id !== leaving),
  );
  await cluster.stop();
});

test('a change that was vetoed just before the process ended stays vetoed: the state says how it ended', async () => {
  for (const isAsked of [true, false]) {
    const cluster = new Cluster();
    const machine = new ListMachine();
    machine.refuses = 5;
    const { node, disk } = await cluster.start(1, { voters: [1 as ReplicaId], machine });
    await cluster.elect();
    let after: SimDisk | undefined;
    const apply = machine.applyConfChange.bind(machine);
    machine.applyConfChange = (entry, change) => {
      const isTaken = apply(entry, change);
      // The process ends here: the state has the entry, and the log does not know of the veto yet.
      after ??= disk.crash('kept');
      return isTaken;
    };
    node.proposeConfChange({ steps: [{ kind: 'addLearner', replica: 5 as ReplicaId }], context: noContext });
    await cluster.until('the change was vetoed', () => after !== undefined);
    cluster.members.delete(1);
    const restarted = new ListMachine();
    restarted.applied = machine.applied;
    if (isAsked) Object.assign(restarted, { wasChangeTaken: () => false });
    const again = await cluster.start(1, { ...(after ? { disk: after } : {}), machine: restarted });
    assert.deepEqual(again.node.confState().learners, isAsked ? [] : [5]);
    await again.node.stop();
  }
});

test('a vetoed change changes nothing, also after restarts', async () => {
  const cluster = await Cluster.of(1);
  const { machine, node } = cluster.member(1);
  machine.refuses = 9;
  await cluster.write('a');
  node.proposeConfChange({ steps: [{ kind: 'addVoter', replica: 9 as ReplicaId }], context: noContext });
  await cluster.until('the change was refused', () => machine.vetoed.length === 1);
  await cluster.write('b');
  assert.deepEqual(node.confState().voters, [1]);
  // Its own state survived, so the entry is not applied again: the log must know how it ended.
  const kept = new ListMachine();
  Object.assign(kept, { applied: machine.applied, lines: [...machine.lines] });
  const member = await cluster.start(1, { disk: cluster.kill(1, 'lost'), machine: kept });
  assert.deepEqual(member.node.confState().voters, [1]);
  await cluster.write('c');
  assert.deepEqual(member.machine.lines, ['a', 'b', 'c']);
  await cluster.stop();
});

test('a failed sync stops the member and nothing is acknowledged after it', async () => {
  const cluster = new Cluster();
  let isBroken = false;
  const disk = new SimDisk({
    random: seededRandom('broken'),
    onOperation: ({ kind }) => (isBroken && kind === 'dataSync' ? { kind: 'error', code: 'EIO' } : undefined),
  });
  const member = await cluster.start(1, { voters: [1 as ReplicaId], disk });
  await cluster.write('a');
  isBroken = true;
  member.node.propose(new TextEncoder().encode('b'));
  await settle();
  assert.equal((member.fatal as { code?: string } | undefined)?.code, 'WAL_SYNC_FAILED');
  await cluster.clock.advance(100);
  await assert.rejects(member.node.readIndex(), /stopped/);
  assert.deepEqual(member.machine.lines, ['a']);
  assert.equal(member.node.propose(new Uint8Array(1)).kind, 'dropped');
  await member.node.stop();
});

test('a full disk stops the member with a word of its own', async () => {
  const cluster = new Cluster();
  const disk = new SimDisk({ random: seededRandom('full'), capacityBytes: 2000 });
  const member = await cluster.start(1, { voters: [1 as ReplicaId], disk });
  await cluster.write('a');
  member.node.propose(new Uint8Array(3000));
  await settle();
  assert.equal((member.fatal as { code?: string } | undefined)?.code, 'NO_SPACE');
  await member.node.stop();
});

test('leadership moves when asked', async () => {
  const cluster = await Cluster.of(3);
  const leader = await cluster.elect();
  await cluster.write('a');
  const target = [...cluster.members.values()].find((member) => member !== leader)?.node.status().id as ReplicaId;
  leader.node.transferLeader(target);
  await cluster.until('the target leads', () => cluster.member(target).node.status().role === 'leader');
  await cluster.write('b');
  await cluster.agree();
  await cluster.stop();
});

test('crash after crash: what was applied anywhere stays in the same order everywhere', async () => {
  const random = seededRandom('storm');
  const cluster = await Cluster.of(3, { snapshotEntries: 15, catchUpEntries: 3, segmentBytes: 700 });
  let written = 0;
  for (let round = 0; round < 25; round++) {
    await cluster.write(...numbered(written + 1, written + 6));
    written += 6;
    const victim = random.integer(1, 3);
    const disk = cluster.kill(victim);
    if (random.next() < 0.5) {
      await cluster.write(`line-${written + 1}`);
      written += 1;
    }
    await cluster.start(victim, { disk });
  }
  await cluster.agree();
  const seen = [...new Set(cluster.member(1).machine.lines)];
  assert.deepEqual(seen, numbered(1, written));
  for (const { fatal } of cluster.members.values()) assert.equal(fatal, undefined);
  await cluster.stop();
});

test('callers that read again as soon as they are answered leave timers their turn', async () => {
  const cluster = await Cluster.of(1);
  await cluster.write('a');
  const { node } = await cluster.elect();
  let reads = 0;
  let isOver = false;
  const readOnAndOn = async () => {
    while (!isOver) {
      await node.readIndex();
      reads += 1;
    }
  };
  const readers = Array.from({ length: 4 }, readOnAndOn);
  // Were reads answered in microtasks alone, nothing else would ever run again and this would not return.
  await settle();
  assert.ok(reads > 0, 'reads are answered without a timer');
  const before = reads;
  await cluster.clock.advance(50);
  assert.ok(reads > before, 'reads go on when the timers had their turn');
  isOver = true;
  await cluster.clock.advance(50);
  await Promise.all(readers);
  await cluster.stop();
});
