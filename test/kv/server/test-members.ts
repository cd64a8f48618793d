/** Real members in this process for tests: real disk under a temporary directory, loopback ports chosen by the system. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../../../src/env/log.ts';
import { realClock, realDisk, realRandom } from '../../../src/env/real.ts';
import { createInlinePasswords } from '../../../src/kv/auth/inline-passwords.ts';
import { SimpleTokens } from '../../../src/kv/auth/simple-tokens.ts';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';
import { leaderFace, leaderService } from '../../../src/kv/rpc/leader-face.ts';
import { createLeaderProxy } from '../../../src/kv/rpc/leader-proxy.ts';
import { createStoreMetrics } from '../../../src/kv/rpc/metrics.ts';
import { StoreRegistry } from '../../../src/kv/rpc/store-registry.ts';
import { peerFace, peerService } from '../../../src/kv/rpc/peer-face.ts';
import { askMembers, askToJoin, tellMove } from '../../../src/kv/rpc/peer-questions.ts';
import { concurrentStreamsDefault, type RpcServer } from '../../../src/rpc/rpc-server.ts';
import { serveStore } from '../../../src/kv/rpc/serve-store.ts';
import type { KvServer } from '../../../src/kv/server/contract.ts';
import { type MemberOptions, type RunningMember, startMember } from '../../../src/kv/server/member.ts';
import { GrpcPeerTransport } from '../../../src/raft/host/grpc-transport.ts';
import type { ReplicaId } from '../../../src/raft/index.ts';
import { freePorts } from '../../support/free-ports.ts';

export interface TestMember {
  readonly member: RunningMember;
  readonly server: KvServer;
  readonly endpoint: string;
  readonly registry: StoreRegistry;
  stop(): Promise<void>;
}

/** Faster than etcd's 100 ms and 1 s, slow enough for a busy machine. */
const tickMs = 20;
const electionTicks = 15;

export async function startTestMember(overrides: Partial<MemberOptions>): Promise<TestMember> {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-store-'));
  const registry = new StoreRegistry();
  const metrics = createStoreMetrics(registry, () => realClock.monotonicMs());
  const env = { clock: realClock, random: realRandom, disk: realDisk, log: silentLog };
  let rpc: RpcServer | undefined;
  let server: KvServer | undefined;
  const fail = (error: Error) => {
    throw error;
  };
  const [clientPort] = (await freePorts(1)) as [number];
  const endpoint = `http://127.0.0.1:${clientPort}`;
  const member = await startMember({
    env,
    directory,
    name: 'm1',
    clientUrls: [endpoint],
    peerUrls: [],
    initialCluster: [],
    token: 'test',
    state: 'new',
    join: (urls) => askMembers(realClock, urls, undefined),
    askToJoin: (urls, join) => askToJoin({ clock: realClock, tls: undefined }, urls, join),
    tellMove: (urls, move) => tellMove({ clock: realClock, tls: undefined }, urls, move),
    limits: { requestBytesMax: 1.5 * 1024 * 1024, txnOpsMax: 128, learnersMax: 1, quotaBytes: 0 },
    compaction: { mode: 'periodic', retentionMs: 0 },
    isStrictReconfiguration: true,
    // Connections need not have lasted before a test changes the membership.
    healthyAfterMs: 0,
    tickMs,
    electionTicks,
    preVote: true,
    snapshotEntries: 10_000,
    catchUpEntries: 5_000,
    openBackend: async () => createMemoryBackend(),
    makeTransport: async ({ clusterId, memberId, key }) => {
      const transport = new GrpcPeerTransport({
        env,
        clusterId: clusterId.toString(16).padStart(16, '0'),
        selfId: memberId as ReplicaId,
        key,
        traffic: metrics.traffic,
        listenAddresses: (overrides.peerUrls ?? []).map((url) => new URL(url).host),
        services: [
          [peerService, peerFace(() => server)],
          [leaderService, leaderFace(() => server)],
        ],
      });
      await transport.listen();
      return transport;
    },
    proxy: createLeaderProxy(realClock, () => undefined),
    auth: {
      tokens: new SimpleTokens({ clock: realClock, random: realRandom, ttlMs: 300_000 }),
      passwords: createInlinePasswords(realRandom),
      isCommonNameUser: false,
    },
    onServer: async (made) => {
      server = made;
      rpc = await serveStore(made, {
        log: silentLog,
        counters: metrics.calls,
        onFatal: fail,
        watchProgressEveryMs: 600_000,
        rpc: {
          listenUrls: [endpoint],
          concurrentStreamsMax: concurrentStreamsDefault,
          keepaliveIntervalMs: 7_200_000,
          keepaliveTimeoutMs: 20_000,
        },
      });
    },
    onRemoved: () => undefined,
    onFatal: fail,
    ...overrides,
  });
  metrics.attach(member.server);
  return {
    member,
    server: member.server,
    endpoint,
    registry,
    async stop() {
      await rpc?.close();
      await member.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** `count` members that have found a leader and published themselves. */
export async function startTestMembers(
  count: number,
  overrides: Partial<MemberOptions> = {},
): Promise<readonly TestMember[]> {
  const ports = await freePorts(count);
  const initialCluster = ports.map((port, index) => ({
    name: `m${index + 1}`,
    peerUrls: [`http://127.0.0.1:${port}`],
  }));
  const members = await Promise.all(
    initialCluster.map(({ name, peerUrls }) => startTestMember({ name, peerUrls, initialCluster, ...overrides })),
  );
  await Promise.all(members.map(({ member }) => member.server.publish()));
  return members;
}

/** A member that joins the cluster of `others`, where it has been added with `peerUrl`. */
export async function joinTestMember(
  others: readonly TestMember[],
  name: string,
  peerUrl: string,
  overrides: Partial<MemberOptions> = {},
): Promise<TestMember> {
  const known = await (others[0] as TestMember).server.members(false);
  const initialCluster = known
    .filter((member) => member.name !== '')
    .map((member) => ({ name: member.name, peerUrls: member.peerUrls }));
  const joining = await startTestMember({
    name,
    peerUrls: [peerUrl],
    initialCluster: [...initialCluster, { name, peerUrls: [peerUrl] }],
    state: 'existing',
    ...overrides,
  });
  await joining.member.server.publish();
  return joining;
}

/** The member that leads, once there is one that all agree on. */
export async function leaderOf(members: readonly TestMember[]): Promise<TestMember> {
  const lateAtMs = performance.now() + 10_000;
  for (;;) {
    const leaders = new Set(members.map(({ server }) => server.position().leader));
    const [leader] = leaders;
    const found = members.find(({ server }) => server.memberId === leader);
    if (leaders.size === 1 && found) return found;
    if (performance.now() > lateAtMs) throw new Error('the members agree on a leader within ten seconds');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
