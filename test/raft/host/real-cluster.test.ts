/** Three members on real disks, real time and real sockets with TLS. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLog } from '../../../src/env/log.ts';
import { realClock, realDisk, realRandom } from '../../../src/env/real.ts';
import type { ReplicaId } from '../../../src/raft/core/types.ts';
import type { RaftNode } from '../../../src/raft/host/contract.ts';
import { GrpcPeerTransport } from '../../../src/raft/host/grpc-transport.ts';
import { bootstrapRaftNode, raftDataExists, startRaftNode } from '../../../src/raft/host/start-raft-node.ts';
import { clusterId, ListMachine } from './harness.ts';
import { type TestAuthority, testAuthority } from './test-certificates.ts';

interface RealMember {
  node: RaftNode;
  machine: ListMachine;
  transport: GrpcPeerTransport;
}

const ids = [1, 2, 3] as ReplicaId[];
const urls = new Map<ReplicaId, readonly string[]>();

async function start(root: string, id: ReplicaId, authority: TestAuthority): Promise<RealMember> {
  const env = { clock: realClock, random: realRandom, disk: realDisk, log: silentLog };
  const tls = await authority.issue(`member-${id}`);
  const transport = new GrpcPeerTransport({ env, clusterId, selfId: id, tls });
  const known = urls.get(id)?.[0];
  const [bound] = await transport.listen(known ? new URL(known).host : '127.0.0.1:0');
  urls.set(id, [`https://${bound}`]);
  const machine = new ListMachine();
  const raft = {
    id,
    electionTicks: 10,
    heartbeatTicks: 1,
    preVote: true,
    checkQuorum: true,
    inflightMessagesMax: 64,
    messageBytesMax: 1 << 20,
    uncommittedBytesMax: 1 << 26,
  };
  const fatal = (error: Error) => assert.fail(error);
  const directory = join(root, `member-${id}`);
  const limits = { tickMs: 20, snapshotEntries: 500, catchUpEntries: 50, segmentBytes: 1 << 16 };
  const options = { env, raft, directory, ...limits, transport, stateMachine: machine, onFatal: fatal };
  const whole = { ...options, onSoftState: () => undefined };
  const confState = { voters: ids, votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
  const node = (await raftDataExists(realDisk, directory))
    ? await startRaftNode(whole, { clusterId })
    : await bootstrapRaftNode(whole, { clusterId, confState });
  return { node, machine, transport };
}

async function until<T>(what: string, find: () => T | undefined | false, limitMs = 15_000): Promise<T> {
  const end = performance.now() + limitMs;
  for (;;) {
    const found = find();
    if (found !== undefined && found !== false) return found;
    assert.ok(performance.now() < end, `waited until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('a cluster writes, loses its leader, goes on, and takes it back through a snapshot', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'keelson-raft-'));
  const authority = await testAuthority('real cluster');
  const members = new Map<ReplicaId, RealMember>();
  t.after(async () => {
    for (const { node } of members.values()) await node.stop();
    await rm(root, { recursive: true });
  });
  for (const id of ids) members.set(id, await start(root, id, authority));
  for (const { transport } of members.values()) transport.setPeers(urls);
  const leader = () => [...members.values()].find(({ node }) => node.status().role === 'leader');
  let written = 0;
  const write = async (count: number) => {
    const from = written;
    while (written < from + count) {
      const current = await until('there is a leader', leader);
      const result = current.node.propose(new TextEncoder().encode(`line-${written + 1}`));
      if (result.kind === 'accepted') written += 1;
      else await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const last = `line-${written}`;
    await until('all members have it', () =>
      [...members.values()].every(({ machine }) => machine.lines.at(-1) === last),
    );
  };
  await write(2000);
  const { node } = await until('there is a leader', leader);
  const gone = node.status().id;
  assert.ok(node.counters().walSyncs < 1500, `syncs are shared: ${node.counters().walSyncs} for 2000 entries`);
  const index = await node.readIndex();
  assert.ok(index >= 2000);
  await node.stop();
  members.delete(gone);
  await write(1500);
  const back = await start(root, gone, authority);
  members.set(gone, back);
  back.transport.setPeers(urls);
  await write(10);
  assert.ok(back.node.counters().snapshotsReceived >= 1, 'it came back through a snapshot');
  const expected = Array.from({ length: written }, (_, position) => `line-${position + 1}`);
  for (const { machine } of members.values()) assert.deepEqual(machine.lines, expected);
});
