/** A world that broke a promise: its shortest story, and how it is told. */
import { replayCommand, tellFault } from './failure-words.ts';
import { shrink } from './shrink.ts';
import { World, type WorldResult } from './world.ts';

/** Worlds that are run to find a shorter story; each takes as long as the failing one, about a tenth of a second. */
const attemptsMax = 200;

export interface Failure {
  readonly result: WorldResult;
  /** Positions, in the plan as it was drawn, of the faults that are needed. Absent: all of them, or nobody looked. */
  readonly faults?: readonly number[];
}

/** Looks for the fewest faults with which the same seed breaks the same promise. */
export async function shortest(failed: WorldResult, mayGoOn: () => boolean): Promise<Failure> {
  const { plan, violation } = failed;
  let result = failed;
  let attempts = 0;
  const faults = await shrink(
    plan.faults.map((_, position) => position),
    {
      fails: async (kept) => {
        attempts += 1;
        const shorter = await new World(plan.seed, plan.profile, kept).run();
        if (shorter.violation === undefined || shorter.violation.property !== violation?.property) return false;
        result = shorter;
        return true;
      },
      mayGoOn: () => attempts < attemptsMax && mayGoOn(),
    },
  );
  return faults.length === plan.faults.length ? { result } : { result, faults };
}

/** `seed`, `profile`, `commit`: what the replay needs. */
export function describeFailure({ result, faults }: Failure, commit: string | undefined): string {
  const { plan, violation } = result;
  const left = plan.faults.filter(({ atMs }) => atMs <= result.simulatedMs);
  const story = left.map(({ atMs, fault }) => `  ${String(Math.round(atMs)).padStart(6)} ms  ${tellFault(fault)}`);
  return [
    `FAILED seed ${plan.seed}: ${violation?.message ?? ''}`,
    ...(commit === undefined ? [] : [`  at commit ${commit}`]),
    `  after ${result.events} events, ${Math.round(result.simulatedMs)} simulated ms, ${plan.members} members, election ${plan.electionTicks} ticks of ${plan.tickMs} ms, snapshot every ${plan.snapshotEntries} entries, disk up to ${plan.diskDelayMaxMs} ms`,
    ...(faults === undefined ? [] : ['  the shortest story that still fails:']),
    ...story,
    ...plan.outside.map((fault) => `     for ever  ${JSON.stringify(fault)}`),
    `Replay it with: ${replayCommand(plan, faults)}`,
  ].join('\n');
}
