/**
 * A cluster of Raft cores in memory, driven step by step: messages lie in a queue until they are delivered, records lie
 * before the disk until they are persisted, committed entries wait until they are applied. After every step of a core
 * its checkState and checkTransition run, and whatever must hold between replicas (raft-cluster-checker.ts).
 */
import { assert, present } from '../../src/env/assert.ts';
import type { CoreView } from '../../src/raft/core/check-state.ts';
import { checkTransition } from '../../src/raft/core/check-state.ts';
import { decodeConfChange } from '../../src/raft/core/conf-change-codec.ts';
import { emptyConfState } from '../../src/raft/core/conf-change.ts';
import { nobody, toIndex, toReplicaId } from '../../src/raft/core/numbers.ts';
import { Raft } from '../../src/raft/core/raft.ts';
import type {
  Entry,
  Index,
  Message,
  Persist,
  RaftConfig,
  ReadState,
  Ready,
  ReplicaId,
  SnapshotMeta,
} from '../../src/raft/core/types.ts';
import { ClusterChecker } from './raft-cluster-checker.ts';
import { describeConf, describeEntry } from './raft-describe.ts';
import { confStateOf, confStateWith, emptyDisk, loseFromDisk, type SimulatedDisk, writeToDisk } from './raft-disk.ts';

export { describeConf, describeEntry } from './raft-describe.ts';
export { confStateOf, emptyDisk } from './raft-disk.ts';

export type HarnessConfig = Partial<Omit<RaftConfig, 'id'>>;

/** One replica: the core, its disk, and what waits for the disk. */
export class HarnessReplica {
  readonly id: ReplicaId;
  readonly disk: SimulatedDisk;
  core: Raft;
  isUp = true;
  /** A slow disk persists only on demand. */
  isSlowDisk = false;
  /** Vetoes every membership change, as a state machine may. */
  isVetoing = false;
  records: Persist[] = [];
  sealed: { token: number; messages: readonly Message[] }[] = [];
  durableToken = 0;
  toApply: (Entry | SnapshotMeta)[] = [];
  /** The state machine: one line per applied entry. */
  state: string[] = [];
  reads: ReadState[] = [];
  droppedReads: number[] = [];

  constructor(id: ReplicaId, disk: SimulatedDisk, core: Raft) {
    this.id = id;
    this.disk = disk;
    this.core = core;
  }
}

const configDefault = {
  electionTicks: 10,
  heartbeatTicks: 1,
  preVote: true,
  checkQuorum: true,
  inflightMessagesMax: 16,
  messageBytesMax: 1024,
  uncommittedBytesMax: 64 * 1024,
};

export class RaftHarness {
  readonly replicas: Map<number, HarnessReplica> = new Map();
  readonly checker = new ClusterChecker();
  readonly #snapshots: Map<number, readonly string[]> = new Map();
  readonly #config: HarnessConfig;
  /** Sent and not yet delivered, oldest first. */
  network: Message[] = [];
  /** True when a message on this way is lost. */
  isCut: (from: number, to: number) => boolean = () => false;

  constructor(config: HarnessConfig = {}) {
    this.#config = config;
  }

  /** A cluster of voters, all bootstrapped with the same membership. */
  static of(voterCount: number, config: HarnessConfig = {}): RaftHarness {
    const harness = new RaftHarness(config);
    const voters = Array.from({ length: voterCount }, (_, at) => at + 1);
    for (const id of voters) harness.add(id, emptyDisk(confStateOf(voters)));
    return harness;
  }

  /** As `of`; the last `witnessCount` voters are witnesses. */
  static withWitnesses(voterCount: number, witnessCount: number, config: HarnessConfig = {}): RaftHarness {
    const harness = new RaftHarness(config);
    const voters = Array.from({ length: voterCount }, (_, at) => at + 1);
    const conf = confStateWith(voters, voters.slice(voterCount - witnessCount));
    for (const id of voters) harness.add(id, emptyDisk(conf));
    return harness;
  }

  /** Adds a replica that starts from `disk`; without one, a member that joins and knows nothing. */
  add(id: number, disk: SimulatedDisk = emptyDisk(emptyConfState)): HarnessReplica {
    assert(!this.replicas.has(id), 'a replica is added once');
    const replica = new HarnessReplica(toReplicaId(id), disk, this.#start(id, disk));
    this.replicas.set(id, replica);
    return replica;
  }

  #start(id: number, { hardState, snapshot, entries, lostUpTo, lostTerm }: SimulatedDisk): Raft {
    // Each replica waits one tick longer than the one before, so that stories need no luck.
    const config = {
      ...configDefault,
      random: (bound: number) => (id - 1) % bound,
      ...this.#config,
      id: toReplicaId(id),
    };
    const loss = lostUpTo === undefined ? {} : { lostUpTo, ...(lostTerm !== undefined && { lostTerm }) };
    return new Raft(config, { hardState, snapshot, entries: [...entries], applied: snapshot.index, ...loss });
  }

  at(id: number): HarnessReplica {
    return present(this.replicas.get(id), `replica ${id}`);
  }

  core(id: number): Raft {
    return this.at(id).core;
  }

  /** Runs one step of one core with every check around it. The only way cores are touched. */
  do<T>(id: number, action: (core: Raft) => T): T {
    const { core } = this.at(id);
    assert(this.at(id).isUp, () => `replica ${id} is down`);
    const before: CoreView = core.view();
    const result = action(core);
    core.checkState();
    checkTransition(before, core.view());
    this.checker.observe(core);
    return result;
  }

  /** Takes a Ready: messages go to the network, the rest to where it waits. */
  ready(id: number): Ready {
    const replica = this.at(id);
    const ready = this.do(id, (core) => core.takeReady());
    this.network.push(...ready.messages);
    if (ready.persist !== undefined) replica.records.push(ready.persist);
    if (ready.persist?.snapshot !== undefined) replica.toApply.push(ready.persist.snapshot);
    replica.toApply.push(...ready.committed);
    replica.reads.push(...ready.readStates);
    replica.droppedReads.push(...ready.droppedReads);
    const sealed = ready.messagesAfterPersist;
    if (sealed !== undefined) replica.sealed.push({ token: sealed.token, messages: sealed.sealedMessages });
    this.#openSeals(replica);
    if (ready.snapshotWanted === true) this.compact(id, this.core(id).inspectLog().base.index);
    return ready;
  }

  /** The oldest `count` records reach the disk. */
  persist(id: number, count = Number.POSITIVE_INFINITY): Persist[] {
    const replica = this.at(id);
    const done = replica.records.splice(0, count);
    for (const record of done) {
      writeToDisk(replica.disk, record);
      replica.durableToken = record.token;
      this.do(id, (core) => core.persisted(record.token));
    }
    this.#openSeals(replica);
    return done;
  }

  #openSeals(replica: HarnessReplica): void {
    while (replica.sealed[0] !== undefined && replica.sealed[0].token <= replica.durableToken) {
      this.network.push(...(replica.sealed.shift()?.messages ?? []));
    }
  }

  /** Applies what was handed out; a snapshot waits until it is durable. */
  apply(id: number): string[] {
    const replica = this.at(id);
    const lines: string[] = [];
    while (replica.toApply[0] !== undefined) {
      const next = replica.toApply[0];
      if (!('kind' in next) && replica.disk.snapshot.index < next.index) break;
      replica.toApply.shift();
      lines.push('kind' in next ? this.#applyEntry(replica, next) : this.#applySnapshot(replica, next));
      this.do(id, (core) => core.applied(next.index));
    }
    return lines;
  }

  #applyEntry(replica: HarnessReplica, entry: Entry): string {
    const line = describeEntry(entry);
    replica.state.push(line);
    this.checker.applied(replica.id, entry);
    if (entry.kind === 'normal') return line;
    const change = replica.isVetoing ? undefined : decodeConfChange(entry.data);
    const conf = this.do(replica.id, (core) => core.applyConfChange(change));
    return `${line} => ${describeConf(conf)}`;
  }

  #applySnapshot(replica: HarnessReplica, meta: SnapshotMeta): string {
    const isWitness = meta.confState.witnesses?.includes(replica.id) === true;
    replica.state = isWitness ? [] : [...present(this.#snapshots.get(meta.index), 'content of a snapshot')];
    return `snapshot ${meta.index}/${meta.term}`;
  }

  /** Takes a snapshot at what is applied, and forgets entries up to `upTo`. */
  compact(id: number, upTo: number): SnapshotMeta {
    const replica = this.at(id);
    const { log, meta } = this.#snapshotOf(replica);
    const isWitness = meta.confState.witnesses?.includes(replica.id) === true;
    if (!isWitness) this.#snapshots.set(meta.index, [...replica.state]);
    this.do(id, (core) => core.compactLog(meta, toIndex(upTo)));
    assert(log.base.index <= this.core(id).inspectLog().base.index, 'compaction goes forward');
    // On disk the log begins after the snapshot, as a WAL that was trimmed; records in flight still land behind it.
    const { disk } = replica;
    if (meta.index > disk.snapshot.index) {
      disk.entries = disk.entries.filter((entry) => entry.index > meta.index);
      disk.snapshot = meta;
    }
    return meta;
  }

  #snapshotOf({ core }: HarnessReplica) {
    const { applied: last, confState } = core.status();
    const applied = core.compactionPoint()?.index ?? last;
    const log = core.inspectLog();
    const term =
      applied === log.base.index ? log.base.term : present(log.entries[applied - log.base.index - 1], 'entry').term;
    return { log, meta: { index: applied, term, confState } };
  }

  /** Hands one message to its receiver. A snapshot's sender learns how its stream ended. */
  deliver(message: Message): void {
    const receiver = this.replicas.get(message.to);
    const isLost = receiver === undefined || !receiver.isUp || this.isCut(message.from, message.to);
    if (!isLost) this.do(message.to, (core) => core.step(message));
    if (message.type === 'snap' && this.replicas.get(message.from)?.isUp === true) {
      this.do(message.from, (core) => core.reportSnapshot(message.to, isLost ? 'failed' : 'delivered'));
    }
  }

  /** Everybody does everything until nothing is left to do. */
  stabilize(): void {
    for (let round = 0; round < 1000; round += 1) {
      if (!this.turn()) return;
    }
    assert(false, 'the cluster does not come to rest');
  }

  /** One round of stabilize(). False when there was nothing to do. */
  turn(): boolean {
    let didSomething = false;
    for (const replica of this.replicas.values()) {
      if (!replica.isUp) continue;
      while (replica.core.hasReady()) {
        this.ready(replica.id);
        didSomething = true;
      }
      if (!replica.isSlowDisk && replica.records.length > 0) didSomething = this.persist(replica.id).length > 0;
      if (this.apply(replica.id).length > 0) didSomething = true;
    }
    const messages = this.network.splice(0);
    for (const message of messages) this.deliver(message);
    return didSomething || messages.length > 0;
  }

  tick(id: number, count = 1): void {
    for (let at = 0; at < count; at += 1) this.do(id, (core) => core.tick());
  }

  tickAll(count = 1): void {
    for (let at = 0; at < count; at += 1) {
      for (const { id, isUp } of this.replicas.values()) if (isUp) this.tick(id);
      this.stabilize();
    }
  }

  /** Power loss: what was not persisted is gone. */
  crash(id: number): void {
    const replica = this.at(id);
    replica.isUp = false;
    replica.records = [];
    replica.sealed = [];
    replica.toApply = [];
    replica.durableToken = 0;
  }

  /** Power loss, and damage on disk: entries from `from` on are lost, although they were durable. */
  crashAndLose(id: number, from: number): void {
    this.crash(id);
    loseFromDisk(this.at(id).disk, from);
  }

  restart(id: number): void {
    const replica = this.at(id);
    assert(!replica.isUp, 'only what is down is started');
    replica.isUp = true;
    replica.state = [...(this.#snapshots.get(replica.disk.snapshot.index) ?? [])];
    replica.core = this.#start(id, replica.disk);
    this.checker.restarted(replica.core);
  }

  /** Elects `id`, whatever the others think, and lets everything settle. */
  elect(id: number): void {
    // Stickiness protects a live leader, so the others must have missed it for an election time-out.
    for (const replica of this.replicas.values()) {
      if (replica.isUp && replica.id !== id && replica.core.status().role !== 'leader') {
        this.tick(replica.id, replica.core.status().leader === nobody ? 0 : configDefault.electionTicks);
      }
    }
    this.network = [];
    this.do(id, (core) => core.campaign());
    this.stabilize();
    assert(this.core(id).status().role === 'leader', () => `${id} was to lead, but is ${this.core(id).status().role}`);
  }

  propose(id: number, text: string): Index | undefined {
    const result = this.do(id, (core) => core.propose(new TextEncoder().encode(text)));
    return result.kind === 'accepted' ? result.index : undefined;
  }

  leaders(): number[] {
    return [...this.replicas.values()]
      .filter(({ isUp, core }) => isUp && core.status().role === 'leader')
      .map(({ id }) => id);
  }
}
