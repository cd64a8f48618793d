/**
 * Acknowledgements that tell a leader nothing new. Each append that only tells of a commit is answered with the index that was
 * acknowledged before; with one client that is a third of all a leader is woken for. Such an answer may wait for a few
 * milliseconds, for the next message to go along with, which mostly is the next acknowledgement and says all it says.
 *
 * They are not left out: a leader that probes a follower, or moves leadership to it, waits for one.
 */
import type { Message, Term } from '../core/types.ts';

/** Well under a heartbeat, and far more than the time to the next write of a client that waits for each. */
export const repeatedAckWaitMs = 10;

type Ack = Message & { readonly type: 'appResp' };

const isAck = (message: Message): message is Ack => message.type === 'appResp' && !message.reject;

/** For one connection to one peer. */
export class RepeatedAcks {
  #term: Term | undefined;
  #index = -1;

  /** Whether `message` may wait. Told of every message that goes to the peer, in order. */
  mayWait(message: Message): boolean {
    if (!isAck(message)) return false;
    const isRepeated = message.term === this.#term && message.index === this.#index;
    this.#term = message.term;
    this.#index = message.index;
    return isRepeated;
  }

  /** Nobody knows what has arrived. */
  reset(): void {
    this.#term = undefined;
    this.#index = -1;
  }
}

/** Whether `next` says all that `before`, which has not gone out, would have said. */
export function supersedes(next: Message, before: Message): boolean {
  return isAck(next) && isAck(before) && next.term === before.term && next.index >= before.index;
}
