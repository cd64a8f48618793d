/**
 * Raft, once more and as small as it can be: who stood for election, who voted for whom, what leaders' logs held, who held
 * how much of them, what is committed. It shares no code with the implementation and no message with it: it is shown what
 * a member looks like after each step, and every change must be one that these rules allow, or nothing (a refinement
 * check). What it demands is more than the safety properties do: a wrong step that happens to hurt nobody is found as well.
 *
 *   terms       never go back; a new one is begun only by who stands for election in it
 *   votes       one a term, for who stands, and whose log is at least as up to date
 *   leaders     one a term, who stood, with the votes of a majority
 *   logs        a leader only appends entries of its term; others hold a prefix of the leader's, and cut only what differs
 *   commits     by the leader of a term, up to an entry of that term which a majority holds; by others, what is committed
 *
 * observe() is called after every step of a member, restarted() or forget() when it came up again. With `steps: 'one'` every
 * step is shown and the rules are exact; with 'several', steps may have been taken between two observations, and what no
 * sequence of steps could bring about is refused. A member is shown before others can have heard of what it did: one that
 * ends is shown once more as it was at its end, or its last entries seem to come from nowhere.
 */
import {
  type AbstractEntry,
  type AbstractLog,
  commonOf,
  entryAt,
  isSameEntry,
  isTakenFrom,
  isUpToDate,
  lastBefore,
  type LastEntry,
  lastOf,
  termAt,
  textOf,
} from './abstract-log.ts';
import { Facts } from './facts.ts';
import { Violation } from './violation.ts';

export type { AbstractEntry, AbstractLog } from './abstract-log.ts';

export interface MemberView extends AbstractLog {
  readonly term: number;
  /** 0 = nobody. */
  readonly vote: number;
  readonly role: 'follower' | 'preCandidate' | 'candidate' | 'leader';
  readonly committed: number;
  /** A majority of each of these groups makes a quorum: one group, two in joint consensus. */
  readonly voters: readonly (readonly number[])[];
  /** What is certainly on its disk, when the observer knows: then only this counts for quorums, and a restart must keep it. */
  readonly durable?: { readonly term: number; readonly vote: number; readonly lastIndex: number };
}

interface Leadership extends AbstractLog {
  readonly id: number;
}

interface Decided extends AbstractEntry {
  /** The term of the leader that committed it. */
  readonly byTerm: number;
}

const unborn = { term: 0, vote: 0, role: 'follower', committed: 0, base: { index: 0, term: 0 }, entries: [] } as const;

export class AbstractRaft {
  readonly #isExact: boolean;
  #members = new Facts<number, MemberView>(() => '');
  /** `term/member` → the end of its log when it stood for election. */
  #candidacies = new Facts<string, LastEntry>(({ index, term }) => `${index}/${term}`);
  /** `term/voter` → whom it voted for. */
  #votes = new Facts<string, number>(String);
  /** Term → who led it, with the longest log it was seen with in it. */
  #leaders = new Facts<number, Leadership>(
    ({ id, base, entries }) => `${id}:${base.index}/${base.term}[${entries.map(textOf).join(' ')}]`,
  );
  /** `term/member` → up to where it held, in this term, what the term's leader holds. */
  #promised = new Facts<string, number>(String);
  /** The same, as far as it is known to be on its disk. */
  #held = new Facts<string, number>(String);
  #decided = new Facts<number, Decided>((entry) => `${textOf(entry)}by${entry.byTerm}`);
  #decidedUpTo = 0;
  #highestTerm = 0;

  constructor(options: { readonly steps: 'one' | 'several' }) {
    this.#isExact = options.steps === 'one';
  }

  /** One that goes on from here by itself. */
  clone(): AbstractRaft {
    const copy = new AbstractRaft({ steps: this.#isExact ? 'one' : 'several' });
    copy.#members = this.#members.clone();
    copy.#candidacies = this.#candidacies.clone();
    copy.#votes = this.#votes.clone();
    copy.#leaders = this.#leaders.clone();
    copy.#promised = this.#promised.clone();
    copy.#held = this.#held.clone();
    copy.#decided = this.#decided.clone();
    copy.#decidedUpTo = this.#decidedUpTo;
    copy.#highestTerm = this.#highestTerm;
    return copy;
  }

  /** What it knows besides the members' views, as a text that is the same for the same knowledge. */
  describe(): string {
    const known = [this.#candidacies, this.#votes, this.#leaders, this.#promised, this.#held, this.#decided];
    return `${known.map((facts) => facts.describe()).join('|')}|${this.#highestTerm}`;
  }

  /** The member looks like this after its next step. Throws Violation. A member that was never seen begins with nothing. */
  observe(id: number, view: MemberView): void {
    const before = this.#members.get(id) ?? { ...unborn, voters: view.voters };
    this.#checkTerm(id, before, view);
    this.#checkVote(id, before, view);
    this.#checkRole(id, before, view);
    this.#recordVote(id, view);
    if (view.role === 'leader') this.#checkLeader(id, before, view);
    this.#checkLog(id, before, view);
    this.#recordHeld(id, before, view);
    this.#checkCommit(id, before, view);
    this.#highestTerm = Math.max(this.#highestTerm, view.term);
    this.#members.set(id, view);
  }

  /** Its process ended, and another one has begun with what was on the disk: `view` is its first look. */
  restarted(id: number, view: MemberView): void {
    const before = this.#members.get(id) ?? { ...unborn, voters: view.voters };
    if (view.role !== 'follower') refuse('a start', `${id} starts as ${view.role}`);
    if (view.term > before.term)
      refuse('a start', `${id} starts in term ${view.term}, and had only seen ${before.term}`);
    if (before.durable !== undefined) this.#checkKept(id, before, before.durable, view);
    this.#recordVote(id, view);
    this.#recordHeld(id, view, view);
    this.#members.set(id, { ...view, committed: 0 });
    this.#checkDecided(id, { ...view, committed: 0 }, view);
    this.#members.set(id, view);
  }

  /**
   * Its process ended, and nothing is known of what it kept or of its first steps since: `view` is the first that is seen
   * of it. Its log and vote are believed; that it leads or commits something must be allowed as ever.
   */
  forget(id: number, view: MemberView): void {
    const before: MemberView = { ...view, role: 'follower', committed: 0 };
    if (view.term > this.#highestTerm && view.vote !== id)
      refuse('terms', `${id} is in term ${view.term}, which nobody has begun`);
    if (view.vote === id) this.#candidacies.set(`${view.term}/${id}`, lastBefore(view, view.term));
    this.#recordVote(id, view);
    if (view.role === 'leader') this.#checkLeader(id, before, view);
    this.#recordHeld(id, view, view);
    this.#checkCommit(id, before, view);
    this.#highestTerm = Math.max(this.#highestTerm, view.term);
    this.#members.set(id, view);
  }

  #checkKept(id: number, before: MemberView, kept: NonNullable<MemberView['durable']>, view: MemberView): void {
    if (view.term < kept.term) refuse('a start', `${id} starts in term ${view.term}, and had ${kept.term} on its disk`);
    const isForgotten = view.term === kept.term && kept.vote !== 0 && view.vote !== kept.vote;
    if (isForgotten) {
      refuse(
        'a start',
        `${id} had a vote for ${kept.vote} in term ${kept.term} on its disk, and starts with ${view.vote}`,
      );
    }
    for (let index = view.base.index + 1; index <= kept.lastIndex; index++) {
      if (!isSameEntry(entryAt(before, index), entryAt(view, index)))
        refuse('a start', `${id} had entry ${index} on its disk, and starts without it or with another one`);
    }
  }

  #checkTerm(id: number, before: MemberView, view: MemberView): void {
    if (view.term < before.term) refuse('terms', `${id} goes back from term ${before.term} to ${view.term}`);
    if (view.term === before.term) return;
    if (view.term > this.#highestTerm && view.vote !== id)
      refuse('terms', `${id} is in term ${view.term}, which nobody has begun`);
    if (view.vote === id) this.#candidacies.set(`${view.term}/${id}`, lastBefore(view, view.term));
    if (!this.#isExact || view.vote !== id) return;
    if (view.term !== before.term + 1 || view.role !== 'candidate')
      refuse('terms', `${id} stands in term ${view.term} as ${view.role}, coming from term ${before.term}`);
  }

  #checkVote(id: number, before: MemberView, view: MemberView): void {
    const { term, vote } = view;
    if (term === before.term && vote === before.vote) return;
    if (term === before.term && before.vote !== 0) {
      if (vote === 0) refuse('votes', `${id} forgets that it voted for ${before.vote} in term ${term}`);
      refuse('votes', `${id} voted for ${before.vote} in term ${term}, and now for ${vote}`);
    }
    if (vote === 0) return;
    if (vote === id) {
      if (term === before.term) refuse('votes', `${id} votes for itself in term ${term} without having begun it`);
      return;
    }
    const candidate = this.#candidacies.get(`${term}/${vote}`);
    if (candidate === undefined) refuse('votes', `${id} votes for ${vote}, who does not stand in term ${term}`);
    // In several steps the log may have changed before or after the vote.
    if (isUpToDate(candidate, lastOf(before)) || isUpToDate(candidate, lastOf(view))) return;
    const { index, term: lastTerm } = lastOf(view);
    const theirs = `${candidate.index} (term ${candidate.term})`;
    refuse(
      'votes',
      `${id} votes for ${vote} in term ${term}, whose log ends at ${theirs}; its own at ${index} (term ${lastTerm})`,
    );
  }

  #recordVote(id: number, view: MemberView): void {
    const { term, vote } = view.durable ?? view;
    if (vote === 0) return;
    const known = this.#votes.get(`${term}/${id}`);
    if (known !== undefined && known !== vote && view.durable !== undefined)
      refuse('votes', `${id} has voted for ${known} and for ${vote} in term ${term}`);
    this.#votes.set(`${term}/${id}`, vote);
  }

  #checkRole(id: number, before: MemberView, view: MemberView): void {
    if (!this.#isExact) return;
    const isSameTerm = view.term === before.term;
    if (view.role === 'follower') return;
    const [was, is] = [before.role, view.role];
    const isAllowed = {
      preCandidate: isSameTerm && was !== 'leader',
      candidate: isSameTerm ? was === 'candidate' : was !== 'leader' && view.vote === id,
      leader: isSameTerm && (was === 'candidate' || was === 'leader'),
    }[is];
    if (!isAllowed) refuse('roles', `${id} was ${was} of term ${before.term}, and is now ${is} of term ${view.term}`);
  }

  #checkLeader(id: number, before: MemberView, view: MemberView): void {
    const { term } = view;
    if (before.role === 'leader' && before.term === term) return;
    const known = this.#leaders.get(term);
    if (known !== undefined && known.id !== id) refuse('leaders', `${known.id} and ${id} lead term ${term}`);
    if (known !== undefined) refuse('leaders', `${id} leads term ${term} for a second time`);
    if (!this.#candidacies.has(`${term}/${id}`)) refuse('leaders', `${id} leads term ${term} and did not stand in it`);
    const hasVoted = (voter: number) => this.#votes.get(`${term}/${voter}`) === id;
    if (!isQuorum(view.voters, hasVoted) && !isQuorum(before.voters, hasVoted))
      refuse('leaders', `${id} leads term ${term} without the votes of a majority`);
    for (const [index, decided] of this.#decided.entries()) {
      if (decided.byTerm >= term || index <= view.base.index) continue;
      if (!isSameEntry(entryAt(view, index), decided))
        refuse(
          'leaders',
          `${id} leads term ${term} without entry ${index}, which was committed in term ${decided.byTerm}`,
        );
    }
    this.#leaders.set(term, { id, base: before.base, entries: before.entries });
  }

  /** The leaderships whose log the member may have taken a part of. */
  #sources(before: MemberView, view: MemberView): Leadership[] {
    const sources: Leadership[] = [];
    for (let term = this.#isExact ? view.term : before.term; term <= view.term; term++) {
      const leader = this.#leaders.get(term);
      if (leader !== undefined) sources.push(leader);
    }
    return sources;
  }

  #checkLog(id: number, before: MemberView, view: MemberView): void {
    if (before.entries === view.entries && before.base.index === view.base.index) return;
    if (view.base.index > before.base.index) this.#checkBase(id, view);
    const same = commonOf(before, view);
    const isUnchanged = same === lastOf(before).index && same === lastOf(view).index;
    if (isUnchanged) return this.#keepLeadersLog(id, view);
    const led = this.#sources(before, view).filter((leader) => leader.id === id);
    const isAppendOnly = same === lastOf(before).index;
    const added = view.entries.slice(same - view.base.index);
    const ledTerms = [...this.#leaders.entries()].filter(([, leader]) => led.includes(leader)).map(([term]) => term);
    if (isAppendOnly && added.every(({ term }) => ledTerms.includes(term))) return this.#keepLeadersLog(id, view);
    if (this.#isExact && view.role === 'leader')
      refuse('logs', `${id} leads term ${view.term} and changes its log otherwise than by adding entries of its term`);
    const isTaken = this.#sources(before, view).some((leader) => isTakenFrom(leader, view, same));
    // In several steps it may take part after part from one leader after another, as long as all are known to each.
    if (!isTaken && !this.#isExact && this.#isTakenInParts(before, view, same)) return;
    if (!isTaken)
      refuse('logs', `${id} has in term ${view.term} a log that is no part of a leader's: it differs after ${same}`);
    const isCut = same < lastOf(before).index && view.base.index <= same;
    if (isCut && same < before.committed)
      refuse('logs', `${id} cuts its log after ${same}, and ${before.committed} is committed`);
    if (isCut && this.#isExact && lastOf(view).index <= same)
      refuse('logs', `${id} cuts its log after ${same}, where nothing differs`);
  }

  #isTakenInParts(before: MemberView, view: MemberView, same: number): boolean {
    const sources = this.#sources(before, view);
    for (let index = same + 1; index <= lastOf(view).index; index++) {
      const entry = entryAt(view, index);
      if (entry !== undefined && !sources.some((leader) => isSameEntry(entryAt(leader, index), entry))) return false;
    }
    return true;
  }

  #checkBase(id: number, view: MemberView): void {
    const { index, term } = view.base;
    if (index > view.committed)
      refuse('logs', `${id} has compacted up to ${index}, and committed only ${view.committed}`);
    const decided = this.#decided.get(index);
    if (decided !== undefined && decided.term !== term)
      refuse('logs', `${id} begins after ${index} (term ${term}), where an entry of term ${decided.term} is committed`);
  }

  #keepLeadersLog(id: number, view: MemberView): void {
    const led = this.#leaders.get(view.term);
    // One that led and was started again may have lost what it had not told anybody.
    if (led?.id !== id || (view.role !== 'leader' && lastOf(view).index <= lastOf(led).index)) return;
    this.#leaders.set(view.term, { id, base: view.base, entries: view.entries });
  }

  /**
   * What the member holds of its leader's log counts as acknowledged: it will tell, or has told. When the disk is known,
   * it counts once it is there; the member may have gone on to another term by then.
   */
  #recordHeld(id: number, before: MemberView, view: MemberView): void {
    const first = this.#isExact ? view.term : Math.min(before.term, view.term);
    for (let term = first; term <= view.term; term++)
      this.#raise(this.#promised, `${term}/${id}`, this.#common(term, view));
    if (view.durable === undefined) return;
    for (const term of this.#leaders.keys()) {
      const promised = this.#promised.get(`${term}/${id}`) ?? 0;
      this.#raise(this.#held, `${term}/${id}`, Math.min(promised, this.#common(term, view), view.durable.lastIndex));
    }
  }

  #raise(facts: Facts<string, number>, key: string, value: number): void {
    if (value > (facts.get(key) ?? 0)) facts.set(key, value);
  }

  /** Up to where a log holds what the leader of `term` holds. */
  #common(term: number, log: AbstractLog): number {
    const leader = this.#leaders.get(term);
    if (leader === undefined) return 0;
    let index = Math.min(lastOf(log).index, lastOf(leader).index);
    while (index > 0 && termAt(log, index) !== termAt(leader, index)) index -= 1;
    return index;
  }

  #checkCommit(id: number, before: MemberView, view: MemberView): void {
    if (view.committed < before.committed)
      refuse('commits', `${id} goes back from commit ${before.committed} to ${view.committed}`);
    if (view.committed === before.committed) return;
    if (view.committed > lastOf(view).index)
      refuse('commits', `${id} commits ${view.committed}, and its log ends at ${lastOf(view).index}`);
    if (view.committed > this.#decidedUpTo) this.#decide(id, before, view);
    this.#checkDecided(id, before, view);
  }

  /** Only a leader commits what nobody has committed. */
  #decide(id: number, before: MemberView, view: MemberView): void {
    const { committed } = view;
    const lastTerm = termAt(view, committed);
    for (let term = this.#isExact ? view.term : before.term; term <= view.term; term++) {
      const isOwn = this.#leaders.get(term)?.id === id && lastTerm === term;
      const acknowledged = view.durable === undefined ? this.#promised : this.#held;
      const holds = (voter: number) => (acknowledged.get(`${term}/${voter}`) ?? 0) >= committed;
      if (!isOwn || !(isQuorum(view.voters, holds) || isQuorum(before.voters, holds))) continue;
      for (let index = this.#decidedUpTo + 1; index <= committed; index++) {
        const entry = entryAt(view, index) ?? entryAt(before, index);
        if (entry !== undefined) this.#decided.set(index, { ...entry, byTerm: term });
      }
      this.#decidedUpTo = committed;
      return;
    }
    if (this.#leaders.get(view.term)?.id !== id)
      refuse('commits', `${id} commits ${committed}, and nobody has committed more than ${this.#decidedUpTo}`);
    if (lastTerm !== view.term)
      refuse(
        'commits',
        `${id} leads term ${view.term} and commits ${committed}, an entry of term ${lastTerm}, by counting`,
      );
    refuse('commits', `${id} commits ${committed} in term ${view.term}, and no majority holds it`);
  }

  #checkDecided(id: number, before: MemberView, view: MemberView): void {
    if (view.committed > this.#decidedUpTo)
      refuse('commits', `${id} takes ${view.committed} for committed, and only ${this.#decidedUpTo} is`);
    for (let index = Math.max(before.committed, view.base.index) + 1; index <= view.committed; index++) {
      const decided = this.#decided.get(index);
      if (decided !== undefined && !isSameEntry(entryAt(view, index), decided))
        refuse(
          'commits',
          `${id} commits another entry ${index} than the one of term ${decided.term} that is committed`,
        );
    }
  }
}

function refuse(rule: string, detail: string): never {
  throw new Violation(`refinement, ${rule}`, detail);
}

function isQuorum(groups: readonly (readonly number[])[], agrees: (member: number) => boolean): boolean {
  const full = groups.filter((group) => group.length > 0);
  return full.length > 0 && full.every((group) => group.filter(agrees).length > group.length / 2);
}
