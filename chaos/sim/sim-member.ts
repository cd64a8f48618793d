/**
 * One member of the simulated cluster: the whole of src/kv/server and src/raft on a simulated disk, backend, clock and
 * network. It can crash, with what it had not synced lost, and start again; it can be paused.
 */
import { InvariantViolation } from '../../src/env/assert.ts';
import { silentLog } from '../../src/env/log.ts';
import type { Raft } from '../../src/raft/core/raft.ts';
import { checkTransition } from '../../src/raft/core/check-state.ts';
import type { ReplicaId } from '../../src/raft/index.ts';
import { createInlinePasswords } from '../../src/kv/auth/inline-passwords.ts';
import { SimpleTokens } from '../../src/kv/auth/simple-tokens.ts';
import { type RunningMember, startMember } from '../../src/kv/server/member.ts';
import type { StoreServer } from '../../src/kv/server/server.ts';
import type { RaftInvariants } from '../check/raft-invariants.ts';
import { Violation } from '../check/violation.ts';
import { SimBackend } from './backend.ts';
import { SimDisk } from './disk.ts';
import { type SimNetwork, SimTransport } from './network.ts';
import type { WorldPlan } from './plan.ts';
import type { SeededRandom } from './random.ts';
import { ProcessClock, type Scheduler } from './scheduler.ts';

export interface SimMemberWorld {
  readonly plan: WorldPlan;
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly invariants: RaftInvariants;
  /** Longest time a disk operation takes now. */
  readonly diskDelayMaxMs: () => number;
  /** Ends the world. */
  readonly fail: (error: Error) => void;
}

/** One life of the process. */
interface Incarnation {
  readonly clock: ProcessClock;
  core: Raft | undefined;
  view: ReturnType<Raft['view']> | undefined;
  server: StoreServer | undefined;
  running: RunningMember | undefined;
  isOver: boolean;
}

export class SimMember {
  readonly position: number;
  readonly name: string;
  readonly #world: SimMemberWorld;
  readonly #random: SeededRandom;
  #disk: SimDisk;
  #backend = new SimBackend();
  #life: Incarnation | undefined;
  #memberId = 0 as ReplicaId;
  /** Called when the process is gone, so that its clients stop waiting. */
  onCrash: () => void = () => undefined;

  constructor(world: SimMemberWorld, position: number, random: SeededRandom) {
    this.#world = world;
    this.position = position;
    this.name = `m${position + 1}`;
    this.#random = random;
    this.#disk = new SimDisk({ random: random.fork('disk') });
  }

  get id(): ReplicaId {
    return this.#memberId;
  }
  /** Absent while the member is down or starting. */
  get server(): StoreServer | undefined {
    return this.#life?.running === undefined ? undefined : this.#life.server;
  }
  get core(): Raft | undefined {
    return this.#life?.core;
  }
  isUp(): boolean {
    return this.#life !== undefined;
  }
  isLeader(): boolean {
    return this.#life?.core?.view().role === 'leader';
  }

  start(): void {
    if (this.#life !== undefined) return;
    const { plan, scheduler } = this.#world;
    const clock = new ProcessClock(scheduler, {
      rate: plan.clockRates[this.position] ?? 1,
      wallOffsetMs: this.position * 1_000,
    });
    const life: Incarnation = {
      clock,
      core: undefined,
      view: undefined,
      server: undefined,
      running: undefined,
      isOver: false,
    };
    this.#life = life;
    const delays = this.#random.fork(`disk-delay-${scheduler.events}`);
    this.#disk = this.#disk.crash('kept', {
      clock,
      latencyMs: () => delays.next() * this.#world.diskDelayMaxMs(),
      random: this.#random.fork(`disk-${scheduler.events}`),
    });
    this.#run(life).catch((error: unknown) => {
      if (!life.isOver)
        this.#world.fail(
          new Violation(
            'a member starts again after a crash',
            `${this.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
          ),
        );
    });
  }

  async #run(life: Incarnation): Promise<void> {
    const { plan, network, invariants } = this.#world;
    const names = Array.from({ length: plan.members }, (_, index) => `m${index + 1}`);
    const authRandom = this.#random.fork(`auth-${this.#world.scheduler.events}`);
    life.running = await startMember({
      env: {
        clock: life.clock,
        random: this.#random.fork(`member-${this.#world.scheduler.events}`),
        disk: this.#disk,
        log: silentLog,
      },
      directory: '/data',
      name: this.name,
      clientUrls: [`http://${this.name}:2379`],
      peerUrls: [`http://${this.name}:2380`],
      initialCluster: names.map((name) => ({ name, peerUrls: [`http://${name}:2380`] })),
      token: 'simulation',
      state: 'new',
      join: () => Promise.reject(new Error('nobody joins in this world')),
      limits: { requestBytesMax: 1_500_000, txnOpsMax: 128, learnersMax: 1, quotaBytes: 0 },
      compaction: { mode: 'revision', retentionRevisions: 0 },
      isStrictReconfiguration: true,
      tickMs: plan.tickMs,
      electionTicks: plan.electionTicks,
      preVote: true,
      raftLimits: { messageBytesMax: plan.messageBytesMax, inflightMessagesMax: plan.inflightMessagesMax },
      snapshotEntries: plan.snapshotEntries,
      catchUpEntries: plan.catchUpEntries,
      openBackend: () => Promise.resolve(this.#backend),
      makeTransport: (identity) => {
        this.#memberId = identity.memberId as ReplicaId;
        invariants.forget(this.#memberId);
        return Promise.resolve(new SimTransport(network, this.#memberId, (callback) => life.clock.run(callback)));
      },
      proxy: {
        keepAlive: () => Promise.reject(new Error('leases are not part of this world')),
        timeToLive: () => Promise.reject(new Error('leases are not part of this world')),
        promote: () => Promise.reject(new Error('learners are not part of this world')),
        close: () => undefined,
      },
      auth: {
        tokens: new SimpleTokens({ clock: life.clock, random: authRandom, ttlMs: 300_000 }),
        passwords: createInlinePasswords(authRandom),
        isCommonNameUser: false,
      },
      onServer: (server) => {
        life.server = server;
        return Promise.resolve();
      },
      onCore: (core) => {
        life.core = core as Raft;
      },
      onRemoved: () => undefined,
      onFatal: (error) => {
        if (!life.isOver)
          this.#world.fail(
            error instanceof InvariantViolation
              ? new Violation('no assertion breaks', `${this.name}: ${error.stack ?? error.message}`)
              : new Violation('a member does not stop by itself', `${this.name}: ${error.message}`),
          );
      },
    });
  }

  /** After every event: what this replica holds, against its own past and against everybody. */
  check(): void {
    const life = this.#life;
    if (life?.core === undefined) return;
    const view = life.core.view();
    if (life.view !== undefined && sameMoment(life.view, view)) return;
    if (life.view !== undefined) checkTransition(life.view, view);
    life.view = view;
    this.#world.invariants.check(life.core, view);
  }

  crash(): void {
    const life = this.#life;
    if (life === undefined) return;
    life.isOver = true;
    life.clock.kill();
    this.#life = undefined;
    const random = this.#random.fork(`crash-${this.#world.scheduler.events}`);
    this.#disk = this.#disk.crash('random', { random });
    this.#backend = this.#backend.crash(random);
    this.#world.network.detachAll(this.#memberId);
    this.onCrash();
  }

  pause(pauseMs: number): void {
    const clock = this.#life?.clock;
    if (clock === undefined) return;
    clock.pause();
    this.#world.scheduler.afterMs(pauseMs, () => clock.resume());
  }

  transferLeadershipTo(id: ReplicaId): void {
    this.#life?.running?.raft.transferLeader(id);
  }
}

/** Whether nothing that is checked has changed. */
function sameMoment(a: ReturnType<Raft['view']>, b: ReturnType<Raft['view']>): boolean {
  return (
    a.term === b.term &&
    a.role === b.role &&
    a.vote === b.vote &&
    a.committed === b.committed &&
    a.lastIndex === b.lastIndex &&
    a.durable === b.durable &&
    a.applied === b.applied &&
    a.truncations === b.truncations &&
    a.baseIndex === b.baseIndex &&
    a.snapshotIndex === b.snapshotIndex &&
    a.handed === b.handed
  );
}
