/**
 * A replica whose log lost entries that it may have acknowledged (damage found at a start: RestoredState.lostUpTo). Others
 * counted these acknowledgements, so until it holds the entries again it must not help anybody to lead who lacks them.
 *
 *   it does not campaign
 *   it votes only for a candidate whose log is at least what its own may have been: such a vote the whole log had given
 *     too. (Two voters would otherwise never elect anybody again after a loss of one.)
 *   it follows, acknowledges what it holds, and tells the leader to forget what it believed (an append refused at index 0)
 *
 * It is over once the log equals a leader's up to `upTo`, or up to an entry of a term after the loss: a leader of a term
 * from `term` on was elected without this replica's vote, or with one given to a log like the lost one; so it has what
 * was committed with the lost acknowledgements, at or before these places.
 *
 * This needs the term and the vote of the time before the loss. A replica that lost those as well has to join as a new
 * one (docs/decisions/0008).
 */
import { assert } from '../../env/assert.ts';
import type { LogPoint } from './log.ts';
import { maxIndex } from './numbers.ts';
import type { Loss, RaftState } from './state.ts';
import type { Index, RestoredState } from './types.ts';

/** What was lost, when the restored log does not reach what it may have acknowledged. */
export function lossOf(restored: RestoredState): Loss | undefined {
  if (restored.lostUpTo === undefined) return undefined;
  const { hardState, snapshot, entries } = restored;
  // The commit index on disk counts what was durable here.
  const upTo = maxIndex(restored.lostUpTo, hardState.commit);
  const term = restored.lostTerm ?? hardState.term;
  assert(term <= hardState.term, () => `entries of term ${term} were lost, but the hard state is of ${hardState.term}`);
  if ((entries.at(-1)?.index ?? snapshot.index) >= upTo) return undefined;
  return { upTo, term, isAppendUnderWay: false };
}

/** True when the lost log, too, would have let a candidate with this last entry win. */
export function wouldLostLogAgree(loss: Loss | undefined, last: LogPoint): boolean {
  assert(last.index >= 0 && last.term >= 0, 'a log ends somewhere');
  if (loss === undefined) return true;
  return last.term > loss.term || (last.term === loss.term && last.index >= loss.upTo);
}

/** The log is now equal to the leader's up to `matched`. */
export function endLossAt(state: RaftState, matched: Index): void {
  const { loss, log } = state;
  if (loss === undefined) return;
  assert(state.role === 'follower' && matched <= log.lastIndex, 'a follower gets its entries back');
  loss.isAppendUnderWay = true;
  const term = log.termAt(matched);
  if (matched >= loss.upTo || (term !== undefined && term > loss.term)) state.loss = undefined;
}

/** A replica without its log neither leads nor tries to. */
export function checkLoss({ loss, role, log }: RaftState): void {
  if (loss === undefined) return;
  assert(role === 'follower', () => `a replica that lost entries up to ${loss.upTo} is ${role}`);
  assert(log.lastIndex < loss.upTo, 'what is lost is not there');
}
