/**
 * Messages that may wait a moment for the next one to the same peer, which mostly says all that they say:
 *
 *   an acknowledgement of what was acknowledged before, the answer to an append that only told of a commit
 *   an append that only tells of a commit, unless the peer passed on a proposal that the commit covers: then somebody
 *     waits for the news
 *
 * With one client these are half of all that members wake each other for. Nothing is left out but what a later message
 * repeats: a leader that probes a follower, or moves leadership to it, waits for an answer.
 *
 * Example: a client writes to the leader a hundred times a second. Each commit goes to the followers with the append of
 * the next write; after the last one it goes by itself, `patienceMs` late.
 */
import type { Index, Message, Term } from '../core/types.ts';

/** Watchers at followers wait this much longer for a write after which nothing is written; far below a heartbeat. */
export const patienceMs = 2;

type Append = Message & { readonly type: 'app' };
type Ack = Message & { readonly type: 'appResp' };

const isAppend = (message: Message): message is Append => message.type === 'app';
const isAck = (message: Message): message is Ack => message.type === 'appResp' && !message.reject;

/** For one connection to one peer. */
export class Patience {
  #acknowledged: { readonly term: Term; readonly index: Index } | undefined;
  /** Of the newest append: its last entry, which is what a message that only tells of a commit follows. */
  #sent: { readonly term: Term; readonly index: Index } | undefined;
  /** The peer passed on a proposal that no append has gone out for. */
  #isProposing = false;
  /** Its proposals lie up to here; their commit is waited for. */
  #waitedFor = 0;

  /** The peer passed on a proposal. */
  proposed(): void {
    this.#isProposing = true;
  }

  /** Whether `message` may wait. Told of every message that goes to the peer, in order. */
  mayWait(message: Message): boolean {
    if (isAck(message)) return this.#isRepeated(message);
    return isAppend(message) && this.#isIdleNews(message);
  }

  /** Nobody knows what has arrived. Who waits for a proposal still does. */
  reset(): void {
    this.#acknowledged = undefined;
    this.#sent = undefined;
  }

  #isRepeated({ term, index }: Ack): boolean {
    const before = this.#acknowledged;
    this.#acknowledged = { term, index };
    return before?.term === term && before.index === index;
  }

  #isIdleNews({ term, prevIndex, entries, commit }: Append): boolean {
    const before = this.#sent;
    const index = (prevIndex + entries.length) as Index;
    this.#sent = { term, index };
    if (entries.length > 0 && this.#isProposing) {
      this.#isProposing = false;
      this.#waitedFor = index;
    }
    // One that follows something else looks for the place where the logs agree.
    const isNewsOnly = entries.length === 0 && before?.term === term && before.index === index;
    const isWaitedFor = this.#isProposing || this.#waitedFor > 0;
    if (this.#waitedFor <= commit) this.#waitedFor = 0;
    return isNewsOnly && !isWaitedFor;
  }
}

/** Whether `next` says all that `before`, which has not gone out, would have said. */
export function supersedes(next: Message, before: Message): boolean {
  if (next.term !== before.term) return false;
  if (isAck(next)) return isAck(before) && next.index >= before.index;
  if (!isAppend(next) || !isAppend(before) || before.entries.length > 0) return false;
  return next.prevIndex === before.prevIndex && next.commit >= before.commit;
}
