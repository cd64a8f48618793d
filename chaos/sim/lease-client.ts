/**
 * A client that holds leases, one after another: it is granted one, hangs keys on it, renews it, asks what remains of it,
 * revokes it or lets it go. What it was told is written down for check/leases.ts; its puts join the history.
 */
import type { Credentials } from '../../src/kv/server/auth-contract.ts';
import type { History } from '../check/history.ts';
import type { LeaseCall, LeaseCallKind } from '../check/leases.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimMember } from './sim-member.ts';
import { perform } from './perform.ts';

export interface LeaseClientOptions {
  readonly scheduler: Scheduler;
  readonly members: readonly SimMember[];
  readonly history: History;
  readonly calls: LeaseCall[];
  readonly random: SeededRandom;
  readonly thinkMs: number;
  readonly from: Credentials | undefined;
}

interface Held {
  readonly id: bigint;
}

export class LeaseClient {
  readonly #options: LeaseClientOptions;
  readonly #number: number;
  #held: Held | undefined;
  #counter = 0;
  #isStopped = false;
  #waitsFor: { readonly member: SimMember; readonly give: () => void; readonly gone: AbortController } | undefined;

  constructor(options: LeaseClientOptions, number: number) {
    this.#options = options;
    this.#number = number;
  }

  start(): void {
    this.#schedule();
  }

  stop(): void {
    this.#isStopped = true;
    this.#waitsFor?.gone.abort(new Error('the client has gone'));
  }

  memberCrashed(member: SimMember): void {
    if (this.#waitsFor?.member === member) this.#waitsFor.give();
  }

  #schedule(): void {
    const { scheduler, random, thinkMs } = this.#options;
    scheduler.afterMs(random.next() * 2 * thinkMs, () => {
      if (!this.#isStopped) this.#once();
    });
  }

  #once(): void {
    const { members, random } = this.#options;
    const member = members[random.integer(0, members.length - 1)] as SimMember;
    if (member.server === undefined) return this.#schedule();
    const gone = new AbortController();
    let isOver = false;
    const give = () => {
      if (isOver) return;
      isOver = true;
      this.#waitsFor = undefined;
      this.#schedule();
    };
    this.#waitsFor = { member, give, gone };
    // An answer that comes after the client gave up is not heard.
    this.#act(member, gone.signal, () => !isOver).then(give, give);
  }

  async #act(member: SimMember, signal: AbortSignal, isHeard: () => boolean): Promise<void> {
    const held = this.#held;
    if (held === undefined) return this.#grant(member, isHeard);
    const dice = this.#options.random.next();
    const lease = String(held.id);
    if (dice < 0.35) return this.#put(member, lease, isHeard);
    if (dice < 0.7) {
      return this.#call('keepAlive', lease, isHeard, () =>
        member.call((server) => server.leaseKeepAlive(held.id, signal, this.#options.from)),
      );
    }
    if (dice < 0.84) {
      return this.#call('timeToLive', lease, isHeard, async () => {
        const remaining = await member.call((server) =>
          server.leaseTimeToLive(held.id, true, signal, this.#options.from),
        );
        return remaining.ttlSeconds;
      });
    }
    this.#held = undefined;
    // Otherwise it is let go, and has to end by itself.
    if (dice > 0.93) return;
    return this.#call('revoke', lease, isHeard, async () => {
      await member.call((server) => server.leaseRevoke(held.id, this.#options.from));
      return 0;
    });
  }

  async #grant(member: SimMember, isHeard: () => boolean): Promise<void> {
    const { random } = this.#options;
    const id = BigInt(this.#number * 1_000_000 + ++this.#counter);
    // Keys may be hung on it although nobody said that it is there.
    this.#held = { id };
    const ttlSeconds = random.next() < 0.7 ? 1 : 2;
    return this.#call('grant', String(id), isHeard, async () => {
      const granted = await member.call((server) => server.leaseGrant(id, ttlSeconds, this.#options.from));
      return granted.ttlSeconds;
    });
  }

  async #put(member: SimMember, lease: string, isHeard: () => boolean): Promise<void> {
    const { history, random, from } = this.#options;
    const key = `l${this.#number}.${random.integer(1, 3)}`;
    const operation = { kind: 'put', key, value: `${this.#number}.${this.#counter++}`, lease } as const;
    const entry = history.invoke(this.#number, operation);
    const outcome = await member.call((server) => perform(server, operation, from));
    if (isHeard()) history.succeed(entry, outcome);
  }

  async #call(kind: LeaseCallKind, lease: string, isHeard: () => boolean, ask: () => Promise<number>): Promise<void> {
    const { scheduler, calls } = this.#options;
    const nowMs = () => scheduler.nowUs / 1000;
    const call = { kind, lease, invokedMs: nowMs(), returnedMs: undefined as number | undefined, ttlSeconds: 0 };
    calls.push(call);
    const ttlSeconds = await ask();
    if (!isHeard()) return;
    call.ttlSeconds = ttlSeconds;
    call.returnedMs = nowMs();
    if (ttlSeconds <= 0) this.#held = undefined;
  }
}
