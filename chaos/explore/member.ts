/**
 * One member as the search sees it: the real core with the smallest host around it. Everything that can happen to it is an
 * Input. Its disk is a hard state and entries; records wait before it until `sync`, and a crash keeps as many of them as
 * the search says. Snapshots, reads and changes of membership are not part of the search.
 *
 * Time is not counted: that a time-out went by is an input, carried out by as many ticks as it takes.
 */
import { assert, present } from '../../src/env/assert.ts';
import { checkTransition } from '../../src/raft/core/check-state.ts';
import { emptyConfState } from '../../src/raft/core/conf-change.ts';
import { noIndex, nobody, noTerm, toReplicaId } from '../../src/raft/core/numbers.ts';
import { Raft } from '../../src/raft/core/raft.ts';
import type { Message, Persist, PersistToken, RaftConfig, ReplicaId } from '../../src/raft/core/types.ts';
import { Violation } from '../check/violation.ts';
import { brokenPromiseOf, hardStateText, type MemberDisk, written } from './disk.ts';
import { entriesText, messageText, nameOf, type Naming } from './words.ts';

export type Input =
  /** It has heard of no leader for a whole election time-out, and campaigns. */
  | { readonly kind: 'timeout' }
  /** It has not heard of its leader for so long that it would vote for another one, and does not campaign yet. */
  | { readonly kind: 'doubt' }
  /** A leader's heartbeats go out; with check-quorum it also asks itself whether it has heard of a quorum since the last. */
  | { readonly kind: 'beat' }
  | { readonly kind: 'propose' }
  /** The oldest record that waits reaches the disk. */
  | { readonly kind: 'sync' }
  /** The process ends and starts again. `kept` of the records that waited are on the disk. */
  | { readonly kind: 'crash'; readonly kept: number }
  | { readonly kind: 'deliver'; readonly message: Message };

/** What every member of the cluster is started with. */
export interface MemberSetup {
  readonly members: number;
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  /** Entries in one append: 1 makes replication take as many steps as it can. */
  readonly entriesPerAppend: number;
}

/** An election time-out is three ticks, and after two nobody is sure of the leader any more. */
const electionTicks = 2;
/** How an entry counts against messageBytesMax; see entryBytes in src/raft/core/log.ts. */
const entryBytesAtMost = 40;

interface Waiting {
  readonly token: PersistToken;
  readonly messages: readonly Message[];
}

export class ExploredMember {
  readonly id: ReplicaId;
  readonly setup: MemberSetup;
  core: Raft;
  disk: MemberDisk;
  #records: Persist[] = [];
  #sealed: Waiting[] = [];
  #durableToken = 0;
  #hasRecorded = false;
  /** Who answered the election under way, and how: the core counts them and does not show them. */
  #answers = new Map<ReplicaId, boolean>();
  /** Of whom a leader has heard since it last asked itself whether a quorum is there: shown only mixed with the time before. */
  #heard = new Set<ReplicaId>();

  /** Starts from `disk`. */
  constructor(id: number, setup: MemberSetup, disk: MemberDisk) {
    this.id = toReplicaId(id);
    this.setup = setup;
    this.disk = disk;
    this.core = this.#start();
    this.#drain();
  }

  #start(): Raft {
    const { members, preVote, checkQuorum, entriesPerAppend } = this.setup;
    const config: RaftConfig = {
      id: this.id,
      electionTicks,
      heartbeatTicks: 1,
      preVote,
      checkQuorum,
      inflightMessagesMax: 64,
      messageBytesMax: entriesPerAppend * entryBytesAtMost,
      uncommittedBytesMax: 1024 * 1024,
      random: (bound) => bound - 1,
    };
    const voters = Array.from({ length: members }, (_, at) => toReplicaId(at + 1));
    const snapshot = { index: noIndex, term: noTerm, confState: { ...emptyConfState, voters } };
    const { hardState, entries } = this.disk;
    return new Raft(config, { hardState, snapshot, entries: [...entries], applied: noIndex });
  }

  /** Records that must be synced and are not yet. */
  get waiting(): number {
    return this.#records.filter(({ mustSync }) => mustSync).length;
  }

  /** Records before the disk, also those that need no sync. */
  get recordsWaiting(): number {
    return this.#records.length;
  }

  /** One step; returns what it sends. Throws Violation. */
  apply(input: Input): Message[] {
    if (input.kind === 'crash') return this.#crash(input.kept);
    const before = this.core.view();
    const sent = this.#act(input);
    this.core.checkState();
    const after = this.core.view();
    checkTransition(before, after);
    const isSame = after.role === before.role && after.term === before.term;
    if (!isSame || input.kind === 'timeout') this.#answers.clear();
    if (!isSame || input.kind === 'beat') this.#heard.clear();
    if (isSame && input.kind === 'deliver') this.#countAnswer(input.message);
    return sent;
  }

  #act(input: Exclude<Input, { kind: 'crash' }>): Message[] {
    switch (input.kind) {
      case 'timeout':
        return this.#campaign();
      case 'doubt':
      case 'beat':
        return this.#tick(input.kind === 'doubt' || this.setup.checkQuorum ? electionTicks : 1);
      case 'propose':
        assert(
          this.core.propose(Uint8Array.of(this.id)).kind === 'accepted',
          'a leader takes proposals within the bounds of the search',
        );
        return this.#drain();
      case 'sync':
        return this.#sync();
      case 'deliver':
        this.core.step(input.message);
        return this.#drain();
    }
  }

  #tick(count: number): Message[] {
    const sent: Message[] = [];
    for (let at = 0; at < count; at++) {
      this.core.tick();
      sent.push(...this.#drain());
    }
    return sent;
  }

  #campaign(): Message[] {
    const { term } = this.core.view();
    for (let tick = 0; tick < 2 * electionTicks; tick++) {
      this.core.tick();
      const sent = this.#drain();
      if (this.core.view().term > term || sent.some(({ type }) => type === 'preVote')) return sent;
    }
    assert(false, () => `member ${this.id} does not campaign after ${2 * electionTicks} ticks`);
    return [];
  }

  /** Takes what the core wants done, and carries out all but the writing. */
  #drain(): Message[] {
    const sent: Message[] = [];
    while (this.core.hasReady()) {
      const ready = this.core.takeReady();
      for (const message of ready.messages) this.#emit(message, sent);
      if (ready.persist !== undefined) this.#records.push(ready.persist);
      if (ready.messagesAfterPersist !== undefined) {
        const { token, sealedMessages } = ready.messagesAfterPersist;
        this.#sealed.push({ token, messages: sealedMessages });
      }
      const last = ready.committed.at(-1);
      if (last !== undefined) this.core.applied(last.index);
      this.#openSeals(sent);
    }
    return sent;
  }

  #sync(): Message[] {
    const sent: Message[] = [];
    assert(this.waiting > 0, 'there is a record to sync');
    for (let isSynced = false; !isSynced; ) {
      const record = present(this.#records.shift(), 'record');
      this.disk = written(this.disk, record);
      this.#durableToken = record.token;
      isSynced = record.mustSync;
      this.#hasRecorded = true;
      this.core.persisted(record.token);
    }
    this.#openSeals(sent);
    sent.push(...this.#drain());
    return sent;
  }

  #openSeals(sent: Message[]): void {
    while (this.#sealed[0] !== undefined && this.#sealed[0].token <= this.#durableToken) {
      for (const message of this.#sealed.shift()?.messages ?? []) this.#emit(message, sent);
    }
  }

  #emit(message: Message, sent: Message[]): void {
    const text = brokenPromiseOf(message, this.disk);
    if (text !== undefined) throw new Violation('what is promised is on disk', `member ${this.id} ${text}`);
    sent.push(message);
  }

  #crash(kept: number): Message[] {
    assert(kept <= this.#records.length, 'records that wait are kept');
    for (const record of this.#records.slice(0, kept)) this.disk = written(this.disk, record);
    this.#records = [];
    this.#sealed = [];
    this.#durableToken = 0;
    this.#hasRecorded = false;
    this.#answers.clear();
    this.#heard.clear();
    this.core = this.#start();
    this.core.checkState();
    // What is known to be committed is applied again.
    return this.#drain();
  }

  /** Answers to an earlier election change nothing. */
  #countAnswer(message: Message): void {
    const { role, term } = this.core.view();
    const isFromFollower = message.type === 'appResp' || message.type === 'heartbeatResp';
    if (role === 'leader' && isFromFollower && message.term === term) this.#heard.add(message.from);
    if (role !== 'candidate' && role !== 'preCandidate') return;
    if (message.type !== (role === 'candidate' ? 'voteResp' : 'preVoteResp') || this.#answers.has(message.from)) return;
    const termOfAnswer = role === 'preCandidate' && !message.reject ? term + 1 : term;
    if (message.term === termOfAnswer) this.#answers.set(message.from, !message.reject);
  }

  /** True when it would vote although it follows somebody: with check-quorum only. Uses the core up. */
  #isInDoubt(): boolean {
    if (!this.setup.checkQuorum) return false;
    const { role, leader, term } = this.core.view();
    if (role === 'leader' || leader === nobody) return false;
    this.core.tick();
    return this.core.view().role !== role || this.core.view().term !== term;
  }

  /** Whom it would send a new entry to at once: flow control shows only in what it does. Uses the core up. */
  #openTo(): readonly ReplicaId[] {
    if (this.core.view().role !== 'leader') return [];
    this.core.propose(Uint8Array.of(0));
    return this.core
      .takeReady()
      .messages.filter(({ type }) => type === 'app')
      .map(({ to }) => to);
  }

  /**
   * Everything that decides what this member does next, as texts: one for each naming. What the core does not show is
   * found by trying, so this member cannot be used any further.
   */
  useUpForKeys(namings: readonly Naming[]): { readonly keys: string[]; readonly isInDoubt: boolean } {
    const { id, term, vote, role, leader, committed, applied, handed, durable } = this.core.view();
    const { entries } = this.core.inspectLog();
    const { progress } = this.core.status();
    const isInDoubt = this.#isInDoubt();
    const openTo = this.#openTo();
    const sortedBy = <T>(items: Iterable<readonly [ReplicaId, T]>, naming: Naming, text: (value: T) => string) =>
      [...items]
        .map(([of, value]) => [nameOf(naming, of), text(value)] as const)
        .sort(([left], [right]) => left - right)
        .map(([of, value]) => `${of}:${value}`)
        .join(' ');
    const keys = namings.map((naming) => {
      const one = (replica: ReplicaId) => nameOf(naming, replica);
      const inOrder = (replicas: Iterable<ReplicaId>) => [...replicas].map(one).sort((left, right) => left - right);
      const ownLog = entriesText(entries, naming);
      const peers = sortedBy(progress, naming, ({ match, next, state }) => `${match}/${next}/${state}`);
      return [
        `${one(id)} ${role} ${term} ${one(vote)} ${one(leader)} ${committed} ${applied} ${handed} ${durable} ${ownLog}`,
        peers,
        inOrder(openTo).join(' '),
        this.setup.checkQuorum ? inOrder(this.#heard).join(' ') : '',
        sortedBy(this.#answers, naming, String),
        `${isInDoubt} ${this.#hasRecorded}`,
        hardStateText(this.disk.hardState, naming),
        entriesText(this.disk.entries, naming),
        this.#records.map((record) => this.#recordText(record, naming)).join(';'),
        this.#sealed.map((sealed) => this.#sealedText(sealed, naming)).join(';'),
      ].join('|');
    });
    return { keys, isInDoubt };
  }

  #recordText({ hardState, entries, mustSync }: Persist, naming: Naming): string {
    const promise = hardState === undefined ? '' : hardStateText(hardState, naming);
    return `${promise} ${entries[0]?.index ?? ''}${entriesText(entries, naming)}${mustSync ? '!' : ''}`;
  }

  /** Tokens only grow: what counts is which of the waiting records a seal waits for. */
  #sealedText({ token, messages }: Waiting, naming: Naming): string {
    const position = this.#records.findIndex((record) => record.token >= token);
    return `${position} ${messages.map((message) => messageText(message, naming)).join(',')}`;
  }
}
