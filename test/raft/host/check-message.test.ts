/** What no honest member can have said is refused before the core sees it, and no lie that is let through breaks an assertion. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../../chaos/sim/random.ts';
import type { Random } from '../../../src/env/random.ts';
import type { Log, LogFields } from '../../../src/env/log.ts';
import { decodeConfChange, encodeConfChange } from '../../../src/raft/core/conf-change-codec.ts';
import { Raft } from '../../../src/raft/core/raft.ts';
import type { ConfState, Entry, Index, Message, ReplicaId, Standing, Term } from '../../../src/raft/core/types.ts';
import { faultOf } from '../../../src/raft/host/check-message.ts';
import { RefusedMessages } from '../../../src/raft/host/refused-messages.ts';

const [self, peer, third] = [1, 2, 3] as [ReplicaId, ReplicaId, ReplicaId];
const follower: Standing = {
  term: 5 as Term,
  role: 'follower',
  leader: peer,
  committed: 8 as Index,
  lastIndex: 10 as Index,
  hasLost: false,
  readRoundLast: 0,
};
const leader: Standing = { ...follower, role: 'leader', leader: self, readRoundLast: 4 };
const alone: Standing = { ...follower, leader: 0 as ReplicaId };
const voters = (...ids: number[]): ConfState => ({
  voters: ids as ReplicaId[],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
});

/** A message of term 5 from member 2; tests say what is odd about it. */
function said(type: Message['type'], fields: object = {}): Message {
  return { type, from: peer, to: self, term: 5, ...fields } as unknown as Message;
}
const entry = (index: number, term = 5, kind = 'normal', data = new Uint8Array(1)) => ({ index, term, kind, data });
const app = (entries: readonly object[], fields: object = {}) =>
  said('app', { prevIndex: 10, prevTerm: 5, entries, commit: 8, ...fields });
const snap = (fields: object) =>
  said('snap', { term: 6, snapshot: { index: 20, term: 6, confState: voters(1, 2, 3), ...fields } });

test('what an honest member says passes', () => {
  for (const [message, own] of [
    [app([]), follower],
    [app([entry(11), entry(12)]), follower],
    [app([entry(1, 1)], { prevIndex: 0, prevTerm: 0 }), follower],
    [app([], { from: third, term: 6 }), leader],
    [app([], { from: third }), alone],
    [said('heartbeat', { commit: 10, readContext: 3 }), follower],
    [said('heartbeat', { commit: 99, readContext: 3 }), { ...follower, hasLost: true }],
    [said('appResp', { index: 10, reject: false, hintIndex: 0, hintTerm: 0 }), leader],
    [said('appResp', { index: 99, reject: true, hintIndex: 0, hintTerm: 0 }), leader],
    [said('heartbeatResp', { readContext: 4 }), leader],
    [said('vote', { term: 6, lastIndex: 99, lastTerm: 5, isTransfer: false }), follower],
    [said('vote', { term: 2 ** 52, lastIndex: 99, lastTerm: 5, isTransfer: false }), follower],
    [said('preVoteResp', { term: 0, reject: true }), { ...alone, term: 0 as Term }],
    [snap({}), follower],
    [said('timeoutNow'), follower],
    [said('timeoutNow'), alone],
    [said('prop', { entries: [{ kind: 'normal', data: new Uint8Array(3) }] }), leader],
    [said('readIndex', { context: 9 }), leader],
    [said('transferLeader', { transferee: 3 }), leader],
    // The core only answers that it is of an earlier term.
    [app([entry(99)], { term: 4, from: third }), follower],
  ] as const) {
    assert.equal(faultOf(message, own), undefined, JSON.stringify(message));
  }
});

const noise = new Uint8Array(40).fill(0xa5);
for (const [what, message, own] of [
  [
    'a term from which no election could go on',
    said('vote', { term: 2 ** 53 - 1, lastIndex: 9, lastTerm: 5 }),
    follower,
  ],
  ['a message of no term', said('heartbeat', { term: 0, commit: 0, readContext: 0 }), { ...alone, term: 0 as Term }],
  ['an append of a second leader', app([], { from: third }), follower],
  ['an append to the leader of the term', app([]), leader],
  ['entries that leave one out', app([entry(11), entry(13)]), follower],
  ['entries that do not begin after the one before', app([entry(12)]), follower],
  ['entries whose terms go back', app([entry(11, 5), entry(12, 4)]), follower],
  ['entries of a later term than their leader', app([entry(11, 6)]), follower],
  ['an entry before the first', app([], { prevIndex: 0, prevTerm: 1 }), follower],
  ['a membership change of noise', app([entry(11, 5, 'confChange', noise)]), follower],
  ['a commit index beyond the log', said('heartbeat', { commit: 11, readContext: 0 }), follower],
  [
    'a commit index beyond the log in a later term',
    said('heartbeat', { term: 9, commit: 2 ** 52, readContext: 0 }),
    follower,
  ],
  ['a snapshot of nothing', snap({ index: 0 }), follower],
  ['a snapshot at the end of all numbers', snap({ index: 2 ** 53 - 1 }), follower],
  ['a snapshot of a later term', snap({ term: 7 }), follower],
  ['a snapshot without voters', snap({ confState: voters() }), follower],
  ['a snapshot with nobody as a voter', snap({ confState: voters(0, 1) }), follower],
  ['a snapshot with a voter twice', snap({ confState: voters(1, 1) }), follower],
  ['a snapshot with a voter that learns', snap({ confState: { ...voters(1), learners: [1] } }), follower],
  ['an acknowledgement of what is not there', said('appResp', { index: 11, reject: false }), leader],
  ['an answer to a round never opened', said('heartbeatResp', { readContext: 5 }), leader],
  ['a log of the term that is voted on', said('preVote', { term: 6, lastIndex: 1, lastTerm: 6 }), follower],
  ['leadership from who does not lead', said('timeoutNow', { from: third }), follower],
  ['leadership from a later term', said('timeoutNow', { term: 6 }), follower],
  ['a proposal of nothing', said('prop', { entries: [] }), leader],
  ['a proposed change of noise', said('prop', { entries: [{ kind: 'confChange', data: noise }] }), leader],
  [
    'a proposal that fits no message',
    said('prop', { entries: [{ kind: 'normal', data: new Uint8Array(2 ** 25) }] }),
    leader,
  ],
  ['a read without a name', said('readIndex', { context: 0 }), leader],
  ['leadership for nobody', said('transferLeader', { transferee: 0 }), leader],
] as const) {
  test(`refused: ${what}`, () => {
    assert.equal(typeof faultOf(message, own), 'string');
  });
}

test('a proposal that the state machine could not apply is refused; it would stop every member', () => {
  const proposal = said('prop', { entries: [{ kind: 'normal', data: noise }] });
  assert.equal(typeof faultOf(proposal, leader, () => false), 'string');
  assert.equal(
    faultOf(proposal, leader, () => true),
    undefined,
  );
});

test('a flood of lies is counted, and told once a minute for each peer and reason', () => {
  let nowMs = 0;
  const lines: LogFields[] = [];
  const warn = (_message: string, fields: LogFields = {}) => void lines.push(fields);
  const log: Log = { debug: warn, info: warn, warn, error: warn, with: () => log };
  const refused = new RefusedMessages({ monotonicMs: () => nowMs }, log);
  for (let count = 0; count < 1_000; count++) refused.add(said('timeoutNow'), 'one reason');
  refused.add(said('timeoutNow'), 'another');
  refused.add(said('timeoutNow', { from: third }), 'one reason');
  assert.deepEqual([refused.count, lines.length], [1_002, 3]);
  nowMs = 60_000;
  refused.add(said('timeoutNow'), 'one reason');
  assert.deepEqual([lines.length, lines.at(-1)?.['repeated']], [4, 999]);
  for (let id = 10; id < 5_000; id++) refused.add(said('timeoutNow', { from: id }), 'made up');
  assert.equal(lines.length, 4 + 4_990);
});

/** A replica whose host does all it owes, and what has to stay true after each message. */
class Target {
  readonly raft: Raft;

  constructor(random: Random) {
    this.raft = new Raft(
      {
        id: self,
        electionTicks: 10,
        heartbeatTicks: 1,
        preVote: true,
        checkQuorum: true,
        inflightMessagesMax: 4,
        messageBytesMax: 1000,
        uncommittedBytesMax: 100_000,
        random: (bound) => random.integer(0, bound - 1),
      },
      {
        hardState: { term: 0 as Term, vote: 0 as ReplicaId, commit: 0 as Index },
        snapshot: { index: 0 as Index, term: 0 as Term, confState: voters(1, 2, 3) },
        entries: [],
        applied: 0 as Index,
      },
    );
  }

  step(message: Message): boolean {
    if (faultOf(message, this.raft.standing()) !== undefined) return false;
    this.raft.step(message);
    this.carryOut();
    return true;
  }

  carryOut(): void {
    while (this.raft.hasReady()) {
      const { persist, committed } = this.raft.takeReady();
      if (persist) this.raft.persisted(persist.token);
      if (persist?.snapshot) this.raft.applied(persist.snapshot.index);
      for (const entry of committed) this.#apply(entry);
    }
    this.raft.checkState();
  }

  #apply(applied: Entry): void {
    if (applied.kind === 'confChange') {
      const change = decodeConfChange(applied.data);
      const isJoint = this.raft.status().confState.votersOutgoing.length > 0;
      // As a state machine that knows none of these members; but who is in a joint membership leaves it.
      this.raft.applyConfChange(isJoint && change.steps.length === 0 ? change : undefined);
    }
    this.raft.applied(applied.index);
  }
}

const types = [
  'app',
  'app',
  'app',
  'appResp',
  'heartbeat',
  'heartbeatResp',
  'vote',
  'preVote',
  'voteResp',
  'preVoteResp',
  'snap',
  'timeoutNow',
  'prop',
  'readIndex',
  'readIndexResp',
  'transferLeader',
] satisfies Message['type'][];
const far = [0, 2 ** 31, 2 ** 52, 2 ** 52 + 1, 2 ** 53 - 2, 2 ** 53 - 1];

/** Every field near what is true, or far from it. */
function lie(random: Random, { term, lastIndex, readRoundLast }: Standing): Message {
  const near = (value: number) => {
    if (random.next() < 0.06) return far[random.integer(0, far.length - 1)] as number;
    return Math.max(0, Math.min(2 ** 53 - 1, value + random.integer(-2, 2)));
  };
  const exactly = (value: number) => (random.next() < 0.6 ? value : near(value));
  const [prevIndex, prevTerm] = [exactly(lastIndex), exactly(term)];
  const kindOf = () => (random.next() < 0.15 ? 'confChange' : 'normal');
  const dataOf = (kind: string) =>
    kind === 'confChange' && random.next() < 0.7
      ? encodeConfChange({ steps: [{ kind: 'addLearner', replica: 9 as ReplicaId }], context: new Uint8Array(0) })
      : random.bytes(random.integer(0, 20));
  const entries = Array.from({ length: random.integer(0, 3) }, (_, at) => {
    const kind = kindOf();
    return {
      index: exactly(Math.min(prevIndex + at + 1, 2 ** 53 - 1)),
      term: exactly(prevTerm),
      kind,
      data: dataOf(kind),
    };
  });
  const ids = () => Array.from({ length: random.integer(0, 3) }, () => random.integer(0, 4) as ReplicaId);
  const confState =
    random.next() < 0.5
      ? voters(1, 2, 3)
      : { voters: ids(), votersOutgoing: ids(), learners: ids(), learnersNext: ids(), autoLeave: random.next() < 0.5 };
  return {
    type: types[random.integer(0, types.length - 1)],
    from: random.integer(2, 5),
    to: self,
    term: exactly(term),
    prevIndex,
    prevTerm,
    entries,
    commit: exactly(lastIndex),
    index: exactly(lastIndex),
    reject: random.next() < 0.5,
    hintIndex: near(lastIndex),
    hintTerm: near(term),
    readContext: exactly(readRoundLast),
    lastIndex: exactly(lastIndex),
    lastTerm: near(term),
    isTransfer: random.next() < 0.2,
    ...(random.next() < 0.3 && { committed: { index: near(lastIndex), term: near(term) } }),
    snapshot: { index: near(lastIndex), term: near(term), confState },
    context: random.integer(0, 5),
    transferee: random.integer(0, 4),
  } as unknown as Message;
}

test('no sequence of lies breaks an assertion of the core', () => {
  let taken = 0;
  let refused = 0;
  const rolesSeen = new Set<string>();
  for (let seed = 1; seed <= 60; seed++) {
    const random = seededRandom(seed);
    const target = new Target(random);
    const told: string[] = [];
    try {
      for (let step = 0; step < 250; step++) {
        const chance = random.next();
        if (chance < 0.15) target.raft.tick();
        else if (chance < 0.18) target.raft.campaign();
        else if (chance < 0.22) target.raft.propose(random.bytes(3));
        else if (chance < 0.25) target.raft.readIndex(seed * 1_000 + step);
        target.carryOut();
        const message = lie(random, target.raft.standing());
        told.push(JSON.stringify(message));
        if (target.step(message)) taken += 1;
        else refused += 1;
        rolesSeen.add(target.raft.status().role);
      }
    } catch (error) {
      throw new Error(`seed ${seed} after ${told.slice(-3).join('\n')}`, { cause: error });
    }
  }
  assert.ok(taken > 3_000 && refused > 3_000, `${taken} taken, ${refused} refused`);
  assert.equal(rolesSeen.size, 4, [...rolesSeen].join(' '));
});
