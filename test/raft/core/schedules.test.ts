/**
 * Random schedules over whole clusters: messages are delivered in any order, doubled and lost; disks are slow; replicas
 * crash and forget what was not synced; proposals, reads, membership changes, transfers and compactions come at any
 * time. After every step the checks of raft-harness.ts run, which include everything figure 3 of the Raft paper
 * promises. At the end the network heals, and the cluster must agree and take a proposal.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toReplicaId } from '../../../src/raft/core/numbers.ts';
import type { ConfChangeStep } from '../../../src/raft/core/types.ts';
import { type HarnessReplica, RaftHarness } from '../../support/raft-harness.ts';

type Action = readonly [kind: string, first: number, second: number];

const kinds: readonly (readonly [string, number])[] = [
  ['deliver', 30],
  ['ready', 16],
  ['persist', 10],
  ['persistOne', 4],
  ['apply', 8],
  ['tick', 12],
  ['manyTicks', 2],
  ['propose', 6],
  ['drop', 4],
  ['again', 3],
  ['crash', 1],
  ['restart', 3],
  ['campaign', 1],
  ['read', 2],
  ['change', 2],
  ['transfer', 1],
  ['compact', 1],
  ['unreachable', 1],
  ['turn', 4],
  ['lose', 0],
];

/** Many elections and crashes, few entries: where votes, terms and commit rules go wrong. */
const stormWeights: ReadonlyMap<string, number> = new Map([
  ['campaign', 8],
  ['crash', 4],
  ['restart', 8],
  ['persistOne', 8],
  ['drop', 8],
  ['change', 0],
  ['compact', 0],
  ['tick', 4],
]);

/** Like a storm, and now and then a disk forgets the end of a log that others counted on. */
const lossWeights: ReadonlyMap<string, number> = new Map([
  ['campaign', 4],
  ['crash', 2],
  ['restart', 8],
  ['lose', 3],
  ['propose', 10],
  ['turn', 10],
  ['change', 0],
]);

function actionOf(weights: ReadonlyMap<string, number>): fc.Arbitrary<Action> {
  const weighted = kinds.map(([kind, weight]) => ({
    arbitrary: fc.constant(kind),
    weight: weights.get(kind) ?? weight,
  }));
  return fc.tuple(fc.oneof(...weighted), fc.nat(1_000_000), fc.nat(1_000_000));
}

/** A small generator (mulberry32): time-outs must not repeat in step, or rivals split the vote for ever. */
function randomOf(seed: number): (bound: number) => number {
  let state = seed | 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

class Schedule {
  readonly harness: RaftHarness;
  #contextLast = 0;
  #proposalLast = 0;
  /** What was committed by anybody when a read was asked for: the read index may not be below. */
  readonly #committedAtRead: Map<string, number> = new Map();

  constructor(voterCount: number, preVote: boolean, checkQuorum: boolean, seed: number) {
    const random = randomOf(seed);
    this.harness = RaftHarness.of(voterCount, {
      preVote,
      checkQuorum,
      random,
      inflightMessagesMax: 3,
      messageBytesMax: 80,
    });
  }

  run([kind, first, second]: Action): void {
    const all = [...this.harness.replicas.values()];
    const replica = all[first % all.length] as HarnessReplica;
    if (kind === 'turn') this.harness.turn();
    else if (kind === 'deliver' || kind === 'drop' || kind === 'again') this.#message(kind, first);
    else if (kind === 'restart') this.#restart(replica);
    else if (replica.isUp) this.#act(kind, replica, second);
    this.#checkReads();
  }

  #message(kind: string, choice: number): void {
    const { network } = this.harness;
    const at = choice % Math.max(network.length, 1);
    const message = network[at];
    if (message === undefined) return;
    if (kind !== 'again') network.splice(at, 1);
    // A forwarded proposal or a snapshot's stream is not doubled: the transport sees to that.
    if (kind === 'again' && (message.type === 'prop' || message.type === 'snap')) return;
    const isLostSnapshot = kind === 'drop' && message.type === 'snap' && this.harness.at(message.from).isUp;
    if (isLostSnapshot) this.harness.do(message.from, (core) => core.reportSnapshot(message.to, 'failed'));
    if (kind !== 'drop') this.harness.deliver(message);
  }

  #restart(replica: HarnessReplica): void {
    if (replica.isUp) return;
    this.harness.restart(replica.id);
  }

  #act(kind: string, { id }: HarnessReplica, choice: number): void {
    const { harness } = this;
    const members = [...harness.replicas.keys()];
    const other = toReplicaId(members[choice % members.length] ?? 1);
    switch (kind) {
      case 'ready':
        return void harness.ready(id);
      case 'persist':
        return void harness.persist(id);
      case 'persistOne':
        return void harness.persist(id, 1);
      case 'apply':
        return void harness.apply(id);
      case 'tick':
        return harness.tick(id, 1 + (choice % 3));
      case 'manyTicks':
        return harness.tick(id, 20);
      case 'propose':
        this.#proposalLast += 1;
        return void harness.propose(id, `p${this.#proposalLast}`);
      case 'crash':
        return harness.crash(id);
      case 'lose':
        return this.#lose(id, choice);
      case 'campaign':
        return harness.do(id, (core) => core.campaign());
      case 'read':
        return this.#read(id);
      case 'change':
        return this.#change(id, choice);
      case 'transfer':
        return harness.do(id, (core) => core.transferLeader(other));
      case 'compact':
        return this.#compact(id);
      case 'unreachable':
        return harness.do(id, (core) => core.reportUnreachable(other));
      default:
        assert.fail(`unknown action ${kind}`);
    }
  }

  #read(id: number): void {
    this.#contextLast += 1;
    this.#committedAtRead.set(`${id} ${this.#contextLast}`, this.#committedAnywhere());
    this.harness.do(id, (core) => core.readIndex(this.#contextLast));
  }

  /** One at a time: what two of three lose may be lost for good, and then nobody may lead. */
  #lose(id: number, choice: number): void {
    const others = [...this.harness.replicas.values()].filter((replica) => replica.id !== id);
    if (others.some(({ disk }) => disk.lostUpTo !== undefined)) return;
    const { disk } = this.harness.at(id);
    const from = disk.snapshot.index + 1 + (choice % (disk.entries.length + 1));
    this.harness.crashAndLose(id, from);
  }

  /** What has been acknowledged to a client: applied somewhere. */
  #committedAnywhere(): number {
    return Math.max(...[...this.harness.replicas.values()].map(({ core }) => core.status().applied));
  }

  #checkReads(): void {
    for (const { id, reads } of this.harness.replicas.values()) {
      for (const read of reads.splice(0)) {
        const floor = this.#committedAtRead.get(`${id} ${read.context}`);
        assert.ok(floor !== undefined, `${id} answers read ${read.context}, which it was not asked`);
        assert.ok(read.index >= floor, `read ${read.context} at ${read.index} misses what was applied: ${floor}`);
      }
    }
  }

  #change(id: number, choice: number): void {
    const stepKinds: readonly ConfChangeStep['kind'][] = ['addVoter', 'addLearner', 'remove'];
    const steps: ConfChangeStep[] = [];
    for (let at = 0; at <= choice % 2; at += 1) {
      const replica = toReplicaId(1 + ((choice >> (2 + at * 6)) % 6));
      const kind = stepKinds[(choice >> (5 + at * 6)) % 3] ?? 'remove';
      steps.push({ kind, replica });
      if (kind !== 'remove' && !this.harness.replicas.has(replica)) this.harness.add(replica);
    }
    this.harness.do(id, (core) => core.proposeConfChange({ steps, context: new Uint8Array(0) }));
  }

  #compact(id: number): void {
    const { applied, firstIndex } = this.harness.core(id).status();
    if (applied >= firstIndex) this.harness.compact(id, applied);
  }

  /** Everything heals; somebody must be elected, and a proposal must reach every member. */
  converge(): void {
    const { harness } = this;
    for (const replica of harness.replicas.values()) if (!replica.isUp) harness.restart(replica.id);
    for (let ticks = 0; ticks < 400; ticks += 1) {
      harness.tickAll();
      this.#checkReads();
      if (this.#hasConverged()) return;
    }
    const states = [...harness.replicas.values()].map(({ core }) => JSON.stringify(core.status()));
    assert.fail(`no agreement after 400 ticks: ${states.join('\n')}`);
  }

  #hasConverged(): boolean {
    const [leader, ...others] = this.harness.leaders();
    if (leader === undefined || others.length > 0) return false;
    const status = this.harness.core(leader).status();
    if (status.confState.votersOutgoing.length > 0 || status.committed < status.lastIndex) return false;
    return [...status.progress.keys()].every((id) => this.harness.core(id).status().applied === status.lastIndex);
  }
}

interface Setting {
  readonly voters: number;
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  readonly runs: number;
  readonly weights?: ReadonlyMap<string, number>;
}

/** RAFT_SCHEDULES and RAFT_SEED widen the search; RAFT_SHRINK looks for the shortest schedule that fails. */
function check({ voters, preVote, checkQuorum, runs: runsDefault, weights = new Map() }: Setting): void {
  const runs = Number(process.env['RAFT_SCHEDULES'] ?? runsDefault);
  const seed = process.env['RAFT_SEED'] === undefined ? 20_250 + voters : Number(process.env['RAFT_SEED']);
  fc.assert(
    fc.property(
      fc.array(actionOf(weights), { minLength: 50, maxLength: 2000, size: 'max' }),
      fc.nat(),
      (actions, seed) => {
        const schedule = new Schedule(voters, preVote, checkQuorum, seed);
        for (const step of actions) schedule.run(step);
        schedule.converge();
      },
    ),
    { numRuns: runs, seed, endOnFailure: process.env['RAFT_SHRINK'] === undefined },
  );
}

const both = { preVote: true, checkQuorum: true };

test('three voters keep every promise under any schedule, and agree afterwards', () =>
  check({ voters: 3, ...both, runs: 200 }));
test('five voters keep every promise under any schedule, and agree afterwards', () =>
  check({ voters: 5, ...both, runs: 100 }));
test('without pre-vote the promises are the same', () =>
  check({ voters: 3, preVote: false, checkQuorum: true, runs: 80 }));
test('without pre-vote and check-quorum the promises are the same', () =>
  check({ voters: 3, preVote: false, checkQuorum: false, runs: 80 }));
test('two voters keep every promise', () => check({ voters: 2, ...both, runs: 60 }));
test('one voter keeps every promise', () => check({ voters: 1, ...both, runs: 60 }));
test('in a storm of elections and crashes three voters keep every promise', () =>
  check({ voters: 3, preVote: false, checkQuorum: false, runs: 200, weights: stormWeights }));
test('in a storm of elections and crashes five voters keep every promise', () =>
  check({ voters: 5, preVote: false, checkQuorum: false, runs: 150, weights: stormWeights }));
test('three voters of which one at a time loses the end of its log keep every promise', () =>
  check({ voters: 3, ...both, runs: 150, weights: lossWeights }));
test('five voters of which one at a time loses the end of its log keep every promise', () =>
  check({ voters: 5, preVote: false, checkQuorum: false, runs: 100, weights: lossWeights }));
