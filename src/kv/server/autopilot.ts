/**
 * The autopilot's hands: on the leader it watches who answers and who has caught up, asks autopilot-plan.ts what to do, and
 * does one thing at a time. Every decision is one line of the log, a counter, and part of the status.
 *
 * What it knows begins anew with each leadership, so that nobody is called dead by a leader that has just begun to listen.
 */
import { assert } from '../../env/assert.ts';
import type { Cancel, Clock } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { RaftStatus, ReplicaId } from '../../raft/index.ts';
import type { Member } from '../api.ts';
import { type AutopilotDecision, type AutopilotPlan, planMembership, type PilotedMember } from './autopilot-plan.ts';

export interface AutopilotOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly electionMs: number;
  readonly deadServerAfterMs: number;
  /** Default: 10 s. */
  readonly stableAfterMs?: number;
  readonly raft: () => RaftStatus | undefined;
  readonly members: () => readonly Member[];
  readonly promote: (id: number, signal: AbortSignal) => Promise<unknown>;
  readonly remove: (id: number) => Promise<unknown>;
}

export interface AutopilotStatus extends AutopilotPlan {
  /** The newest one first. */
  readonly decisions: readonly (AutopilotDecision & {
    /** `done`, or why it could not be carried out. */
    readonly outcome: string;
    /** Wall time. */
    readonly atMs: number;
  })[];
  readonly promotions: number;
  readonly removals: number;
}

/** The leader forgets who was active once an election time-out; more samples than that see everybody who answers. */
const samplesPerElection = 4;
const stableAfterMsDefault = 10_000;
/** After a decision that could not be carried out. */
const retryAfterMs = 5_000;
const decisionsKept = 16;

interface Watched {
  heardAtMs: number;
  /** Undefined while it lags or is silent. */
  stableSinceMs: number | undefined;
}

export class Autopilot {
  readonly #options: AutopilotOptions;
  readonly #cancel: Cancel;
  readonly #abort = new AbortController();
  /** Members as this leadership has seen them; who leaves the table leaves this too. */
  readonly #watched = new Map<number, Watched>();
  /** What was committed at the sample before: who has that has caught up. */
  #committedBefore = 0;
  #isLeading = false;
  #isBusy = false;
  #notBeforeMs = 0;
  #plan: AutopilotPlan | undefined;
  #decisions: AutopilotStatus['decisions'] = [];
  #counts = { promote: 0, remove: 0 };

  constructor(options: AutopilotOptions) {
    assert(options.deadServerAfterMs >= options.electionMs, 'nobody is dead before an election time-out');
    this.#options = options;
    this.#cancel = options.clock.every(options.electionMs / samplesPerElection, () => this.#sample());
  }

  /** Undefined on who does not lead: only the leader knows. */
  status(): AutopilotStatus | undefined {
    if (this.#plan === undefined) return undefined;
    const { promote: promotions, remove: removals } = this.#counts;
    return { ...this.#plan, decisions: this.#decisions, promotions, removals };
  }

  stop(): void {
    this.#cancel();
    this.#abort.abort();
  }

  #sample(): void {
    const raft = this.#options.raft();
    if (raft === undefined || raft.role !== 'leader') {
      this.#isLeading = false;
      this.#plan = undefined;
      return;
    }
    const nowMs = this.#options.clock.monotonicMs();
    if (!this.#isLeading) {
      this.#isLeading = true;
      this.#watched.clear();
      this.#committedBefore = raft.committed;
    }
    const members = this.#observe(raft, nowMs);
    this.#committedBefore = raft.committed;
    // In between two memberships nothing is decided.
    if (members.length === 0 || raft.confState.votersOutgoing.length > 0) return;
    this.#plan = planMembership(members, this.#limits());
    const { decision } = this.#plan;
    if (decision === undefined || this.#isBusy || nowMs < this.#notBeforeMs) return;
    this.#isBusy = true;
    this.#carryOut(decision)
      .finally(() => {
        this.#isBusy = false;
      })
      .catch((error: unknown) => this.#options.log.error('autopilot', { error: errorText(error) }));
  }

  #limits() {
    const { deadServerAfterMs, stableAfterMs = stableAfterMsDefault, electionMs } = this.#options;
    const absentAfterMs = Math.min(2 * electionMs, deadServerAfterMs);
    return { deadAfterMs: deadServerAfterMs, stableAfterMs, absentAfterMs };
  }

  #observe(raft: RaftStatus, nowMs: number): PilotedMember[] {
    const names = new Map(this.#options.members().map((member) => [member.id, member.name]));
    for (const id of this.#watched.keys()) if (!raft.progress.has(id as ReplicaId)) this.#watched.delete(id);
    const { electionMs } = this.#options;
    return [...raft.progress].map(([id, peer]) => {
      const watched = this.#watched.get(id) ?? { heardAtMs: nowMs, stableSinceMs: undefined };
      this.#watched.set(id, watched);
      const isSelf = id === raft.id;
      if (isSelf || peer.recentActive) watched.heardAtMs = nowMs;
      const silentMs = nowMs - watched.heardAtMs;
      const isCaughtUp = isSelf || peer.match >= this.#committedBefore;
      if (silentMs > electionMs || !isCaughtUp) watched.stableSinceMs = undefined;
      else watched.stableSinceMs ??= nowMs;
      const stableMs = watched.stableSinceMs === undefined ? 0 : nowMs - watched.stableSinceMs;
      const { isLearner, isWitness = false } = peer;
      return { id, name: names.get(id) ?? '', isLearner, isWitness, isLeader: isSelf, silentMs, stableMs };
    });
  }

  async #carryOut(decision: AutopilotDecision): Promise<void> {
    const { log, clock, promote, remove } = this.#options;
    const { kind, id, name, why } = decision;
    log.info(`autopilot: ${kind} ${name}: ${why}`, { id: id.toString(16), kind, why });
    let outcome = 'done';
    try {
      if (kind === 'promote') await promote(id, this.#abort.signal);
      else await remove(id);
      this.#counts[kind] += 1;
    } catch (error) {
      // The next sample decides anew, on what is so then.
      outcome = errorText(error);
      this.#notBeforeMs = clock.monotonicMs() + retryAfterMs;
      log.warn(`autopilot: could not ${kind} ${name}`, { id: id.toString(16), error: outcome });
    }
    this.#decisions = [{ ...decision, outcome, atMs: clock.wallMs() }, ...this.#decisions].slice(0, decisionsKept);
  }
}
