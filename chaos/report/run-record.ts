/**
 * What happened in one run, of either world, for people and for machines: what the report draws, and what JUnit and JSON
 * lines are made of. Times are milliseconds since the run began, on the clock of the world.
 */

/** What a member is at a time. `down`: its process does not run; `paused`: it stands still. */
export type MemberState =
  | 'down'
  | 'paused'
  | 'starting'
  | 'follower'
  | 'preCandidate'
  | 'candidate'
  | 'leader'
  | 'learner'
  | 'witness';

/** From `atMs` on, until the next one of the same member. */
export interface StateChange {
  readonly atMs: number;
  /** Position in `members`. */
  readonly member: number;
  readonly state: MemberState;
  /** 0: not known. */
  readonly term: number;
}

/** One direction of a link between two members, from `atMs` on. */
export interface LinkChange {
  readonly atMs: number;
  readonly from: number;
  readonly to: number;
  readonly isCut: boolean;
}

export interface RecordedFault {
  readonly atMs: number;
  /** Absent: it has no end of its own, or did not come to it. */
  readonly endMs?: number;
  /** In the words of the fault language (chaos/scenario/faults.ts). */
  readonly kind: string;
  /** One line for people. */
  readonly text: string;
  /** Whom it struck; empty: everybody, or nobody in particular. */
  readonly members: readonly number[];
}

export interface RecordedOperation {
  readonly id: number;
  readonly client: number;
  /** Whom the client asked, where that is known. */
  readonly member?: number;
  /** put, get, cas, delete, txn, list, compact, watch, lease, … */
  readonly kind: string;
  /** What was asked, in one line. */
  readonly text: string;
  readonly startMs: number;
  /** Absent: it was never answered. */
  readonly endMs?: number;
  /** `unknown`: it may have happened, or may not. */
  readonly outcome: 'ok' | 'failed' | 'unknown';
  /** What was answered, in one line. */
  readonly answer?: string;
}

export interface RecordedViolation {
  /** The promise that was broken, in one sentence. */
  readonly property: string;
  readonly detail: string;
  /** Name of the check that found it, as in `checks`. */
  readonly check?: string;
  readonly atMs?: number;
  /** Ids of the operations that show it. */
  readonly operations: readonly number[];
}

export interface RecordedCheck {
  readonly name: string;
  readonly verdict: 'passed' | 'failed' | 'unknown';
  /** What it saw, or why it came to no verdict. */
  readonly detail?: string;
}

export interface RunRecord {
  readonly format: 'keelson-run';
  readonly version: 1;
  /** The scenario's name, or `seed 123`. */
  readonly title: string;
  /** What it is about, in a sentence or two. */
  readonly description: string;
  readonly world: 'simulation' | 'processes';
  /** Runs it again. */
  readonly command: string;
  /** Of the sources that ran; absent when they are in no repository. */
  readonly commit?: string;
  readonly durationMs: number;
  readonly verdict: 'passed' | 'failed' | 'unknown';
  readonly violation?: RecordedViolation;
  /** Names, in order. */
  readonly members: readonly string[];
  readonly states: readonly StateChange[];
  readonly links: readonly LinkChange[];
  readonly faults: readonly RecordedFault[];
  readonly operations: readonly RecordedOperation[];
  /** Every check that was made, and how it came out. */
  readonly checks: readonly RecordedCheck[];
  /** Anything worth a line, such as "events" or "acknowledged": name and value. */
  readonly figures: Readonly<Record<string, number | string>>;
}
