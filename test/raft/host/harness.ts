/** Whole members in one process: simulated time, disks and network, and a state machine that is a list of texts. */
import assert from 'node:assert/strict';
import { SimDisk } from '../../../chaos/sim/disk.ts';
import { seededRandom } from '../../../chaos/sim/random.ts';
import { silentLog } from '../../../src/env/log.ts';
import type { ConfChange, ConfState, Entry, Index, Message } from '../../../src/raft/core/types.ts';
import type { ReplicaId, SnapshotMeta } from '../../../src/raft/core/types.ts';
import type {
  PeerTransport,
  RaftNode,
  RaftNodeOptions,
  StateMachine,
  TransportHandlers,
} from '../../../src/raft/host/contract.ts';
import { bootstrapRaftNode, raftDataExists, startRaftNode } from '../../../src/raft/host/start-raft-node.ts';
import { FakeClock } from '../../support/fake-clock.ts';

export const clusterId = '00000000000000cc';

export class ListMachine implements StateMachine {
  applied = 0 as Index;
  lines: string[] = [];
  confStates: ConfState[] = [];
  restores = 0;
  vetoed: number[] = [];
  /** Vetoes changes for this replica. */
  refuses = 0;
  /** What its own disk holds; everything unless a test says otherwise. */
  durable: Index | undefined;
  appliedIndex = (): Index => this.applied;
  durableIndex = (): Index => this.durable ?? this.applied;
  apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      assert.equal(entry.index, this.applied + 1);
      this.applied = entry.index;
      if (entry.data.length > 0) this.lines.push(new TextDecoder().decode(entry.data));
    }
  }
  applyConfChange(entry: Entry, change: ConfChange): boolean {
    this.applied = entry.index;
    const isTaken = !change.steps.some((step) => step.replica === this.refuses);
    if (!isTaken) this.vetoed.push(entry.index);
    return isTaken;
  }
  membershipChanged(confState: ConfState): void {
    this.confStates.push(confState);
  }
  snapshot(): AsyncIterable<Uint8Array> {
    const lines = [...this.lines];
    return (async function* () {
      for (const line of lines) yield new TextEncoder().encode(`${line}\n`);
    })();
  }
  async restore(meta: SnapshotMeta, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    this.lines = Buffer.concat(parts).toString().split('\n').slice(0, -1);
    this.applied = meta.index;
    this.restores += 1;
  }
}

export class Network {
  readonly clock: FakeClock;
  readonly handlers = new Map<ReplicaId, TransportHandlers>();
  readonly cut = new Set<ReplicaId>();
  snapshotsSent = 0;
  failSnapshots = 0;
  /** Streams break after so many bytes, each; what was read of the content of all streams. */
  breakAfterBytes = Number.POSITIVE_INFINITY;
  snapshotBytes: number[] = [];
  constructor(clock: FakeClock) {
    this.clock = clock;
  }
  isConnected(from: ReplicaId, to: ReplicaId): boolean {
    return !this.cut.has(from) && !this.cut.has(to);
  }
  /** The content from `from` on, as far as the line holds. */
  async *#rest(chunks: AsyncIterable<Uint8Array>, from: number): AsyncIterable<Uint8Array> {
    let position = 0;
    let sent = 0;
    this.snapshotBytes.push(0);
    for await (const chunk of chunks) {
      const part = chunk.subarray(Math.min(Math.max(from - position, 0), chunk.length));
      position += chunk.length;
      if (part.length === 0) continue;
      if (sent + part.length > this.breakAfterBytes) throw new Error('the line broke');
      sent += part.length;
      this.snapshotBytes[this.snapshotBytes.length - 1] = sent;
      yield part;
    }
  }

  transport(self: ReplicaId): PeerTransport {
    let isClosed = false;
    return {
      start: (handlers) => {
        this.handlers.set(self, handlers);
      },
      send: (messages: readonly Message[]) => {
        for (const message of messages) {
          assert.notEqual(message.type, 'snap', 'snapshots are streamed');
          this.clock.after(2, () => {
            if (!isClosed && this.isConnected(self, message.to)) this.handlers.get(message.to)?.message(message);
          });
        }
      },
      sendSnapshot: async (message, chunks) => {
        this.snapshotsSent += 1;
        if (this.failSnapshots-- > 0 || !this.isConnected(self, message.to)) throw new Error('the line is cut');
        const handlers = this.handlers.get(message.to);
        if (!handlers) throw new Error('nobody listens');
        await handlers.snapshot(message, this.#rest(chunks, handlers.snapshotStaged?.(message) ?? 0));
      },
      setPeers: () => undefined,
      close: async () => {
        isClosed = true;
        if (this.handlers.get(self)) this.handlers.delete(self);
      },
    };
  }
}

export interface Member {
  node: RaftNode;
  disk: SimDisk;
  machine: ListMachine;
  fatal: Error | undefined;
}

type Overrides = Partial<
  Pick<RaftNodeOptions, 'snapshotEntries' | 'snapshotLogBytes' | 'catchUpEntries' | 'segmentBytes'>
>;

export class Cluster {
  readonly clock = new FakeClock();
  readonly network = new Network(this.clock);
  readonly members = new Map<number, Member>();
  readonly #overrides: Overrides;

  constructor(overrides: Overrides = {}) {
    this.#overrides = overrides;
  }

  static async of(size: number, overrides: ConstructorParameters<typeof Cluster>[0] = {}): Promise<Cluster> {
    const cluster = new Cluster(overrides);
    const voters = Array.from({ length: size }, (_, position) => (position + 1) as ReplicaId);
    for (const id of voters) await cluster.start(id, { voters });
    return cluster;
  }

  /** Starts a member; from `disk` when it has data, else as a new one (joining when `voters` is absent). */
  async start(
    id: number,
    given: { voters?: readonly ReplicaId[]; disk?: SimDisk; machine?: ListMachine } = {},
  ): Promise<Member> {
    const disk = given.disk ?? new SimDisk({ random: seededRandom(`disk-${id}`) });
    const machine = given.machine ?? new ListMachine();
    const member: Partial<Member> = { disk, machine };
    const options = {
      env: { clock: this.clock, random: seededRandom(`random-${id}`), disk, log: silentLog },
      raft: {
        id: id as ReplicaId,
        electionTicks: 10,
        heartbeatTicks: 1,
        preVote: true,
        checkQuorum: true,
        inflightMessagesMax: 16,
        messageBytesMax: 4096,
        uncommittedBytesMax: 1 << 20,
      },
      directory: `/member-${id}`,
      tickMs: 10,
      snapshotEntries: 1000,
      catchUpEntries: 10,
      segmentBytes: 1 << 16,
      ...this.#overrides,
      transport: this.network.transport(id as ReplicaId),
      stateMachine: machine,
      onSoftState: () => undefined,
      onFatal: (error: Error) => {
        member.fatal = error;
      },
    };
    const confState = given.voters && {
      voters: given.voters,
      votersOutgoing: [],
      learners: [],
      learnersNext: [],
      autoLeave: false,
    };
    member.node = (await raftDataExists(disk, options.directory))
      ? await startRaftNode(options, { clusterId })
      : await bootstrapRaftNode(options, { clusterId, ...(confState ? { confState } : {}) });
    this.members.set(id, member as Member);
    return member as Member;
  }

  member(id: number): Member {
    return this.members.get(id) as Member;
  }

  /** The process is gone; its disk keeps what it may. */
  kill(id: number, policy: 'kept' | 'lost' | 'torn' | 'random' = 'random'): SimDisk {
    const { disk } = this.member(id);
    this.network.handlers.delete(id as ReplicaId);
    this.members.delete(id);
    return disk.crash(policy);
  }

  async until(what: string, isTrue: () => boolean, limitMs = 5000): Promise<void> {
    for (let waited = 0; waited < limitMs; waited += 5) {
      if (isTrue()) return;
      await this.clock.advance(5);
    }
    const states = [...this.members].map(([id, { node }]) => `${id}: ${JSON.stringify(node.status())}`);
    assert.fail(`waited ${limitMs} simulated ms until ${what}\n${states.join('\n')}`);
  }

  leader(): Member | undefined {
    const leaders = [...this.members.values()].filter(({ node }) => node.status().role === 'leader');
    return leaders.sort((a, b) => b.node.status().term - a.node.status().term)[0];
  }

  async elect(): Promise<Member> {
    await this.until('there is a leader', () => this.leader() !== undefined);
    return this.leader() as Member;
  }

  async write(...lines: string[]): Promise<void> {
    for (const line of lines) {
      let leader = await this.elect();
      while (leader.node.propose(new TextEncoder().encode(line)).kind !== 'accepted') {
        await this.clock.advance(5);
        leader = await this.elect();
      }
    }
    const last = lines[lines.length - 1] as string;
    await this.until(`${last} is applied somewhere`, () => this.leader()?.machine.lines.includes(last) === true);
  }

  async agree(): Promise<void> {
    await this.until('all members hold the same', () => {
      const lists = [...this.members.values()].map(({ machine }) => machine.lines.join());
      return lists.every((list) => list === lists[0]);
    });
  }

  async stop(): Promise<void> {
    for (const { node } of this.members.values()) await node.stop();
  }
}
