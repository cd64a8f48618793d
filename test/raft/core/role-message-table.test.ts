/**
 * What every role does with every message: of the same term, of a later one and of an earlier one. The tables have no
 * optional cells, so a new role or a new message does not compile before somebody has decided what it means.
 *
 * The scene: replica 1 of three voters is in term 2 with one entry of term 1 in its log; replica 2 sends the message.
 * The follower follows replica 2 and has heard of it just now. Nothing of the leader's no-op is acknowledged yet.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvariantViolation } from '../../../src/env/assert.ts';
import { noIndex, nobody, toIndex, toReplicaId, toTerm } from '../../../src/raft/core/numbers.ts';
import { Raft } from '../../../src/raft/core/raft.ts';
import type { Message, MessageType, Role } from '../../../src/raft/core/types.ts';
import { checkTransition } from '../../../src/raft/core/check-state.ts';
import { confStateOf } from '../../support/raft-harness.ts';
import { messageOf } from '../../support/raft-messages.ts';

/** The role and term afterwards and the types of the messages it sends; or the broken promise that stops the process. */
type Outcome = readonly [role: Role, term: number, ...sends: MessageType[]] | 'two leaders';
type Table = Readonly<Record<Role, Readonly<Record<MessageType, Outcome>>>>;

const sameTerm: Table = {
  follower: {
    app: ['follower', 2, 'appResp'],
    appResp: ['follower', 2],
    heartbeat: ['follower', 2, 'heartbeatResp'],
    heartbeatResp: ['follower', 2],
    vote: ['follower', 2, 'voteResp'],
    preVote: ['follower', 2, 'preVoteResp'],
    voteResp: ['follower', 2],
    preVoteResp: ['follower', 2],
    snap: ['follower', 2, 'appResp'],
    timeoutNow: ['candidate', 3, 'vote', 'vote'],
    prop: ['follower', 2],
    readIndex: ['follower', 2],
    readIndexResp: ['follower', 2],
    transferLeader: ['follower', 2],
  },
  preCandidate: {
    app: ['follower', 2, 'appResp'],
    appResp: ['preCandidate', 2],
    heartbeat: ['follower', 2, 'heartbeatResp'],
    heartbeatResp: ['preCandidate', 2],
    vote: ['preCandidate', 2, 'voteResp'],
    preVote: ['preCandidate', 2, 'preVoteResp'],
    voteResp: ['preCandidate', 2],
    preVoteResp: ['preCandidate', 2],
    snap: ['follower', 2, 'appResp'],
    timeoutNow: ['preCandidate', 2],
    prop: ['preCandidate', 2],
    readIndex: ['preCandidate', 2],
    readIndexResp: ['preCandidate', 2],
    transferLeader: ['preCandidate', 2],
  },
  candidate: {
    app: ['follower', 2, 'appResp'],
    appResp: ['candidate', 2],
    heartbeat: ['follower', 2, 'heartbeatResp'],
    heartbeatResp: ['candidate', 2],
    vote: ['candidate', 2, 'voteResp'],
    preVote: ['candidate', 2, 'preVoteResp'],
    voteResp: ['leader', 2, 'app', 'app'],
    preVoteResp: ['candidate', 2],
    snap: ['follower', 2, 'appResp'],
    timeoutNow: ['candidate', 2],
    prop: ['candidate', 2],
    readIndex: ['candidate', 2],
    readIndexResp: ['candidate', 2],
    transferLeader: ['candidate', 2],
  },
  leader: {
    app: 'two leaders',
    appResp: ['leader', 2, 'app'],
    heartbeat: 'two leaders',
    heartbeatResp: ['leader', 2, 'app'],
    vote: ['leader', 2, 'voteResp'],
    preVote: ['leader', 2, 'preVoteResp'],
    voteResp: ['leader', 2],
    preVoteResp: ['leader', 2],
    snap: 'two leaders',
    timeoutNow: ['leader', 2],
    // Both followers are being probed, so the proposal waits for their answers.
    prop: ['leader', 2],
    // The no-op of term 2 is not committed, so the read waits for it.
    readIndex: ['leader', 2],
    readIndexResp: ['leader', 2],
    transferLeader: ['leader', 2, 'app'],
  },
};

const laterTerm: Table = {
  follower: {
    app: ['follower', 3, 'appResp'],
    appResp: ['follower', 3],
    heartbeat: ['follower', 3, 'heartbeatResp'],
    heartbeatResp: ['follower', 3],
    // It follows a live leader, so it does not listen.
    vote: ['follower', 2],
    preVote: ['follower', 2],
    voteResp: ['follower', 3],
    // A grant speaks of a term that nobody has entered.
    preVoteResp: ['follower', 2],
    snap: ['follower', 3, 'appResp'],
    timeoutNow: ['candidate', 4, 'vote', 'vote'],
    prop: ['follower', 3],
    readIndex: ['follower', 3],
    readIndexResp: ['follower', 3],
    transferLeader: ['follower', 3],
  },
  preCandidate: {
    app: ['follower', 3, 'appResp'],
    appResp: ['follower', 3],
    heartbeat: ['follower', 3, 'heartbeatResp'],
    heartbeatResp: ['follower', 3],
    vote: ['follower', 3, 'voteResp'],
    preVote: ['preCandidate', 2, 'preVoteResp'],
    voteResp: ['follower', 3],
    preVoteResp: ['candidate', 3, 'vote', 'vote'],
    snap: ['follower', 3, 'appResp'],
    timeoutNow: ['candidate', 4, 'vote', 'vote'],
    prop: ['follower', 3],
    readIndex: ['follower', 3],
    readIndexResp: ['follower', 3],
    transferLeader: ['follower', 3],
  },
  candidate: {
    app: ['follower', 3, 'appResp'],
    appResp: ['follower', 3],
    heartbeat: ['follower', 3, 'heartbeatResp'],
    heartbeatResp: ['follower', 3],
    vote: ['follower', 3, 'voteResp'],
    preVote: ['candidate', 2, 'preVoteResp'],
    voteResp: ['follower', 3],
    preVoteResp: ['candidate', 2],
    snap: ['follower', 3, 'appResp'],
    timeoutNow: ['candidate', 4, 'vote', 'vote'],
    prop: ['follower', 3],
    readIndex: ['follower', 3],
    readIndexResp: ['follower', 3],
    transferLeader: ['follower', 3],
  },
  leader: {
    app: ['follower', 3, 'appResp'],
    appResp: ['follower', 3],
    heartbeat: ['follower', 3, 'heartbeatResp'],
    heartbeatResp: ['follower', 3],
    vote: ['leader', 2],
    preVote: ['leader', 2],
    voteResp: ['follower', 3],
    preVoteResp: ['leader', 2],
    snap: ['follower', 3, 'appResp'],
    timeoutNow: ['candidate', 4, 'vote', 'vote'],
    prop: ['follower', 3],
    readIndex: ['follower', 3],
    readIndexResp: ['follower', 3],
    transferLeader: ['follower', 3],
  },
};

/** Who is behind is told so; everything else of an earlier term has lost its meaning. No role changes. */
const earlierTerm: Readonly<Record<MessageType, readonly MessageType[]>> = {
  app: ['appResp'],
  appResp: [],
  heartbeat: ['appResp'],
  heartbeatResp: [],
  vote: ['voteResp'],
  preVote: ['preVoteResp'],
  voteResp: [],
  preVoteResp: [],
  snap: ['appResp'],
  timeoutNow: [],
  prop: [],
  readIndex: [],
  readIndexResp: [],
  transferLeader: [],
};

const roles = Object.keys(sameTerm) as Role[];
const types = Object.keys(earlierTerm) as MessageType[];

function restored(term: number): Raft {
  const config = { electionTicks: 10, heartbeatTicks: 1, preVote: true, checkQuorum: true, random: () => 0 };
  const limits = { inflightMessagesMax: 4, messageBytesMax: 1024, uncommittedBytesMax: 4096 };
  const entry = { term: toTerm(1), index: toIndex(1), kind: 'normal' as const, data: new Uint8Array(1) };
  return new Raft(
    { ...config, ...limits, id: toReplicaId(1) },
    {
      hardState: { term: toTerm(term), vote: nobody, commit: noIndex },
      snapshot: { index: noIndex, term: toTerm(0), confState: confStateOf([1, 2, 3]) },
      entries: [entry],
      applied: noIndex,
    },
  );
}

/** Everything it has to say, with a disk that is done at once. */
function drain(raft: Raft): Message[] {
  const messages: Message[] = [];
  while (raft.hasReady()) {
    const ready = raft.takeReady();
    messages.push(...ready.messages, ...(ready.messagesAfterPersist?.sealedMessages ?? []));
    if (ready.persist !== undefined) raft.persisted(ready.persist.token);
  }
  return messages;
}

const builders: Record<Role, () => Raft> = {
  follower() {
    const raft = restored(1);
    raft.step(messageOf('heartbeat', { term: toTerm(2) }));
    return raft;
  },
  preCandidate() {
    const raft = restored(2);
    raft.campaign();
    return raft;
  },
  candidate() {
    const raft = restored(1);
    raft.campaign();
    raft.step(messageOf('preVoteResp', { from: toReplicaId(3), term: toTerm(2) }));
    return raft;
  },
  leader() {
    const raft = builders.candidate();
    drain(raft);
    raft.step(messageOf('voteResp', { from: toReplicaId(3), term: toTerm(2) }));
    return raft;
  },
};

function inRole(role: Role): Raft {
  const raft = builders[role]();
  drain(raft);
  const status = raft.status();
  assert.deepEqual([status.role, status.term], [role, 2]);
  return raft;
}

function messageFor(type: MessageType, term: number): Message {
  const last = { lastIndex: toIndex(9), lastTerm: toTerm(1) };
  const snapshot = { index: toIndex(5), term: toTerm(1), confState: confStateOf([1, 2, 3]) };
  const proposed = { kind: 'normal' as const, data: new Uint8Array(1) };
  const fields: Partial<Record<MessageType, object>> = {
    app: { prevIndex: toIndex(1), prevTerm: toTerm(1) },
    vote: last,
    preVote: last,
    snap: { snapshot },
    prop: { entries: [proposed] },
    transferLeader: { transferee: toReplicaId(3) },
  };
  return messageOf(type, { term: toTerm(term), ...fields[type] });
}

function outcomeOf(role: Role, message: Message): Outcome {
  const raft = inRole(role);
  const before = raft.view();
  try {
    raft.step(message);
  } catch (error) {
    assert.ok(error instanceof InvariantViolation);
    assert.match(error.message, /leads in term 2, but so does 1/);
    return 'two leaders';
  }
  raft.checkState();
  checkTransition(before, raft.view());
  const sends = drain(raft).map(({ type }) => type);
  raft.checkState();
  const { role: after, term } = raft.status();
  return [after, term, ...sends];
}

for (const role of roles) {
  for (const type of types) {
    test(`${role} × ${type}`, () => {
      assert.deepEqual(outcomeOf(role, messageFor(type, 2)), sameTerm[role][type], 'same term');
      assert.deepEqual(outcomeOf(role, messageFor(type, 3)), laterTerm[role][type], 'later term');
      assert.deepEqual(outcomeOf(role, messageFor(type, 1)), [role, 2, ...earlierTerm[type]], 'earlier term');
    });
  }
}
