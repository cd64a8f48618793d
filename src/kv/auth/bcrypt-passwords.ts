/**
 * Passwords over bcryptjs on a thread of its own: a hash of the usual cost takes some 60 ms, and bcryptjs gives the loop a
 * turn only every 100 ms. The thread begins with the first password and ends when none has come for a while, so that a
 * member without auth does not pay for it.
 */
import { Worker } from 'node:worker_threads';
import { assert } from '../../env/assert.ts';
import type { Cancel, Clock } from '../../env/clock.ts';
import { KeelsonError } from '../../env/errors.ts';
import { KvError } from '../errors.ts';
import { bcryptCostMax, bcryptCostMin, isBcryptHash, passwordBytesMax, type Passwords } from './passwords.ts';

export type BcryptJob =
  | { readonly id: number; readonly kind: 'hash'; readonly password: string; readonly cost: number }
  | { readonly id: number; readonly kind: 'compare'; readonly password: string; readonly hash: string };

export type BcryptAnswer =
  | { readonly id: number; readonly result: string | boolean }
  | { readonly id: number; readonly error: string };

/** `Omit` that leaves a union one. */
type JobFields = BcryptJob extends infer Job ? (Job extends BcryptJob ? Omit<Job, 'id'> : never) : never;

/** At some 15 a second, more would wait longer than a client does. */
const jobsMax = 64;
const idleMs = 30_000;
/** bcrypt needs 4 KB; the rest is the runtime. */
const heapMegabytes = 32;

interface Waiting {
  readonly resolve: (result: string | boolean) => void;
  readonly reject: (error: Error) => void;
}

export interface BcryptOptions {
  readonly clock: Clock;
  readonly cost: number;
  readonly jobsMax?: number;
}

export function createBcryptPasswords(options: BcryptOptions): Passwords {
  return new BcryptPasswords(options);
}

class BcryptPasswords implements Passwords {
  readonly cost: number;
  readonly #clock: Clock;
  readonly #jobsMax: number;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #nextId = 1;
  #cancelIdle: Cancel | undefined;
  #isClosed = false;

  constructor({ clock, cost, jobsMax: limit = jobsMax }: BcryptOptions) {
    assert(cost >= bcryptCostMin && cost <= bcryptCostMax, () => `bcrypt has no cost ${cost}`);
    this.#clock = clock;
    this.cost = cost;
    this.#jobsMax = limit;
  }

  async hash(password: string): Promise<string> {
    if (Buffer.byteLength(password, 'utf8') > passwordBytesMax) throw new KvError('passwordTooLong');
    const hash = await this.#carryOut({ kind: 'hash', password, cost: this.cost });
    assert(typeof hash === 'string' && isBcryptHash(hash), 'a password’s hash is one of bcrypt');
    return hash;
  }

  async matches(password: string, hash: string): Promise<boolean> {
    if (!isBcryptHash(hash)) return false;
    const isMatch = await this.#carryOut({ kind: 'compare', password, hash });
    assert(typeof isMatch === 'boolean', 'a password matches or not');
    return isMatch;
  }

  close(): void {
    this.#isClosed = true;
    this.#end(new KvError('stopped'));
  }

  #carryOut(fields: JobFields): Promise<string | boolean> {
    if (this.#isClosed) return Promise.reject(new KvError('stopped'));
    if (this.#waiting.size >= this.#jobsMax) return Promise.reject(new KvError('tooManyRequests'));
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<string | boolean>();
    this.#waiting.set(id, { resolve, reject });
    this.#cancelIdle?.();
    this.#worker ??= this.#begin();
    this.#worker.postMessage({ ...fields, id } satisfies BcryptJob);
    return promise;
  }

  #begin(): Worker {
    // The sources run as they are, and as JavaScript once built.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./bcrypt-worker.${extension}`, import.meta.url), {
      name: 'bcrypt',
      resourceLimits: { maxOldGenerationSizeMb: heapMegabytes },
    });
    worker.unref();
    worker.on('message', (answer: BcryptAnswer) => this.#answered(answer));
    worker.on('error', (cause) => {
      if (this.#worker !== worker) return;
      this.#end(
        new KeelsonError('PASSWORD_THREAD', 'check a password: the thread for it has failed; try again', { cause }),
      );
    });
    return worker;
  }

  #answered(answer: BcryptAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    if (waiting === undefined) return;
    this.#waiting.delete(answer.id);
    if ('error' in answer) waiting.reject(new KeelsonError('PASSWORD_HASH', `check a password: ${answer.error}`));
    else waiting.resolve(answer.result);
    if (this.#waiting.size === 0) this.#cancelIdle = this.#clock.after(idleMs, () => this.#end(new KvError('stopped')));
  }

  #end(error: Error): void {
    this.#cancelIdle?.();
    this.#cancelIdle = undefined;
    const worker = this.#worker;
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    void worker?.terminate();
  }
}
