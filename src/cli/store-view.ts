/** A running store as people want to know it: who belongs to it, who answers, what can still be lost, what the autopilot says. */
import { assert } from '../env/assert.ts';
import { errorText, KeelsonError } from '../env/errors.ts';
import { askQuorumState, type AutopilotWords, type QuorumMember, type QuorumState } from '../kv/client/quorum-state.ts';
import type { KvClientOptions } from '../kv/index.ts';

/** A member that is silent for longer counts as one that does not answer. */
const answerWithinMs = 2_000;

export interface MemberView {
  readonly id: string;
  readonly name: string;
  readonly role: 'voter' | 'witness' | 'standby';
  readonly state: 'leader' | 'follower' | 'no answer';
  readonly endpoint: string;
  readonly term: number | null;
  readonly revision: number | null;
  readonly committed: number | null;
}

export interface StoreView {
  readonly members: readonly MemberView[];
  readonly voters: number;
  /** Voters that answer. */
  readonly up: number;
  readonly needed: number;
  /** Below 0 there is no quorum. */
  readonly canLose: number;
  readonly isJoint: boolean;
  /** Of any member that answers: it is the same on all of them. */
  readonly hasAutopilot: boolean;
  /** Absent when no leader answers, or its autopilot is off or has only begun to look. */
  readonly autopilot?: AutopilotWords;
  readonly hasLeader: boolean;
}

/** Rejects with `NO_ANSWER` when not one member at the given endpoints answers. */
export async function viewStore(options: KvClientOptions): Promise<StoreView> {
  assert(options.endpoints.length > 0, 'somebody is asked');
  const states = new Map<number, QuorumState>();
  const failures: string[] = [];
  const ask = async (endpoint: string) => {
    try {
      const state = await askQuorumState(options, endpoint, answerWithinMs);
      states.set(state.memberId, state);
    } catch (error) {
      failures.push(`${endpoint}: ${errorText(error)}`);
    }
  };
  await Promise.all(options.endpoints.map(ask));
  const first = best([...states.values()]);
  if (first === undefined) {
    throw new KeelsonError(
      'NO_ANSWER',
      `ask the store at ${options.endpoints.join(', ')}: no member answers (${failures.join('; ')}): check that it runs, and the addresses and certificates`,
    );
  }
  // Those that were not named are asked where they say they are.
  const silent = first.members.filter(({ id }) => !states.has(id));
  const unasked = silent
    .flatMap(({ clientUrls }) => clientUrls.slice(0, 1))
    .filter((url) => !options.endpoints.includes(url));
  await Promise.all(unasked.map(ask));
  return compile(best([...states.values()]) ?? first, states);
}

/** The leader knows best, then whoever has come furthest. */
function best(states: readonly QuorumState[]): QuorumState | undefined {
  const rank = (state: QuorumState) => [state.term, Number(state.leader === state.memberId), state.committed] as const;
  return states.toSorted((a, b) => {
    const [left, right] = [rank(a), rank(b)];
    return right[0] - left[0] || right[1] - left[1] || right[2] - left[2];
  })[0];
}

function compile(known: QuorumState, states: ReadonlyMap<number, QuorumState>): StoreView {
  const members = known.members.map((member): MemberView => viewOf(member, known, states.get(member.id)));
  const voters = members.filter(({ role }) => role !== 'standby');
  const up = voters.filter(({ state }) => state !== 'no answer').length;
  const needed = Math.floor(voters.length / 2) + 1;
  assert(voters.length > 0 && needed <= voters.length, 'a store has voters');
  const { isJoint, autopilot } = known;
  const hasLeader = members.some(({ state }) => state === 'leader');
  const counts = { voters: voters.length, up, needed, canLose: up - needed };
  const hasAutopilot = [...states.values()].some((state) => state.hasAutopilot);
  return { members, ...counts, isJoint, hasLeader, hasAutopilot, ...(autopilot === undefined ? {} : { autopilot }) };
}

function viewOf(member: QuorumMember, known: QuorumState, state: QuorumState | undefined): MemberView {
  const answering = member.id === known.leader ? 'leader' : 'follower';
  return {
    id: member.id.toString(16),
    name: member.name,
    role: member.role === 'learner' ? 'standby' : member.role,
    state: state === undefined ? 'no answer' : answering,
    endpoint: member.clientUrls[0] ?? '',
    term: state?.term ?? null,
    revision: state === undefined || member.role === 'witness' ? null : state.revision,
    committed: state?.committed ?? null,
  };
}

/** The lines below the table. */
export function verdictOf(view: StoreView): readonly string[] {
  const { up, voters, needed, canLose, hasLeader, isJoint, autopilot } = view;
  const lines: string[] = [];
  const answering = `${up} of ${voters} voters answer, ${needed} ${needed === 1 ? 'is' : 'are'} needed`;
  if (canLose < 0) {
    lines.push(`the store has NO quorum: ${answering}; writes are refused until ${-canLose} more come back`);
  } else lines.push(`quorum: ${answering}; ${canLose} more can be lost`);
  if (canLose >= 0 && !hasLeader) lines.push('no leader at the moment: an election is under way');
  if (isJoint) lines.push('the membership is changing: the voters of before and of after must both agree');
  if (autopilot === undefined) {
    if (hasLeader) lines.push(`autopilot: ${view.hasAutopilot ? 'the leader has only begun to look' : 'off'}`);
    return lines;
  }
  lines.push(`autopilot: ${autopilot.words}`);
  for (const { kind, name, why, outcome, atMs } of autopilot.decisions) {
    lines.push(`  ${new Date(atMs).toISOString()} ${kind} ${name}: ${why} (${outcome})`);
  }
  return lines;
}

/** Columns as wide as their widest cell. */
export function tableOf(rows: readonly (readonly string[])[]): string {
  const columns = rows[0]?.length ?? 0;
  const widths = Array.from({ length: columns }, (_, at) => Math.max(...rows.map((row) => (row[at] ?? '').length)));
  const lines = rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}
