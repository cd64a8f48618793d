/**
 * Many small questions to one member, asked together: one call costs a hundred times what one more question in it does. A
 * question that comes while nothing is under way leaves at once; what comes while a call is under way makes the next one. So
 * nobody waits for company, and the more is asked the larger the calls become.
 *
 *   a ──▶ call(a) ───────────▶ answer
 *            b c d wait ──▶ call(b c d) ──▶ answers       one call under way at a time
 *
 * A call that takes longer than `patienceMs` does not hold up what came after it: that leaves then, beside it. The caller owes
 * answers in the order of the questions, and a call that ends by itself: nobody who asks can end it for the others.
 */
import { assert } from '../../env/assert.ts';
import type { Cancel, Clock } from '../../env/clock.ts';
import { KeelsonError } from '../../env/errors.ts';
import { KvError } from '../errors.ts';

/** Questions of one call: some 10 KiB, and a millisecond of the other member's event loop, which others wait for too. */
export const questionsPerCallMax = 1_000;
/** Questions that wait for a call, each held by a client's stream: about as many as there are answers to give in a second. */
const waitingMax = 50_000;
/** Far above the way there and back, far below what a client waits for. */
const patienceMs = 50;

interface Waiting<Question, Answer> {
  readonly question: Question;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

export class QuestionBatches<Question, Answer> {
  readonly #clock: Clock;
  readonly #call: (questions: readonly Question[]) => Promise<readonly Answer[]>;
  #waiting: Waiting<Question, Answer>[] = [];
  #callsUnderWay = 0;
  #cancelPatience: Cancel | undefined;

  constructor(clock: Clock, call: (questions: readonly Question[]) => Promise<readonly Answer[]>) {
    this.#clock = clock;
    this.#call = call;
  }

  /** Rejects with what its call failed with, or with `tooManyRequests`. */
  ask(question: Question): Promise<Answer> {
    if (this.#waiting.length >= waitingMax) return Promise.reject(new KvError('tooManyRequests'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ question, resolve, reject });
      if (this.#waiting.length > 1) return;
      // What else is asked in this turn goes along.
      if (this.#callsUnderWay === 0) queueMicrotask(() => this.#callAll());
      else this.#cancelPatience = this.#clock.after(patienceMs, () => this.#callAll());
    });
  }

  #callAll(): void {
    this.#cancelPatience?.();
    this.#cancelPatience = undefined;
    while (this.#waiting.length > 0) void this.#callOnce(this.#waiting.splice(0, questionsPerCallMax));
  }

  async #callOnce(asked: readonly Waiting<Question, Answer>[]): Promise<void> {
    assert(asked.length > 0 && asked.length <= questionsPerCallMax, 'a call asks something, and not too much');
    this.#callsUnderWay += 1;
    try {
      const answers = await this.#call(asked.map(({ question }) => question));
      if (answers.length !== asked.length) {
        throw new KeelsonError('BAD_ANSWER', `ask the leader: ${asked.length} questions got ${answers.length} answers`);
      }
      asked.forEach(({ resolve }, place) => resolve(answers[place] as Answer));
    } catch (error) {
      for (const { reject } of asked) reject(error);
    } finally {
      this.#callsUnderWay -= 1;
      if (this.#callsUnderWay === 0) this.#callAll();
    }
  }
}
