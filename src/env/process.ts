/** Other programs as this one sees them. */
export interface Processes {
  /** Runs to the end. Never rejects for a non-zero exit: look at `exitCode`. Rejects when the program cannot be started. */
  run(command: string, args: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Starts a program that outlives the call. */
  spawn(command: string, args: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Sends a signal to a process, or to a whole process group when `target` is negative. False when there is none. */
  signal(target: number, signal: Signal): boolean;
}

export type Signal = 'SIGTERM' | 'SIGKILL' | 'SIGINT' | 'SIGHUP' | 'SIGSTOP' | 'SIGCONT';

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The program is killed after this long and the result's exitCode is -1. */
  readonly timeoutMs?: number;
}

export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Standard output and error are appended to this file. Inherited when absent. */
  readonly logFile?: string;
  /** A process group of its own, which goes on when this process ends. */
  readonly detached?: boolean;
}

export interface ChildProcess {
  readonly pid: number;
  /** Resolves when the program has ended. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  kill(signal: Signal): void;
}
