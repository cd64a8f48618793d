/**
 * The abstract Raft (chaos/check/abstract-raft.ts) beside the search: each step of a member is judged with what happened
 * on the way there. This knowledge is no part of a cluster's state: of several ways into one state the first one's goes on.
 * So every step of the search is judged, each with one history that really leads there.
 */
import { assert } from '../../src/env/assert.ts';
import { AbstractRaft, type MemberView } from '../check/abstract-raft.ts';
import type { Local } from './local-states.ts';

/** Local states and pieces of knowledge are fewer than this, so that two numbers make one key. */
const most = 2 ** 26;

export interface Knowledge {
  readonly id: number;
  readonly raft: AbstractRaft;
}

export class AbstractStates {
  readonly #voters: readonly (readonly number[])[];
  readonly #known = new Map<string, Knowledge>();
  readonly #after = new Map<number, Knowledge>();

  constructor(members: number) {
    this.#voters = [Array.from({ length: members }, (_, at) => at + 1)];
  }

  get size(): number {
    return this.#known.size;
  }

  initial(locals: readonly Local[]): Knowledge {
    return this.#intern(new AbstractRaft({ steps: 'one' }), locals);
  }

  /** `locals` are the members after the step, one of which is `changed`. Throws Violation. */
  after(knowledge: Knowledge, locals: readonly Local[], changed: Local, isRestart: boolean): Knowledge {
    const key = (knowledge.id * most + changed.id) * 2 + (isRestart ? 1 : 0);
    const known = this.#after.get(key);
    if (known !== undefined) return known;
    assert(changed.id < most && knowledge.id < most, 'states are counted');
    const raft = knowledge.raft.clone();
    const view = this.#viewOf(changed);
    if (isRestart) raft.restarted(changed.member, view);
    else raft.observe(changed.member, view);
    const next = this.#intern(raft, locals);
    this.#after.set(key, next);
    return next;
  }

  #intern(raft: AbstractRaft, locals: readonly Local[]): Knowledge {
    const text = `${raft.describe()}|${locals.map(({ id }) => id).join(' ')}`;
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const knowledge = { id: this.#known.size, raft };
    this.#known.set(text, knowledge);
    return knowledge;
  }

  #viewOf({ view, entries, disk }: Local): MemberView {
    const { term, vote, role, committed, durable } = view;
    return {
      term,
      vote,
      role,
      committed,
      entries,
      base: { index: 0, term: 0 },
      voters: this.#voters,
      durable: { term: disk.hardState.term, vote: disk.hardState.vote, lastIndex: durable },
    };
  }
}
