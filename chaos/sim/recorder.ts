/** Takes down what happens in one simulated world, for the report: states, cuts, faults and operations with their times. */
import type { History, HistoryEntry, Operation, Outcome } from '../check/history.ts';
import { faultText } from '../report/fault-text.ts';
import type {
  LinkChange,
  MemberState,
  RecordedFault,
  RecordedOperation,
  RunRecord,
  StateChange,
} from '../report/run-record.ts';
import type { Fault, TimedFault } from '../scenario/faults.ts';
import { replayCommand } from './failure-words.ts';
import type { SimMember } from './sim-member.ts';
import type { WorldResult } from './world.ts';

interface Times {
  readonly startMs: number;
  endMs: number | undefined;
}

export class Recorder {
  readonly #states: StateChange[] = [];
  readonly #links: LinkChange[] = [];
  readonly #faults: TimedFault[] = [];
  readonly #times = new Map<HistoryEntry, Times>();
  readonly #last: string[] = [];
  #seen = 0;
  #open: HistoryEntry[] = [];

  /** After every event. */
  observe(nowMs: number, members: readonly SimMember[], history: History): void {
    for (const member of members) this.#observeMember(nowMs, member);
    for (; this.#seen < history.entries.length; this.#seen++) {
      const entry = history.entries[this.#seen] as HistoryEntry;
      this.#times.set(entry, { startMs: nowMs, endMs: undefined });
      this.#open.push(entry);
    }
    this.#open = this.#open.filter((entry) => {
      const times = this.#times.get(entry);
      if (entry.returnedAt === undefined || times === undefined) return true;
      times.endMs = nowMs;
      return false;
    });
  }

  struck(atMs: number, fault: Fault): void {
    this.#faults.push({ atMs, fault });
  }

  link(change: LinkChange): void {
    this.#links.push(change);
  }

  record(result: WorldResult, { faults, commit, names }: RecordedAs): RunRecord {
    const { plan, violation, simulatedMs, events, acknowledged, isVerdictUnknown } = result;
    const entries = [...this.#times.keys()];
    const operations = [...this.#times].map(([entry, times], id) => describeOperation(entry, times, id));
    const shown = new Set(violation?.entries);
    const blamed = entries.flatMap((entry, id) => (shown.has(entry) ? [id] : []));
    const verdict = violation ? 'failed' : isVerdictUnknown ? 'unknown' : 'passed';
    return {
      format: 'keelson-run',
      version: 1,
      title: `seed ${plan.seed}`,
      description: `A simulated world of ${plan.members} members (profile ${plan.profile}) under ${plan.faults.length} faults.`,
      world: 'simulation',
      command: replayCommand(plan, faults),
      ...(commit === undefined ? {} : { commit }),
      durationMs: simulatedMs,
      verdict,
      ...(violation
        ? {
            violation: {
              property: violation.property,
              detail: violation.message,
              atMs: simulatedMs,
              check: violation.property,
              operations: blamed,
            },
          }
        : {}),
      members: names,
      states: this.#states,
      links: this.#links,
      faults: this.#faults.map(({ atMs, fault }) => describeStruck(atMs, fault, names)),
      operations,
      checks: [{ name: violation?.property ?? 'every promise', verdict }],
      figures: { events, operations: operations.length, acknowledged, trace: result.traceHash },
    };
  }

  #observeMember(atMs: number, member: SimMember): void {
    const view = member.core?.view();
    const state: MemberState = member.isPaused ? 'paused' : view ? view.role : member.isUp() ? 'starting' : 'down';
    const term = view?.term ?? 0;
    const now = `${state} ${term}`;
    if (this.#last[member.position] === now) return;
    this.#last[member.position] = now;
    this.#states.push({ atMs, member: member.position, state, term });
  }
}

export interface RecordedAs {
  readonly faults: readonly number[] | undefined;
  readonly commit: string | undefined;
  /** Of the members, by position. */
  readonly names: readonly string[];
}

function describeStruck(atMs: number, fault: Fault, names: readonly string[]): RecordedFault {
  const forMs = ['healMs', 'downMs', 'pauseMs', 'forMs'].map((name) => (fault as Record<string, unknown>)[name]);
  const lasts = forMs.find((value): value is number => typeof value === 'number');
  const end = lasts === undefined ? {} : { endMs: atMs + lasts };
  const one = 'member' in fault ? [fault.member] : 'from' in fault ? [fault.from, fault.to] : [];
  const members = 'members' in fault ? fault.members : one;
  return { atMs, ...end, kind: fault.kind, text: faultText(fault, names), members };
}

function describeOperation(entry: HistoryEntry, { startMs, endMs }: Times, id: number): RecordedOperation {
  const { client, operation, outcome } = entry;
  const asked = { id, client, kind: operation.kind, text: tellOperation(operation), startMs };
  if (outcome === undefined || endMs === undefined) return { ...asked, outcome: 'unknown' };
  return { ...asked, endMs, outcome: 'ok', answer: tellOutcome(outcome) };
}

function tellOperation(operation: Operation): string {
  switch (operation.kind) {
    case 'put':
      return `put ${operation.key} ${operation.value}${operation.lease === undefined ? '' : ` lease ${operation.lease}`}`;
    case 'get':
    case 'delete':
      return `${operation.kind} ${operation.key}`;
    case 'cas':
      return `put ${operation.key} ${operation.value} if it is ${operation.expected ?? 'absent'}`;
    case 'txn':
      return `txn if ${JSON.stringify(operation.compare)} then ${JSON.stringify(operation.success)} else ${JSON.stringify(operation.failure)}`;
    case 'list':
      return `list at ${operation.at}${operation.isLocal ? ', as one member has it' : ''}`;
    case 'compact':
      return `compact ${operation.revision}`;
  }
}

function tellOutcome({ kind: _, revision, ...rest }: Outcome): string {
  const words = Object.entries(rest).map(([name, value]) => `${name} ${JSON.stringify(value) ?? 'absent'}`);
  return [`revision ${revision}`, ...words].join(', ');
}
