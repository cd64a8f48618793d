/**
 * Breadth-first through every state within the bounds: a counterexample is as short as any. Only the present layer is held
 * as states; of the others the fingerprint, and how they were reached, so that a story can be told again.
 */
import { assert, present } from '../../src/env/assert.ts';
import type { Violation } from '../check/violation.ts';
import { type Bounds, Clusters, type ClusterState, type ClusterStep } from './cluster.ts';
import { Fingerprints } from './fingerprints.ts';
import type { Input } from './member.ts';

/** A step of the story, which can be taken again by itself. */
export interface StoryStep {
  readonly member: number;
  readonly input: Input;
}

export interface Counterexample {
  readonly violation: Violation;
  readonly story: readonly StoryStep[];
}

export interface SearchResult {
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  /** Everything within the bounds was seen. */
  readonly isExhausted: boolean;
  readonly localStates: number;
  readonly localSteps: number;
  readonly messages: number;
  readonly histories: number;
  /** Pieces of knowledge of the abstract Raft. */
  readonly abstractStates: number;
  /** Steps that were compared to try whether states were rightly taken for one. */
  readonly audited: number;
  readonly counterexample: Counterexample | undefined;
}

export interface SearchOptions {
  /** Asked now and then; true ends the search. */
  readonly isOver?: () => boolean;
  readonly onLayer?: (depth: number, states: number) => void;
  /** The search ends when it has seen so many states: each takes about 20 bytes, those of a layer some 300. */
  readonly statesMax?: number;
  /** How many merges audit() tries at the end. */
  readonly audits?: number;
}

const statesMaxDefault = 20_000_000;
const askEvery = 1024;

/** Numbers, as many as there turn out to be. */
class Column {
  #numbers = new Uint32Array(1 << 16);
  #length = 0;

  push(value: number): void {
    if (this.#length === this.#numbers.length) {
      const longer = new Uint32Array(this.#length * 2);
      longer.set(this.#numbers);
      this.#numbers = longer;
    }
    this.#numbers[this.#length++] = value;
  }

  at(position: number): number {
    assert(position < this.#length, 'a state that was seen');
    return this.#numbers[position] as number;
  }
}

export class Search {
  readonly #clusters: Clusters;
  readonly #seen = new Fingerprints();
  /** How each state was reached first: from which one, as which of its successors. */
  readonly #parents = new Column();
  readonly #ordinals = new Column();
  readonly #options: SearchOptions;
  #transitions = 0;

  constructor(bounds: Bounds, options: SearchOptions = {}) {
    this.#clusters = new Clusters(bounds);
    this.#options = options;
  }

  run(): SearchResult {
    let layer = [this.#clusters.initial()];
    let firstNumber = 0;
    let depth = 0;
    this.#remember(present(layer[0], 'initial state'), 0, 0);
    while (layer.length > 0) {
      this.#options.onLayer?.(depth, this.#seen.size);
      const next: ClusterState[] = [];
      for (const [position, state] of layer.entries()) {
        if (position % askEvery === 0 && this.#isOver()) return this.#result(depth, false);
        const number = firstNumber + position;
        const successors = this.#clusters.expand(state);
        if ('violation' in successors) {
          const steps = [...this.#stepsTo(number), ...successors.steps].map(({ member, input }) => ({ member, input }));
          return this.#result(depth, false, { violation: successors.violation, story: steps });
        }
        this.#transitions += successors.length;
        for (const [ordinal, successor] of successors.entries())
          if (this.#remember(successor.state, number, ordinal)) next.push(successor.state);
      }
      firstNumber += layer.length;
      layer = next;
      if (layer.length > 0) depth += 1;
    }
    return this.#result(depth, true);
  }

  readonly #fingerprint: [number, number] = [0, 0];

  #remember(state: ClusterState, parent: number, ordinal: number): boolean {
    this.#clusters.fingerprint(state, this.#fingerprint);
    if (!this.#seen.add(...this.#fingerprint)) return false;
    this.#parents.push(parent);
    this.#ordinals.push(ordinal);
    return true;
  }

  #isOver(): boolean {
    return this.#seen.size >= (this.#options.statesMax ?? statesMaxDefault) || this.#options.isOver?.() === true;
  }

  #stepsTo(number: number): ClusterStep[] {
    const ordinals: number[] = [];
    for (let at = number; at > 0; at = this.#parents.at(at)) ordinals.push(this.#ordinals.at(at));
    let state = this.#clusters.initial();
    const steps: ClusterStep[] = [];
    for (const ordinal of ordinals.reverse()) {
      const successors = this.#clusters.expand(state);
      assert(!('violation' in successors), 'a state that was expanded is expanded in the same way again');
      const successor = present(successors[ordinal], 'successor');
      steps.push(...successor.steps);
      ({ state } = successor);
    }
    return steps;
  }

  #result(depth: number, isExhausted: boolean, counterexample?: Counterexample): SearchResult {
    const { locals, histories, abstract } = this.#clusters;
    const audited = counterexample === undefined ? locals.audit(this.#options.audits ?? 0) : 0;
    return {
      states: this.#seen.size,
      transitions: this.#transitions,
      depth,
      isExhausted,
      localStates: locals.counts.states,
      localSteps: locals.counts.steps,
      messages: locals.counts.messages,
      histories: histories.size,
      abstractStates: abstract?.size ?? 0,
      audited,
      counterexample,
    };
  }
}
