/** Traps around voters that keep no state. In clusters of three, 3 is the witness; in those of five, 4 and 5 are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvariantViolation } from '../../../src/env/assert.ts';
import { toIndex, toReplicaId } from '../../../src/raft/core/numbers.ts';
import type { Index, Message, Term } from '../../../src/raft/core/types.ts';
import { describeConf, RaftHarness } from '../../support/raft-harness.ts';
import { addLearner, addVoter, addWitness, change, cutOff, remove, step } from '../../support/raft-steps.ts';

const electionTicks = 10;

function randomOf(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % bound;
  };
}

/** 1 leads; an entry is committed by 1 and the witness alone, and then 1 is lost. */
function onlyTheWitnessHolds(text: string): RaftHarness {
  const harness = RaftHarness.withWitnesses(3, 1);
  harness.elect(1);
  cutOff(harness, 2);
  assert.ok(harness.propose(1, text) !== undefined);
  harness.stabilize();
  assert.equal(harness.core(1).status().committed, 2);
  harness.crash(1);
  harness.isCut = () => false;
  return harness;
}

test('the witness that holds the only copy of a committed entry leads, brings the other voter up and hands over', () => {
  const harness = onlyTheWitnessHolds('paid');
  let hasWitnessLed = false;
  for (let at = 0; at < 6 * electionTicks && !harness.leaders().includes(2); at += 1) {
    for (const id of [2, 3]) harness.tick(id);
    for (let turn = 0; turn < 50 && harness.turn(); turn += 1) hasWitnessLed ||= harness.leaders().includes(3);
  }
  assert.ok(hasWitnessLed, 'only the witness could win');
  assert.deepEqual(harness.leaders(), [2]);
  assert.ok(harness.at(2).state.some((line) => line.includes('paid')));
  assert.ok(harness.propose(2, 'more') !== undefined);
  harness.stabilize();
  assert.ok(harness.at(2).state.some((line) => line.includes('more')));
});

test('without pre-vote a voter whose log is too short does not keep the witness from campaigning for ever', () => {
  const harness = RaftHarness.withWitnesses(3, 1, { preVote: false, random: randomOf(1) });
  harness.elect(1);
  cutOff(harness, 2);
  harness.propose(1, 'paid');
  harness.stabilize();
  harness.crash(1);
  harness.isCut = () => false;
  harness.tickAll(12 * electionTicks);
  assert.deepEqual(harness.leaders(), [2]);
  assert.ok(harness.at(2).state.some((line) => line.includes('paid')));
});

test('a full voter that can win goes first', () => {
  for (const random of [(bound: number) => bound - 1, () => 0]) {
    const harness = RaftHarness.withWitnesses(3, 1, { random });
    harness.elect(1);
    harness.crash(1);
    for (let at = 0; at < 3 * electionTicks && harness.leaders().length === 0; at += 1) {
      for (const id of [3, 2]) harness.tick(id);
      harness.stabilize();
    }
    assert.deepEqual(harness.leaders(), [2]);
    assert.equal(harness.core(2).status().term, 2, 'the witness did not campaign');
  }
});

test('a witness that leads takes no proposal, and nobody sends it one', () => {
  const harness = onlyTheWitnessHolds('paid');
  // 2 forgets the leader that is gone.
  harness.tick(2, electionTicks);
  harness.do(3, (core) => core.campaign());
  const answers: string[] = [];
  for (let turn = 0; turn < 50 && !harness.leaders().includes(2); turn += 1) {
    harness.turn();
    if (!harness.leaders().includes(3)) continue;
    const own = harness.do(3, (core) => core.propose(new Uint8Array(1)));
    answers.push(own.kind === 'dropped' ? own.reason : own.kind);
    if (harness.core(2).status().leader !== 3) continue;
    const forwarded = harness.do(2, (core) => core.propose(new Uint8Array(1)));
    answers.push(forwarded.kind === 'dropped' ? forwarded.reason : forwarded.kind);
  }
  assert.deepEqual([...new Set(answers)].sort(), ['noLeader', 'transferring']);
  const data = harness
    .core(3)
    .inspectLog()
    .entries.filter((entry) => entry.data.byteLength > 0);
  assert.equal(data.length, 1, 'nothing but the entry of before');
});

test('a witness keeps its log until every full voter holds it, over a restart as well', () => {
  const harness = onlyTheWitnessHolds('paid');
  harness.restart(1);
  cutOff(harness, 2);
  harness.elect(1);
  assert.equal(harness.core(3).compactionPoint()?.index, 1, 'what both full voters hold may go');
  harness.do(3, (core) => core.trimLog(core.status().applied, { entries: 0, bytes: 0 }));
  assert.equal(harness.core(3).status().firstIndex, 2);
  const meta = harness.core(3).status();
  const snapshot = { index: meta.applied, term: meta.term, confState: meta.confState };
  assert.throws(() => harness.core(3).compactLog(snapshot, meta.applied), InvariantViolation);
  harness.crash(3);
  harness.restart(3);
  assert.equal(harness.core(3).compactionPoint(), undefined, 'a leader has to say it again');
  harness.isCut = () => false;
  harness.tickAll(2);
  assert.equal(harness.core(3).compactionPoint()?.index, harness.core(3).status().applied);
});

test('a witness drops what a full voter lacks when it is too many bytes, and that voter waits for a full one', () => {
  const harness = RaftHarness.withWitnesses(3, 1, { witnessLogBytesMax: 200 });
  harness.elect(1);
  cutOff(harness, 2);
  for (let at = 0; at < 20; at += 1) harness.propose(1, `entry ${at}`);
  harness.stabilize();
  const point = harness.core(3).compactionPoint()?.index ?? 0;
  assert.ok(point > 10 && point < harness.core(3).status().applied);
  harness.compact(3, point);
  harness.crash(1);
  harness.isCut = () => false;
  const sent: Message[] = [];
  for (let at = 0; at < 8 * electionTicks; at += 1) {
    for (const id of [2, 3]) harness.tick(id);
    do sent.push(...harness.network);
    while (harness.turn());
  }
  assert.ok(harness.core(2).status().applied < point, 'nobody has state for it');
  assert.deepEqual(
    sent.filter((message) => message.type === 'snap' && message.from === 3),
    [],
  );
  harness.restart(1);
  harness.tickAll(6 * electionTicks);
  assert.deepEqual(harness.at(2).state, harness.at(1).state);
  assert.notDeepEqual(harness.leaders(), [3]);
});

test('a witness far behind gets index, term and membership, and never waits for a snapshot', () => {
  const harness = RaftHarness.withWitnesses(3, 1);
  harness.elect(1);
  cutOff(harness, 3);
  for (let at = 0; at < 5; at += 1) harness.propose(1, `entry ${at}`);
  harness.stabilize();
  harness.do(1, (core) => core.trimLog(core.status().applied, { entries: 0, bytes: 0 }));
  assert.equal(harness.core(1).inspectLog().entries.length, 0);
  harness.isCut = () => false;
  harness.tickAll(3);
  assert.equal(harness.core(3).status().committed, harness.core(1).status().committed);
  assert.deepEqual(
    harness.at(3).state.filter((line) => line.includes('entry')),
    [],
  );
  assert.equal(harness.core(1).status().firstIndex, harness.core(3).status().firstIndex);
});

test('a snapshot from a witness is state for nobody: who keeps state stops rather than take it', () => {
  const harness = RaftHarness.withWitnesses(3, 1);
  const { confState } = harness.core(1).status();
  const snapshot = { index: toIndex(9), term: 1, confState };
  const fields = { from: toReplicaId(3), to: toReplicaId(1), term: 1, snapshot };
  assert.throws(() => step(harness, 'snap', fields), InvariantViolation);
});

test('a witness that comes to a running cluster counts at once, and after its removal nobody waits for it', () => {
  const harness = RaftHarness.of(2);
  harness.elect(1);
  harness.propose(1, 'before');
  harness.stabilize();
  assert.equal(change(harness, 1, addWitness(3)), 'accepted');
  harness.stabilize();
  harness.add(3);
  harness.tickAll(5);
  assert.equal(describeConf(harness.core(3).status().confState), 'voters(1 2 3) witnesses(3)');
  cutOff(harness, 2);
  harness.propose(1, 'with the witness');
  harness.stabilize();
  assert.ok(harness.at(1).state.some((line) => line.includes('with the witness')));
  harness.isCut = () => false;
  harness.tickAll(2);
  assert.equal(change(harness, 1, remove(3)), 'accepted');
  harness.stabilize();
  assert.equal(describeConf(harness.core(1).status().confState), 'voters(1 2)');
  harness.crash(3);
  harness.propose(1, 'without it');
  harness.stabilize();
  assert.ok(harness.at(2).state.some((line) => line.includes('without it')));
});

test('nobody becomes a witness or stops being one, and full voters are never outnumbered', () => {
  const harness = RaftHarness.withWitnesses(3, 1);
  harness.elect(1);
  assert.equal(change(harness, 1, addVoter(3)), 'invalidChange');
  assert.equal(change(harness, 1, addLearner(3)), 'invalidChange');
  assert.equal(change(harness, 1, addWitness(2)), 'invalidChange');
  assert.equal(change(harness, 1, addWitness(4)), 'accepted');
  harness.stabilize();
  harness.add(4);
  harness.tickAll(3);
  assert.equal(change(harness, 1, addWitness(5)), 'invalidChange', 'more witnesses than full voters');
  assert.equal(change(harness, 1, remove(2)), 'invalidChange', 'one full voter and two witnesses');
  assert.equal(change(harness, 1, addWitness(3)), 'accepted', 'an address may change');
});

test('a witness that is removed together with another change is one in the outgoing half until that is left', () => {
  const harness = RaftHarness.withWitnesses(5, 2);
  harness.elect(1);
  assert.equal(change(harness, 1, remove(5), remove(4)), 'accepted');
  harness.stabilize();
  harness.tickAll(2);
  assert.equal(describeConf(harness.core(1).status().confState), 'voters(1 2 3)');
});

test('leadership is not moved to a witness by hand', () => {
  const harness = RaftHarness.withWitnesses(3, 1);
  harness.elect(1);
  harness.do(1, (core) => core.transferLeader(toReplicaId(3)));
  assert.equal(harness.core(1).status().transferee, 0);
});

test('whatever order messages, crashes and elections come in, what was committed stays, and a full voter leads in the end', () => {
  for (let seed = 1; seed <= 150; seed += 1) {
    const random = randomOf(seed);
    const size = seed % 2 === 0 ? 3 : 5;
    const witnesses = size === 3 ? 1 : 2;
    const harness = RaftHarness.withWitnesses(size, witnesses, { random, witnessLogBytesMax: 400 });
    const owed: Map<number, { readonly meta: { readonly index: Index; readonly term: Term }; readonly upTo: Index }> =
      new Map();
    const ids = Array.from({ length: size }, (_, at) => at + 1);
    for (let event = 0; event < 300; event += 1) {
      const id = ids[random(size)] as number;
      const replica = harness.at(id);
      const kind = random(12);
      if (!replica.isUp) {
        if (kind < 4) harness.restart(id);
      } else if (kind === 0 && ids.filter((other) => harness.at(other).isUp).length > size / 2 + 1) {
        harness.crash(id);
        owed.delete(id);
      } else if (kind === 1) harness.propose(id, `${seed} ${event}`);
      else if (kind === 2 && replica.toApply.length === 0) {
        // A snapshot takes time to write: what may be put aside is decided at its beginning, whatever comes in between.
        const begun = owed.get(id);
        const point = harness.core(id).compactionPoint();
        owed.delete(id);
        if (begun !== undefined && begun.upTo > harness.core(id).inspectLog().base.index) {
          harness.do(id, (core) => core.compactLog({ ...begun.meta, confState: core.status().confState }, begun.upTo));
        } else if (point !== undefined && id > size - witnesses) owed.set(id, { meta: point, upTo: point.index });
        else if (point !== undefined) harness.compact(id, point.index);
      } else if (kind === 3) harness.network = harness.network.filter(() => random(4) > 0);
      else if (kind < 8) harness.tick(id, 1 + random(4));
      else harness.turn();
    }
    for (const id of ids) if (!harness.at(id).isUp) harness.restart(id);
    harness.network = [];
    harness.tickAll(10 * electionTicks);
    const [leader = 0, ...others] = harness.leaders();
    assert.deepEqual(others, [], `seed ${seed}`);
    assert.ok(leader > 0 && leader <= size - (size === 3 ? 1 : 2), `seed ${seed}: ${leader} leads`);
    assert.ok(harness.propose(leader, 'last') !== undefined, `seed ${seed}`);
    harness.stabilize();
    harness.tickAll(4);
    for (const id of ids.slice(0, size === 3 ? 2 : 3)) {
      assert.ok(harness.at(id).state.at(-1)?.includes('last'), `seed ${seed}: ${id} has everything`);
    }
  }
});
