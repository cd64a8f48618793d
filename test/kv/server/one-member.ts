/** Real members in this process for tests: real disk under a temporary directory, loopback ports chosen by the system. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { realClock, realDisk, realRandom } from '../../../src/env/real.ts';
import { silentLog } from '../../../src/env/log.ts';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';
import { type GrpcServer, startGrpcServer } from '../../../src/kv/rpc/grpc-server.ts';
import { createLeaderProxy } from '../../../src/kv/rpc/leader-proxy.ts';
import { createStoreMetrics } from '../../../src/kv/rpc/metrics.ts';
import { type MemberOptions, type RunningMember, startMember } from '../../../src/kv/server/member.ts';
import type { PeerTransport } from '../../../src/raft/index.ts';

const nobody: PeerTransport = {
  start() {},
  send() {},
  sendSnapshot: () => Promise.reject(new Error('there is no peer')),
  setPeers() {},
  async close() {},
};

export interface TestMember {
  readonly member: RunningMember;
  readonly grpc: GrpcServer;
  readonly endpoint: string;
  readonly registry: Registry;
  stop(): Promise<void>;
}

/** One member alone, serving clients on loopback. */
export async function startOneMember(overrides: Partial<MemberOptions> = {}): Promise<TestMember> {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-store-'));
  const registry = new Registry();
  const metrics = createStoreMetrics(registry, false);
  let grpc: GrpcServer | undefined;
  const fail = (error: Error) => {
    throw error;
  };
  const member = await startMember({
    env: { clock: realClock, random: realRandom, disk: realDisk, log: silentLog },
    directory,
    name: 'one',
    clientUrls: ['http://127.0.0.1:1'],
    peerUrls: ['http://127.0.0.1:2380'],
    initialCluster: [{ name: 'one', peerUrls: ['http://127.0.0.1:2380'] }],
    token: 'test',
    state: 'new',
    join: () => Promise.reject(new Error('nobody to join')),
    limits: { requestBytesMax: 1.5 * 1024 * 1024, txnOpsMax: 128, learnersMax: 1, quotaBytes: 0 },
    compaction: { mode: 'periodic', retentionMs: 0 },
    isStrictReconfiguration: true,
    tickMs: 10,
    electionTicks: 10,
    preVote: true,
    snapshotEntries: 10_000,
    catchUpEntries: 5_000,
    openBackend: async () => createMemoryBackend(),
    makeTransport: async () => nobody,
    proxy: createLeaderProxy(realClock, undefined),
    onServer: async (server) => {
      grpc = await startGrpcServer({
        face: { server, log: silentLog, counters: metrics.calls, onFatal: fail },
        listenUrls: ['http://127.0.0.1:0'],
        watchProgressEveryMs: 600_000,
        keepaliveIntervalMs: 7_200_000,
        keepaliveTimeoutMs: 20_000,
      });
    },
    onRemoved: () => undefined,
    onFatal: fail,
    ...overrides,
  });
  metrics.attach(member.server);
  await member.server.publish();
  if (!grpc) throw new Error('onServer was not called');
  const running = grpc;
  return {
    member,
    grpc: running,
    endpoint: running.urls[0] as string,
    registry,
    async stop() {
      await running.close();
      await member.stop();
      if (overrides.directory === undefined) await rm(directory, { recursive: true });
    },
  };
}
