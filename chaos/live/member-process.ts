/**
 * One member as a process of its own in its own network: started, killed, stopped and continued. Whatever it writes goes to
 * a file, so that it outlives whoever started it. In a session of its own: Ctrl-C on the terminal is not for it.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { assert } from '../../src/env/assert.ts';
import type { Env } from '../../src/env/env.ts';
import type { ChildProcess } from '../../src/env/process.ts';
import { inside } from './lan.ts';
import { recordProcess } from './process-records.ts';
import type { PlannedMember } from './world-plan.ts';

/** What is shown of the end of its output. */
const shownBytes = 64 * 1024;

/** Handing on leadership takes an election at most; whoever takes longer hangs. */
const stopTimeoutMs = 20_000;

export interface EndedProcess {
  readonly code: number | null;
  readonly signal: string | null;
}

type MemberEnv = Pick<Env, 'clock' | 'disk' | 'processes'>;

export class MemberProcess {
  readonly #env: MemberEnv;
  readonly #member: PlannedMember;
  readonly #worldDirectory: string;
  #words: readonly string[];
  readonly #environment: Readonly<Record<string, string>>;
  readonly #endedByItself: (how: EndedProcess) => void;
  #child: ChildProcess | undefined;
  #isExpectedToEnd = false;
  isPaused = false;

  constructor(options: {
    readonly env: MemberEnv;
    readonly member: PlannedMember;
    readonly worldDirectory: string;
    /** The program and its flags. */
    readonly words: readonly string[];
    readonly environment: Readonly<Record<string, string>>;
    readonly endedByItself: (how: EndedProcess) => void;
  }) {
    this.#env = options.env;
    this.#member = options.member;
    this.#worldDirectory = options.worldDirectory;
    this.#words = options.words;
    this.#environment = options.environment;
    this.#endedByItself = options.endedByItself;
  }

  get isUp(): boolean {
    return this.#child !== undefined;
  }

  /** However it ends, this time it is no surprise. */
  expectEnd(): void {
    this.#isExpectedToEnd = true;
  }

  /** From its next start on. */
  addFlag(flag: string): void {
    if (!this.#words.includes(flag)) this.#words = [...this.#words, flag];
  }

  /** Resolves when it runs; it is not ready yet. Nothing happens when it runs already. */
  async start(): Promise<void> {
    if (this.#child !== undefined) return;
    const [program, ...args] = inside(this.#member.namespace, this.#words);
    const child = this.#env.processes.spawn(program, args, {
      detached: true,
      logFile: this.#member.logFile,
      env: this.#environment,
    });
    this.#child = child;
    this.#isExpectedToEnd = false;
    this.isPaused = false;
    void child.exited.then((how) => {
      assert(this.#child === child, 'a process ends before the next one is started');
      this.#child = undefined;
      this.isPaused = false;
      if (!this.#isExpectedToEnd) this.#endedByItself(how);
    });
    await recordProcess(this.#env, this.#worldDirectory, this.#member.name, child.pid);
  }

  /** Resolves once it has ended. A stopped process ends as well. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#isExpectedToEnd = true;
    child.kill('SIGKILL');
    await this.#ended(child);
  }

  /** Asks it to end; resolves once it has, killed if need be. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#isExpectedToEnd = true;
    child.kill('SIGTERM');
    const cancel = this.#env.clock.after(stopTimeoutMs, () => child.kill('SIGKILL'));
    await this.#ended(child);
    cancel();
  }

  /** The child alone does not keep this process running: a timer does until it has ended. */
  async #ended(child: ChildProcess): Promise<void> {
    const cancel = this.#env.clock.every(1_000, () => undefined);
    await child.exited;
    cancel();
  }

  /** SIGSTOP, or SIGCONT. False when it does not run. */
  setPaused(isPaused: boolean): boolean {
    if (this.#child === undefined) return false;
    this.#child.kill(isPaused ? 'SIGSTOP' : 'SIGCONT');
    this.isPaused = isPaused;
    return true;
  }

  /** Of all its lives. */
  output(): string {
    const file = openSync(this.#member.logFile, 'a+', 0o600);
    try {
      const { size } = fstatSync(file);
      const bytes = Buffer.alloc(Math.min(size, shownBytes));
      const length = readSync(file, bytes, 0, bytes.length, size - bytes.length);
      const text = bytes.toString('utf8', 0, length);
      // The first line may have been cut.
      return size > shownBytes ? text.slice(text.indexOf('\n') + 1) : text;
    } finally {
      closeSync(file);
    }
  }
}
