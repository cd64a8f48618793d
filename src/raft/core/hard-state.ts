/**
 * Term, vote and commit on their way to the disk: what was handed out last, what is in flight, what is durable. A
 * candidate counts its own vote only when the vote is durable.
 */
import { assert } from '../../env/assert.ts';
import type { HardState, PersistToken, ReplicaId, Term } from './types.ts';

export class HardStateTracker {
  /** What the newest record holds. */
  handed: HardState;
  /** What certainly survives a crash. */
  durable: HardState;
  #inFlight: { readonly token: PersistToken; readonly hardState: HardState }[] = [];

  constructor(restored: HardState) {
    this.handed = restored;
    this.durable = restored;
  }

  isChanged(now: HardState): boolean {
    return this.isPromiseChanged(now) || now.commit !== this.handed.commit;
  }

  /** Term and vote must be synced before anybody hears of them; commit is only a hint. */
  isPromiseChanged(now: HardState): boolean {
    return now.term !== this.handed.term || now.vote !== this.handed.vote;
  }

  submit(token: PersistToken, hardState: HardState, mustSync: boolean): void {
    assert(hardState.term >= this.handed.term, 'terms never go back');
    assert(hardState.commit >= this.handed.commit, 'commit never goes back');
    assert(
      hardState.term > this.handed.term || this.handed.vote === 0 || hardState.vote === this.handed.vote,
      () => `a second vote in term ${hardState.term}: ${this.handed.vote}, then ${hardState.vote}`,
    );
    this.handed = hardState;
    if (mustSync) this.#inFlight.push({ token, hardState });
  }

  complete(token: PersistToken): void {
    while (true) {
      const oldest = this.#inFlight[0];
      if (oldest === undefined || oldest.token > token) return;
      assert(oldest.hardState.term >= this.durable.term, 'records become durable in order');
      this.durable = oldest.hardState;
      this.#inFlight.shift();
    }
  }

  /** True when a vote for `candidate` in `term` is on disk. */
  isVoteDurable(term: Term, candidate: ReplicaId): boolean {
    return this.durable.term === term && this.durable.vote === candidate;
  }
}
