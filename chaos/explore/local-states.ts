/**
 * Every state one member was seen in, and what each input did to it. What a member does depends on nothing but its own
 * state and the input, so a cluster's states are tuples of these, and each step of a member is computed once however many
 * cluster states it occurs in. A step is computed on a core that is built anew by replaying the inputs that led to its
 * state since the last start: cores are not copied, and nothing private of them is looked at.
 *
 * Two ways into states that look the same are taken for one (ExploredMember.useUpForKeys says what is looked at). That is
 * an assumption about the core; audit() puts it to the test, and counterexamples are replayed from the beginning.
 */
import { assert, InvariantViolation, present } from '../../src/env/assert.ts';
import type { CoreView } from '../../src/raft/core/check-state.ts';
import type { Entry, Message } from '../../src/raft/core/types.ts';
import { Violation } from '../check/violation.ts';
import { emptyDisk, type MemberDisk } from './disk.ts';
import { ExploredMember, type Input, type MemberSetup } from './member.ts';
import { messageText, type Naming } from './words.ts';

/** One message that can be under way. */
export interface Sent {
  readonly id: number;
  readonly message: Message;
  /** A number for its text under each naming. */
  readonly keys: Int32Array;
}

export interface Local {
  readonly id: number;
  readonly member: number;
  readonly keys: Int32Array;
  readonly view: CoreView;
  readonly entries: readonly Entry[];
  readonly disk: MemberDisk;
  readonly waiting: number;
  readonly recordsWaiting: number;
  readonly isInDoubt: boolean;
}

export interface LocalStep {
  readonly to: Local;
  readonly sent: readonly Sent[];
}

interface Known extends Local {
  /** How it was reached first; absent: by a start from `disk`. */
  readonly reachedBy: { readonly from: Known; readonly input: Input } | undefined;
  readonly steps: Map<number, LocalStep | Violation>;
}

/** Whatever a core throws at an impossible moment is a finding. */
export function asViolation(error: unknown): Violation {
  if (error instanceof Violation) return error;
  if (error instanceof InvariantViolation) return new Violation('no assertion breaks', error.message);
  throw error;
}

/** Enough to choose from. */
const otherWaysMax = 200_000;

/** Inputs without a message have negative numbers, and deliveries the message's. */
function codeOf(input: Input, messageId: number): number {
  switch (input.kind) {
    case 'timeout':
      return -1;
    case 'doubt':
      return -2;
    case 'beat':
      return -3;
    case 'propose':
      return -4;
    case 'sync':
      return -5;
    case 'crash':
      return -6 - input.kept;
    case 'deliver':
      return messageId;
  }
}

export class LocalStates {
  readonly #setup: MemberSetup;
  readonly #namings: readonly Naming[];
  readonly #numbers = new Map<string, number>();
  readonly #known = new Map<number, Known>();
  readonly #messages = new Map<string, Sent>();
  readonly #byId: Known[] = [];
  /** Ways into a state other than the first, for audit(). */
  readonly #otherWays: { readonly from: Known; readonly input: Input; readonly to: Known }[] = [];
  #computed = 0;

  constructor(setup: MemberSetup, namings: readonly Naming[]) {
    this.#setup = setup;
    this.#namings = namings;
  }

  /** States and steps of single members. */
  get counts(): { readonly states: number; readonly steps: number; readonly messages: number } {
    return { states: this.#byId.length, steps: this.#computed, messages: this.#messages.size };
  }

  initial(member: number): Local {
    return this.#intern(new ExploredMember(member, this.#setup, emptyDisk), undefined);
  }

  /** What `input` does to `local`. Throws Violation. `sent` is the message of a delivery. */
  step(local: Local, input: Input, sent?: Sent): LocalStep {
    const from = present(this.#byId[local.id], 'local state');
    const code = codeOf(input, sent?.id ?? -1);
    let step = from.steps.get(code);
    if (step === undefined) {
      step = this.#compute(from, input);
      from.steps.set(code, step);
    }
    if (step instanceof Violation) throw step;
    return step;
  }

  #compute(from: Known, input: Input): LocalStep | Violation {
    this.#computed += 1;
    const member = this.#rebuild(from);
    let messages: Message[];
    try {
      messages = member.apply(input);
    } catch (error) {
      return asViolation(error);
    }
    const to = this.#intern(member, { from, input });
    return { to, sent: this.#distinct(messages) };
  }

  #rebuild(known: Known): ExploredMember {
    const inputs: Input[] = [];
    let at = known;
    while (at.reachedBy !== undefined) {
      inputs.push(at.reachedBy.input);
      at = at.reachedBy.from;
    }
    const member = new ExploredMember(known.member, this.#setup, at.disk);
    for (const input of inputs.reverse()) member.apply(input);
    return member;
  }

  #intern(member: ExploredMember, reachedBy: Known['reachedBy']): Known {
    const view = member.core.view();
    const { entries } = member.core.inspectLog();
    const { disk, waiting, recordsWaiting } = member;
    const { keys: texts, isInDoubt } = member.useUpForKeys(this.#namings);
    const keys = Int32Array.from(texts, (text) => this.#numberOf(text));
    const key = keys[0] as number;
    const known = this.#known.get(key);
    if (known !== undefined) {
      const isOther = reachedBy !== undefined && reachedBy.input.kind !== 'crash';
      if (isOther && this.#otherWays.length < otherWaysMax) this.#otherWays.push({ ...reachedBy, to: known });
      return known;
    }
    const isStart = reachedBy === undefined || reachedBy.input.kind === 'crash';
    const state: Known = {
      id: this.#byId.length,
      member: member.id,
      keys,
      view,
      entries,
      disk,
      waiting,
      recordsWaiting,
      isInDoubt,
      reachedBy: isStart ? undefined : reachedBy,
      steps: new Map(),
    };
    this.#known.set(key, state);
    this.#byId.push(state);
    return state;
  }

  #numberOf(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const number = this.#numbers.size + 1;
    this.#numbers.set(text, number);
    return number;
  }

  /** The network holds each message once, however often it was sent. */
  #distinct(messages: readonly Message[]): Sent[] {
    return [...new Set(messages.map((message) => this.#sent(message)))];
  }

  #sent(message: Message): Sent {
    const [first] = this.#namings;
    const text = messageText(message, present(first, 'naming'));
    const known = this.#messages.get(text);
    if (known !== undefined) return known;
    const keys = Int32Array.from(this.#namings, (naming) => this.#numberOf(messageText(message, naming)));
    const sent = { id: this.#messages.size, message, keys };
    this.#messages.set(text, sent);
    return sent;
  }

  /**
   * Tries the assumption on which states are taken for one: for up to `most` of the ways into a known state that were not
   * the first, everything that was ever done to that state must do the same after this way. Throws when it does not. Returns
   * how many steps were compared.
   */
  audit(most: number): number {
    let compared = 0;
    const stride = Math.max(1, Math.floor(this.#otherWays.length / most));
    for (let at = 0; at < this.#otherWays.length; at += stride) {
      const way = present(this.#otherWays[at], 'way');
      for (const [code, step] of way.to.steps) {
        if (step instanceof Violation || code < -5) continue;
        compared += 1;
        this.#compare(way, code, step);
      }
    }
    return compared;
  }

  #compare(
    way: { readonly from: Known; readonly input: Input; readonly to: Known },
    code: number,
    step: LocalStep,
  ): void {
    const member = this.#rebuild(way.from);
    member.apply(way.input);
    const input = this.#inputOf(code);
    const sent = this.#distinct(member.apply(input)).map(({ id }) => id);
    const [key] = member.useUpForKeys(this.#namings.slice(0, 1)).keys;
    const isSame = this.#numberOf(present(key, 'key')) === step.to.keys[0];
    assert(
      isSame && sent.join() === step.sent.map(({ id }) => id).join(),
      () => `two ways into a state of member ${way.to.member} were taken for one, but ${input.kind} tells them apart`,
    );
  }

  #inputOf(code: number): Input {
    if (code >= 0) {
      const sent = present([...this.#messages.values()][code], 'message');
      return { kind: 'deliver', message: sent.message };
    }
    const kinds = ['timeout', 'doubt', 'beat', 'propose', 'sync'] as const;
    return { kind: present(kinds[-1 - code], 'kind of input') };
  }
}
