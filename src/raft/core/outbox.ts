/**
 * What the core wants to say, until the next Ready takes it: messages that may leave at once, messages that promise
 * something and so wait for the disk, and answers to reads. Bounded by the input since the last Ready, as every call of
 * the core adds at most a few messages per member; the host takes a Ready after every batch of calls.
 */
import { assert } from '../../env/assert.ts';
import type { Message, MessageType, ReadState } from './types.ts';

/**
 * Which messages promise that something is on disk. This is the one place that decides it.
 *   vote                       "I am at this term and have voted for myself, and this is my log"
 *   voteResp, preVoteResp      "I have not voted for anybody else, and never will in this term"
 *   appResp                    "I hold the log up to here"; a refused append promises nothing (promisesNothing below)
 */
export const waitsForDisk: Readonly<Record<MessageType, boolean>> = {
  vote: true,
  voteResp: true,
  preVoteResp: true,
  appResp: true,
  app: false,
  heartbeat: false,
  heartbeatResp: false,
  preVote: false,
  snap: false,
  timeoutNow: false,
  prop: false,
  readIndex: false,
  readIndexResp: false,
  transferLeader: false,
};

/** A refusal only helps the leader to find the place where the logs agree; the sooner it does, the better. */
function promisesNothing(message: Message): boolean {
  return message.type === 'appResp' && message.reject;
}

export class Outbox {
  #messages: Message[] = [];
  #sealed: Message[] = [];
  #readStates: ReadState[] = [];
  #droppedReads: number[] = [];

  send(message: Message): void {
    assert(message.from !== message.to, 'nobody sends to themselves');
    assert(message.to > 0 && message.from > 0, 'a message goes from somebody to somebody');
    const waits = waitsForDisk[message.type] && !promisesNothing(message);
    (waits ? this.#sealed : this.#messages).push(message);
  }

  answerRead(read: ReadState): void {
    assert(read.context > 0, 'a read has a context');
    this.#readStates.push(read);
  }

  dropRead(context: number): void {
    assert(context > 0, 'a read has a context');
    this.#droppedReads.push(context);
  }

  isEmpty(): boolean {
    return this.#messages.length + this.#readStates.length + this.#droppedReads.length === 0 && !this.hasSealed();
  }

  hasSealed(): boolean {
    return this.#sealed.length > 0;
  }

  /** Everything, once. */
  take(): { messages: Message[]; sealed: Message[]; readStates: ReadState[]; droppedReads: number[] } {
    const taken = {
      messages: this.#messages,
      sealed: this.#sealed,
      readStates: this.#readStates,
      droppedReads: this.#droppedReads,
    };
    this.#messages = [];
    this.#sealed = [];
    this.#readStates = [];
    this.#droppedReads = [];
    assert(this.isEmpty(), 'an outbox that was taken is empty');
    return taken;
  }
}
