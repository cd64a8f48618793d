/**
 * One member's process, and what is due for it: when it is started again, and when it goes on. What is done to it is done
 * one after the other; of two ends of the same kind the later one counts.
 */
import type { Cancel, Clock } from '../../src/env/clock.ts';
import type { Later } from './later.ts';
import type { MemberClock } from './member-clock.ts';
import type { MemberDisk } from './member-disk.ts';
import type { MemberProcess } from './member-process.ts';
import { Turns } from './turns.ts';
import type { PlannedMember } from './world-plan.ts';

interface Due {
  readonly atMs: number;
  readonly cancel: Cancel;
}

export class MemberControl {
  readonly planned: PlannedMember;
  readonly process: MemberProcess;
  /** Of its own; absent: it shares the world's. */
  readonly disk: MemberDisk | undefined;
  /** Of its own; absent: it goes by true time. */
  readonly clock: MemberClock | undefined;
  readonly #trueClock: Clock;
  readonly #later: Later;
  readonly #turns = new Turns();
  #restart: Due | undefined;
  #resume: Due | undefined;

  constructor(options: {
    readonly planned: PlannedMember;
    readonly process: MemberProcess;
    readonly disk: MemberDisk | undefined;
    readonly clock: MemberClock | undefined;
    readonly trueClock: Clock;
    readonly later: Later;
  }) {
    this.planned = options.planned;
    this.process = options.process;
    this.disk = options.disk;
    this.clock = options.clock;
    this.#trueClock = options.trueClock;
    this.#later = options.later;
  }

  /**
   * Kills it if it is up, does `meanwhile`, and sees to it that it is started no sooner than `downMs` from now. Resolves
   * when it is down and `meanwhile` is done; false when it was down before.
   */
  async crash(downMs: number, meanwhile?: () => Promise<void>): Promise<boolean> {
    const wasUp = this.process.isUp;
    this.#startIn(downMs);
    await this.#next(async () => {
      await this.process.kill();
      await meanwhile?.();
    });
    return wasUp;
  }

  /** Asks it to end, and sees to it that it is started no sooner than `downMs` from now, and after it has ended. */
  stop(downMs: number): boolean {
    if (!this.process.isUp) return false;
    this.#startIn(downMs);
    this.#later.background(() => this.#next(() => this.process.stop()));
    return true;
  }

  #startIn(downMs: number): void {
    const atMs = Math.max(this.#trueClock.monotonicMs() + downMs, this.#restart?.atMs ?? 0);
    this.#restart?.cancel();
    this.#restart = { atMs, cancel: this.#later.after(atMs - this.#trueClock.monotonicMs(), () => this.start()) };
  }

  /** Starts it if it is down, before its time if need be. */
  async start(): Promise<void> {
    this.#restart?.cancel();
    this.#restart = undefined;
    await this.#next(async () => {
      await this.#makeWhole();
      await this.process.start();
    });
  }

  /** A disk that broke under a process stays broken for it: it ends first. */
  async #makeWhole(): Promise<void> {
    if (this.disk === undefined || !this.disk.isBroken) return;
    await this.process.kill();
    await this.disk.repair();
  }

  /** Something else that is done in its turn. */
  async inTurn(action: () => Promise<void>): Promise<void> {
    await this.#next(action);
  }

  async #next(action: () => Promise<void>): Promise<void> {
    await this.#turns.take(action);
  }

  /** False when it is down. */
  pause(pauseMs: number): boolean {
    if (!this.process.setPaused(true)) return false;
    const atMs = Math.max(this.#trueClock.monotonicMs() + pauseMs, this.#resume?.atMs ?? 0);
    this.#resume?.cancel();
    this.#resume = { atMs, cancel: this.#later.after(atMs - this.#trueClock.monotonicMs(), () => this.resume()) };
    return true;
  }

  /** Lets it go on, before its time if need be. */
  resume(): void {
    this.#resume?.cancel();
    this.#resume = undefined;
    if (this.process.isPaused) this.process.setPaused(false);
  }

  /** Resolves when nothing is being done to it any more. */
  async settled(): Promise<void> {
    await this.#turns.settled();
  }
}
