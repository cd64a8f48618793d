/** Starts the real member within a simulated process: src/kv/server and src/raft on what the simulation has in place of a machine. */
import { silentLog } from '../../src/env/log.ts';
import { createInlinePasswords } from '../../src/kv/auth/inline-passwords.ts';
import { SimpleTokens } from '../../src/kv/auth/simple-tokens.ts';
import { withWitnesses } from '../../src/kv/server/cluster-config.ts';
import { type JoinInfo, type MemberOptions, type RunningMember, startMember } from '../../src/kv/server/member.ts';
import type { StoreServer } from '../../src/kv/server/server.ts';
import type { ReplicaId } from '../../src/raft/index.ts';
import { createSimProxy } from './leader-proxy.ts';
import type { MemberStorage } from './member-storage.ts';
import { SimTransport } from './network.ts';
import type { WorldPlan } from './plan.ts';
import type { SeededRandom } from './random.ts';
import type { ProcessClock } from './scheduler.ts';
import type { SimMemberWorld } from './sim-member.ts';

/** How long a joining member waits for an answer. */
const joinLimitMs = 2_000;

type Hooks = Required<Pick<MemberOptions, 'onServer' | 'onCore' | 'onRemoved' | 'onFatal'>>;

export interface SimProcess extends Hooks {
  readonly name: string;
  readonly peerUrl: string;
  readonly isFounder: boolean;
  readonly isWitness: boolean;
  readonly clock: ProcessClock;
  readonly storage: MemberStorage;
  readonly random: SeededRandom;
  /** What it was known by so far. */
  readonly id: ReplicaId;
  readonly call: <T>(work: (server: StoreServer) => Promise<T>) => Promise<T>;
  readonly onIdentity: (id: ReplicaId) => void;
}

export function startSimMember(world: SimMemberWorld, self: SimProcess): Promise<RunningMember> {
  const { plan, network, invariants } = world;
  const { name, peerUrl, isFounder, isWitness, clock, storage, random, id, call, onIdentity, ...hooks } = self;
  const founders = Array.from({ length: plan.members }, (_, index) => `m${index + 1}`);
  const names = isFounder ? founders : [...founders, name];
  const authRandom = random.fork(`auth-${world.scheduler.events}`);
  // A process that is gone hears nothing: its clock is dead then.
  const run = (callback: () => void) => clock.run(callback);
  return startMember({
    ...hooks,
    env: { clock, random: random.fork(`member-${world.scheduler.events}`), disk: storage.disk, log: silentLog },
    directory: '/data',
    name,
    clientUrls: [`http://${name}:2379`],
    peerUrls: [peerUrl],
    initialCluster: withWitnesses(
      names.map((each) => ({ name: each, peerUrls: [`http://${each}:2380`] })),
      witnessPositions(plan).map((position) => `m${position + 1}`),
    ),
    isWitness,
    token: 'simulation',
    state: isFounder ? 'new' : 'existing',
    rejoin: true,
    join: () => world.ask(clock, joinLimitMs, toldBy),
    askToJoin: (_urls, request) =>
      world.ask(clock, joinLimitMs, async (server) => {
        const memberId = await server.memberJoin(request);
        return { ...(await toldBy(server)), memberId };
      }),
    limits: { requestBytesMax: 1_500_000, txnOpsMax: 128, learnersMax: 3, quotaBytes: 0 },
    compaction: { mode: 'revision', retentionRevisions: 0 },
    isStrictReconfiguration: true,
    tickMs: plan.tickMs,
    electionTicks: plan.electionTicks,
    preVote: true,
    raftLimits: { messageBytesMax: plan.messageBytesMax, inflightMessagesMax: plan.inflightMessagesMax },
    snapshotEntries: plan.snapshotEntries,
    syncEntries: plan.syncEntries,
    catchUpEntries: plan.catchUpEntries,
    openBackend: () => Promise.resolve(storage.backend),
    makeTransport: (identity) => {
      const memberId = identity.memberId as ReplicaId;
      onIdentity(memberId);
      invariants.forget(memberId);
      return Promise.resolve(new SimTransport(network, { id: memberId, key: identity.key }, run));
    },
    proxy: createSimProxy({ clock, network, self: { id, peerUrl, run, call }, members: world.members }),
    auth: {
      tokens: new SimpleTokens({ clock, random: authRandom, ttlMs: 300_000 }),
      passwords: createInlinePasswords(authRandom),
      isCommonNameUser: true,
    },
    leaseReads: plan.leaseReads,
    leaseCheckpointEveryMs: plan.leaseCheckpointEveryMs,
  });
}

export function witnessPositions({ members, witnesses }: WorldPlan): readonly number[] {
  return Array.from({ length: witnesses }, (_, at) => members - witnesses + at);
}

/** What a member is told of the cluster it joins. */
async function toldBy(server: StoreServer): Promise<JoinInfo> {
  return { clusterId: server.clusterId, members: await server.members(true) };
}
