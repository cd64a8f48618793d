/**
 * One member of the simulated cluster: the whole of src/kv/server and src/raft on a simulated disk, backend, clock and
 * network. It can crash, with what it had not synced lost, and start again; it can be paused.
 */
import { InvariantViolation } from '../../src/env/assert.ts';
import type { Clock } from '../../src/env/clock.ts';
import { KeelsonError } from '../../src/env/errors.ts';
import type { Raft } from '../../src/raft/core/raft.ts';
import { checkTransition } from '../../src/raft/core/check-state.ts';
import type { ReplicaId } from '../../src/raft/index.ts';
import { abandonIdentity } from '../../src/kv/server/data-directory.ts';
import type { RunningMember } from '../../src/kv/server/member.ts';
import type { StoreServer } from '../../src/kv/server/server.ts';
import type { RaftInvariants } from '../check/raft-invariants.ts';
import { Violation } from '../check/violation.ts';
import type { SimDiskOperationKind } from './disk.ts';
import { MemberStorage } from './member-storage.ts';
import type { SimNetwork } from './network.ts';
import type { WorldPlan } from './plan.ts';
import type { SeededRandom } from './random.ts';
import { ProcessClock, type Scheduler } from './scheduler.ts';
import { startSimMember, witnessPositions } from './start-sim-member.ts';

/** Nobody answered a member that asked to be told or taken in: it stops, and its supervisor starts it again. */
export class NobodyAnswered extends Error {
  override readonly name = 'NobodyAnswered';
}

export interface SimMemberWorld {
  readonly plan: WorldPlan;
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly invariants: RaftInvariants;
  /** Longest time a disk operation takes now. */
  readonly diskDelayMaxMs: () => number;
  /** Asks members that are up, one after another, until one answers. Rejects with NobodyAnswered when nobody does in time. */
  readonly ask: <T>(clock: Clock, limitMs: number, question: (server: StoreServer) => Promise<T>) => Promise<T>;
  /** Everybody, this one too. */
  readonly members: () => readonly SimMember[];
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
  /** A disk operation failed: that it stops is right. */
  isDiskBroken: boolean;
  /** It has no data yet, and may not find anybody who takes it in. */
  isJoining: boolean;
  /** It was asked to end. */
  isStopping: boolean;
}

const lossCodes = ['WAL_VOTE_LOST', 'WAL_ENTRIES_LOST', 'WAL_CORRUPT', 'STATE_AHEAD_OF_LOG', 'WAL_MISSING'];
/** A supervisor kills a process that has not ended by then. */
const stopLimitMs = 3_000;
export class SimMember {
  readonly position: number;
  readonly name: string;
  readonly #world: SimMemberWorld;
  readonly #random: SeededRandom;
  readonly #isFounder: boolean;
  /** It votes and keeps no data, so no client may ask it for any. */
  readonly isWitness: boolean;
  readonly #storage: MemberStorage;
  #life: Incarnation | undefined;
  #memberId = 0 as ReplicaId;
  #isAdmitted: boolean;
  #isGone = false;
  /** The identity is given up before the next start. */
  #isToAbandon = false;
  /** How long it is down after it stopped by itself. */
  #downMs = 0;
  /** What between it and its clients gets lost. */
  clientsLose: 'requests' | 'answers' | undefined;
  /** Called when the process is gone, so that its clients stop waiting. */
  onCrash: () => void = () => undefined;

  constructor(world: SimMemberWorld, position: number, random: SeededRandom) {
    this.#world = world;
    this.position = position;
    this.name = `m${position + 1}`;
    this.#random = random;
    this.#isFounder = position < world.plan.members;
    this.isWitness = witnessPositions(world.plan).includes(position);
    this.#isAdmitted = this.#isFounder;
    this.#storage = new MemberStorage(random, world.scheduler);
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
  get peerUrl(): string {
    return `http://${this.name}:2380`;
  }
  /** False for a spare that nobody has added. */
  get isAdmitted(): boolean {
    return this.#isAdmitted;
  }
  /** It was removed and knows it. */
  get isGone(): boolean {
    return this.#isGone;
  }
  isUp(): boolean {
    return this.#life !== undefined;
  }
  isLeader(): boolean {
    return this.#life?.core?.view().role === 'leader';
  }

  /** Runs `callback` as this process would: never when it is down, later when it is paused. */
  run(callback: () => void): void {
    this.#life?.clock.run(callback);
  }

  /** Asks it something; never settles when it is down or ends before it came to look at it. */
  call<T>(work: (server: StoreServer) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const { server } = this;
      if (server !== undefined) this.run(() => void work(server).then(resolve, reject));
    });
  }

  start(): void {
    if (this.#life !== undefined || !this.#isAdmitted || this.#isGone) return;
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
      isDiskBroken: false,
      isJoining: !this.#isFounder || this.#isToAbandon,
      isStopping: false,
    };
    this.#life = life;
    this.#storage.begin({
      clock,
      delayMaxMs: this.#world.diskDelayMaxMs,
      isOver: () => life.isOver,
      onBroken: () => {
        life.isDiskBroken = true;
      },
      // The operation itself is still under way.
      onStopped: () => this.#world.scheduler.afterMs(0, () => this.#startLater(life)),
    });
    this.#run(life).catch((error: unknown) => {
      if (life.isOver) return;
      if (life.isDiskBroken || life.isJoining || error instanceof NobodyAnswered) return this.#startLater(life);
      if (isLossOfIdentity(error)) return this.#comeBackAsNew(life);
      if (error instanceof KeelsonError && error.code === 'STATE_TO_REBUILD') return this.#comeBackWithoutState(life);
      this.#world.fail(new Violation('a member starts again after a crash', `${this.name}: ${describeError(error)}`));
    });
  }

  async #run(life: Incarnation): Promise<void> {
    if (this.#isToAbandon) await abandonIdentity(this.#storage.disk, '/data');
    this.#isToAbandon = false;
    const self = { name: this.name, peerUrl: this.peerUrl, isFounder: this.#isFounder, isWitness: this.isWitness };
    life.running = await startSimMember(this.#world, {
      ...self,
      clock: life.clock,
      storage: this.#storage,
      random: this.#random,
      id: this.#memberId,
      call: (work) => this.call(work),
      onIdentity: (id) => {
        this.#memberId = id;
      },
      onServer: (server) => {
        life.server = server;
        return Promise.resolve();
      },
      onCore: (core) => {
        life.core = core as Raft;
      },
      onRemoved: (because) => {
        if (life.isOver) return;
        if (because === 'otherKey') return this.#comeBackAsNew(life);
        this.#isGone = true;
        this.crash();
      },
      onFatal: (error) => {
        if (life.isOver) return;
        if (life.isDiskBroken) return this.#startLater(life);
        this.#world.fail(
          error instanceof InvariantViolation
            ? new Violation('no assertion breaks', `${this.name}: ${error.stack ?? error.message}`)
            : new Violation('a member does not stop by itself', `${this.name}: ${error.message}`),
        );
      },
    });
    life.isJoining = false;
    // Its name and key; asked to stop before, it need not.
    life.running.server.publish().catch(() => undefined);
  }

  /** A spare was added to the cluster. */
  admit(): void {
    if (this.#isAdmitted) return;
    this.#isAdmitted = true;
    this.start();
  }

  /** Asked to end: it hands on what it leads and closes what it has; a process that does not come to it is killed. */
  stop(downMs: number): void {
    const life = this.#life;
    if (life?.running === undefined || life.isStopping) return;
    life.isStopping = true;
    this.#downMs = downMs;
    const end = () => this.#startLater(life);
    const fail = (error: unknown) => {
      if (life.isOver || life.isDiskBroken) return end();
      this.#world.fail(new Violation('a member ends when it is asked to', `${this.name}: ${describeError(error)}`));
    };
    life.clock.run(() => {
      life.running?.stop().then(end, fail);
    });
    this.#world.scheduler.afterMs(stopLimitMs, end);
  }

  /** In the middle of a disk operation. */
  crashInDisk(kind: SimDiskOperationKind, after: number, downMs: number): void {
    this.#storage.stopIn(kind, after);
    this.#downMs = downMs;
  }

  setDiskFull(isFull: boolean): void {
    this.#storage.setFull(isFull);
  }

  /** It stands still. */
  get isPaused(): boolean {
    return this.#life?.clock.isPaused === true;
  }

  /** Of the process that runs now. Absent while there is none. */
  get clock(): ProcessClock | undefined {
    return this.#life?.clock;
  }

  /** What a client asks: as `call`, unless it cannot be reached, or its answers cannot. */
  ask<T>(work: (server: StoreServer) => Promise<T>): Promise<T> {
    if (this.clientsLose === 'requests') return new Promise(() => undefined);
    const answer = this.call(work);
    const isHeard = () => this.clientsLose !== 'answers';
    return new Promise((resolve, reject) => {
      answer.then(
        (value) => isHeard() && resolve(value),
        (error: unknown) => isHeard() && reject(error),
      );
    });
  }

  /** The next operation on the disk fails with `code`. */
  failDisk(code: string, downMs: number): void {
    if (this.#life === undefined) return;
    this.#storage.failNext(code);
    this.#downMs = downMs;
  }

  /** Gone, and its disk with it; the next start begins with nothing. */
  wipe(): void {
    this.crash();
    this.#storage.wipe();
  }

  /** Gone, and some bytes of its log are others when it starts again. */
  rot(bytes: number): void {
    this.crash();
    this.#storage.rot(bytes);
  }

  /** The supervisor starts it again after a while. */
  #startLater(life: Incarnation): void {
    if (life.isOver) return;
    this.crash();
    this.#world.scheduler.afterMs(Math.max(this.#downMs, 10), () => this.start());
  }

  /** The next start sets the state aside and builds it from the log. */
  #comeBackWithoutState(life: Incarnation): void {
    this.#startLater(life);
    this.#storage.dropState();
  }

  #comeBackAsNew(life: Incarnation): void {
    this.#isToAbandon = true;
    this.#startLater(life);
    this.#storage.dropState();
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
    this.#storage.crash();
    this.#world.network.detachAll(this.#memberId);
    this.#world.network.ended(this.#memberId);
    this.onCrash();
  }

  /** Gone, and nobody starts it again. */
  endForGood(): void {
    this.#isGone = true;
    this.crash();
  }

  pause(pauseMs: number): void {
    const clock = this.#life?.clock;
    if (clock === undefined) return;
    clock.pause();
    this.#world.scheduler.afterMs(pauseMs, () => clock.resume());
  }

  transferLeadershipTo(id: ReplicaId): void {
    if (id !== 0) this.#life?.running?.raft.transferLeader(id);
  }
}

function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** The log has lost what only a new identity makes good. */
function isLossOfIdentity(error: unknown): boolean {
  return error instanceof KeelsonError && lossCodes.includes(error.code);
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

/** For whoever reads a verdict or a trace. */
export function describeMember(member: SimMember): string {
  const view = member.core?.view();
  if (view === undefined) return 'down';
  return `${view.role} term ${view.term} commit ${view.committed}/${view.lastIndex} applied ${view.applied}`;
}
