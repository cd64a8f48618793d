/** What peers send, looked at before the core sees it: addressed to this member, and nothing a true peer could not say. */
import { assert } from '../../env/assert.ts';
import type { Clock } from '../../env/clock.ts';
import { KeelsonError } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { Message, RaftCore, ReplicaId } from '../core/types.ts';
import { faultOf } from './check-message.ts';
import type { RaftNodeOptions } from './contract.ts';
import { RefusedMessages } from './refused-messages.ts';

export interface MessageIntakeOptions {
  readonly id: ReplicaId;
  readonly core: RaftCore;
  readonly stateMachine: RaftNodeOptions['stateMachine'];
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly log: Log;
}

export class MessageIntake {
  readonly #options: MessageIntakeOptions;
  readonly #refused: RefusedMessages;
  #count = 0;

  constructor(options: MessageIntakeOptions) {
    assert(options.id !== 0, 'a member has an id');
    this.#options = options;
    this.#refused = new RefusedMessages(options.clock, options.log);
  }

  /** Messages that were for this member. */
  get count(): number {
    return this.#count;
  }

  /** Of these, those that a true peer could not have sent. */
  get refusedCount(): number {
    return this.#refused.count;
  }

  /** From the network: a wrong address book is somebody's mistake, not a broken invariant. */
  takes(message: Message): boolean {
    const { id, log } = this.#options;
    if (message.to !== id || message.from === id || message.from === 0) {
      log.warn('dropped a message that is not for this member', { from: message.from, to: message.to });
      return false;
    }
    // A snapshot without its content would be accepted and then not be there.
    if (message.type === 'snap') return false;
    this.#count += 1;
    return true;
  }

  /** Throws KeelsonError NOT_ADDRESSED, or BAD_PEER_MESSAGE: the sender waits for an answer. */
  takeSnapshot(message: Message & { type: 'snap' }): void {
    const { id } = this.#options;
    if (message.to !== id) {
      throw new KeelsonError('NOT_ADDRESSED', `snapshot for ${message.to} arrived at ${id}`);
    }
    this.#count += 1;
    this.refuseFalse(message);
  }

  /** Whether the core may see it; what it may not is counted and told. */
  isTrue(message: Message): boolean {
    const fault = this.#faultOf(message);
    if (fault !== undefined) this.#refused.add(message, fault);
    return fault === undefined;
  }

  /** Throws KeelsonError BAD_PEER_MESSAGE. */
  refuseFalse(message: Message): void {
    const fault = this.#faultOf(message);
    if (fault === undefined) return;
    this.#refused.add(message, fault);
    throw new KeelsonError('BAD_PEER_MESSAGE', `member ${message.from} sent ${message.type}: ${fault}`);
  }

  #faultOf(message: Message): string | undefined {
    const { core, stateMachine } = this.#options;
    return faultOf(message, core.standing(), (kind, data) => stateMachine.understands?.(kind, data) ?? true);
  }
}
