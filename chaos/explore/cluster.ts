/**
 * The states of a whole cluster and what can happen in each: the members, the messages under way, and how much of each
 * bound is left. expand() gives every successor, after checking it.
 *
 * The network: messages arrive in any order, at any time or never. No more than `wire` of them are under way that will
 * still arrive; when more are sent, the search tries each choice of those that get lost. A message that would change
 * nothing is not delivered: it may as well be lost.
 *
 * The disk: with `records` 0 it is done at once. Else a member takes nothing in while so many records wait for it. With 1
 * nobody can tell when it is done, as the member neither hears nor says anything meanwhile: so after each step it either
 * ends or crashes there and then. With 2 and more, what comes in meanwhile meets records that wait.
 */
import type { Violation } from '../check/violation.ts';
import { AbstractStates, type Knowledge } from './abstract-states.ts';
import { mixHigh, mixLow } from './fingerprints.ts';
import { Histories, type History } from './histories.ts';
import { asViolation, type Local, LocalStates, type Sent } from './local-states.ts';
import type { Input, MemberSetup } from './member.ts';
import { type Naming, namingsOf } from './words.ts';

export interface Bounds extends MemberSetup {
  /** Nobody is followed beyond this term. */
  readonly terms: number;
  /** Proposals in the whole run. */
  readonly entries: number;
  readonly crashes: number;
  /** Heartbeats of leaders (each to everybody). */
  readonly beats: number;
  /** Messages that arrive once more later. */
  readonly duplicates: number;
  /** Messages under way that still arrive. */
  readonly wire: number;
  readonly records: number;
  /** Judges every step by the abstract Raft as well. */
  readonly refinement: boolean;
}

interface Left {
  readonly proposals: number;
  readonly crashes: number;
  readonly beats: number;
  readonly duplicates: number;
}

export interface ClusterState {
  readonly locals: readonly Local[];
  readonly wire: readonly Sent[];
  readonly history: History;
  readonly knowledge: Knowledge | undefined;
  readonly left: Left;
}

/** One step of one member; `sent` is the message of a delivery. */
export interface ClusterStep {
  readonly member: number;
  readonly input: Input;
  readonly sent?: Sent;
}

export interface Successor {
  readonly steps: readonly ClusterStep[];
  readonly state: ClusterState;
}

/** A broken promise, and the steps that led to it from the state that was expanded. */
export interface Broken {
  readonly steps: readonly ClusterStep[];
  readonly violation: Violation;
}

/** Between the steps of one successor. */
interface Moment {
  readonly locals: readonly Local[];
  readonly history: History;
  readonly knowledge: Knowledge | undefined;
  readonly under: ReadonlySet<Sent>;
  readonly steps: readonly ClusterStep[];
}

class BrokenStep extends Error {
  readonly broken: Broken;
  constructor(broken: Broken) {
    super(broken.violation.message);
    this.broken = broken;
  }
}

export class Clusters {
  readonly #bounds: Bounds;
  readonly #namings: readonly Naming[];
  /** Under each naming: new id → position of the member that has it. */
  readonly #inverses: readonly Naming[];
  readonly locals: LocalStates;
  readonly histories: Histories;
  readonly abstract: AbstractStates | undefined;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
    this.#namings = namingsOf(bounds.members);
    this.#inverses = this.#namings.map((naming) => naming.map((_, name) => naming.indexOf(name) - 1));
    this.locals = new LocalStates(bounds, this.#namings);
    this.histories = new Histories(this.#namings);
    this.abstract = bounds.refinement ? new AbstractStates(bounds.members) : undefined;
  }

  initial(): ClusterState {
    const { members, entries, crashes, beats, duplicates } = this.#bounds;
    const locals = Array.from({ length: members }, (_, at) => this.locals.initial(at + 1));
    const knowledge = this.abstract?.initial(locals);
    const left = { proposals: entries, crashes, beats, duplicates };
    return { locals, wire: [], history: this.histories.initial(), knowledge, left };
  }

  /** Every successor, in an order that depends on nothing but the state; or the first step that breaks a promise. */
  expand(state: ClusterState): readonly Successor[] | Broken {
    const successors: Successor[] = [];
    try {
      for (const local of state.locals) this.#expandMember(state, local, successors);
      for (const sent of state.wire) this.#expandDelivery(state, sent, successors);
    } catch (error) {
      if (error instanceof BrokenStep) return error.broken;
      throw error;
    }
    return successors;
  }

  #expandMember(state: ClusterState, local: Local, successors: Successor[]): void {
    const { left } = state;
    const { view, member } = local;
    const go = (input: Input, spent: Partial<Left> = {}) =>
      this.#go(state, { member, input }, { ...left, ...spent }, state.wire, successors);
    if (local.waiting > 0) go({ kind: 'sync' });
    if (left.crashes > 0) {
      for (let kept = 0; kept <= local.recordsWaiting; kept++)
        go({ kind: 'crash', kept }, { crashes: left.crashes - 1 });
    }
    if (this.#isBusy(local)) return;
    const { checkQuorum, preVote, terms } = this.#bounds;
    if (view.role === 'leader') {
      if (left.proposals > 0) go({ kind: 'propose' }, { proposals: left.proposals - 1 });
      if (left.beats > 0) go({ kind: 'beat' }, { beats: left.beats - 1 });
      return;
    }
    // A pre-vote asks for the next term and does not enter it.
    if (view.term < terms || preVote) go({ kind: 'timeout' });
    if (checkQuorum && view.leader !== 0 && !local.isInDoubt) go({ kind: 'doubt' });
  }

  #isBusy(local: Local): boolean {
    return this.#bounds.records > 0 && local.waiting >= this.#bounds.records;
  }

  #expandDelivery(state: ClusterState, sent: Sent, successors: Successor[]): void {
    const { left } = state;
    const member = sent.message.to;
    const local = state.locals[member - 1] as Local;
    if (this.#isBusy(local)) return;
    const step = { member, input: { kind: 'deliver', message: sent.message } as const, sent };
    const others = state.wire.filter((other) => other !== sent);
    this.#go(state, step, left, others, successors);
    if (left.duplicates > 0)
      this.#go(state, step, { ...left, duplicates: left.duplicates - 1 }, state.wire, successors);
  }

  /** Takes one step and whatever the disk does at once, and then every choice of what the network loses. */
  #go(state: ClusterState, first: ClusterStep, left: Left, wire: readonly Sent[], successors: Successor[]): void {
    const { locals, history, knowledge } = state;
    const moment = this.#take({ locals, history, knowledge, under: new Set(wire), steps: [] }, first);
    const hasEffect = moment.locals[first.member - 1] !== locals[first.member - 1] || moment.under.size > wire.length;
    if (!hasEffect && first.input.kind === 'deliver') return;
    this.#finish(moment, first.member, left, successors);
  }

  #finish(moment: Moment, member: number, left: Left, successors: Successor[]): void {
    const { locals, history, knowledge, under, steps } = moment;
    const local = locals[member - 1] as Local;
    if (local.view.term > this.#bounds.terms) return;
    if (local.waiting > 0 && this.#bounds.records <= 1) {
      const isCrashPossible = this.#bounds.records === 1 && left.crashes > 0;
      for (let kept = 0; isCrashPossible && kept <= local.recordsWaiting; kept++) {
        const crashed = this.#take(moment, { member, input: { kind: 'crash', kept } });
        this.#finish(crashed, member, { ...left, crashes: left.crashes - 1 }, successors);
      }
      return this.#finish(this.#take(moment, { member, input: { kind: 'sync' } }), member, left, successors);
    }
    for (const wire of choices([...under], this.#bounds.wire))
      successors.push({ steps, state: { locals, history, knowledge, wire, left } });
  }

  /** Takes one step and checks what came of it. */
  #take(moment: Moment, step: ClusterStep): Moment {
    const steps = [...moment.steps, step];
    try {
      const before = moment.locals[step.member - 1] as Local;
      const { to, sent } = this.locals.step(before, step.input, step.sent);
      const locals = to === before ? moment.locals : moment.locals.with(step.member - 1, to);
      const under = sent.length === 0 ? moment.under : new Set([...moment.under, ...sent]);
      const history = this.histories.after(moment.history, to);
      this.histories.checkAcross(history, locals, to);
      const isRestart = step.input.kind === 'crash';
      const knowledge = moment.knowledge && this.abstract?.after(moment.knowledge, locals, to, isRestart);
      return { locals, history, knowledge, under, steps };
    } catch (error) {
      throw new BrokenStep({ steps, violation: asViolation(error) });
    }
  }

  /** Two 32-bit numbers that are the same for states that differ only in who is who. */
  fingerprint(state: ClusterState, into: [number, number]): void {
    const { locals, wire, history, left } = state;
    const count = (((left.proposals * 64 + left.crashes) * 64 + left.beats) * 64 + left.duplicates) | 0;
    into[0] = 0xffffffff;
    into[1] = 0xffffffff;
    for (const [which, inverse] of this.#inverses.entries()) {
      let low = mixLow(count, history.keys[which] as number);
      let high = mixHigh(count, history.keys[which] as number);
      for (let name = 1; name <= locals.length; name++) {
        const key = (locals[inverse[name] as number] as Local).keys[which] as number;
        low = mixLow(low, key);
        high = mixHigh(high, key);
      }
      let [lowSum, highSum] = [0, 0];
      for (const { keys } of wire) {
        lowSum = (lowSum + mixLow(7, keys[which] as number)) | 0;
        highSum = (highSum + mixHigh(7, keys[which] as number)) | 0;
      }
      low = mixLow(low, lowSum);
      high = mixHigh(high, highSum);
      if (high < into[0] || (high === into[0] && low < into[1])) {
        into[0] = high;
        into[1] = low;
      }
    }
  }
}

/** Every choice of `count` of `items`, in order; all of them when there are no more. */
function choices<T>(items: readonly T[], count: number): readonly (readonly T[])[] {
  if (items.length <= count) return [items];
  const [first, ...rest] = items as [T, ...T[]];
  const withFirst = count === 0 ? [] : choices(rest, count - 1).map((chosen) => [first, ...chosen]);
  return count === 0 ? [[]] : [...withFirst, ...choices(rest, count)];
}
