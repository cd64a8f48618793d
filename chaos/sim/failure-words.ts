/** How a world and its faults are told to people, and the command that runs it again. */
import type { Fault } from '../scenario/faults.ts';
import type { WorldPlan } from './plan.ts';

/** A fault in one line: its kind, then the rest of it. */
export function tellFault(fault: Fault): string {
  const { kind, ...rest } = fault;
  const words = Object.entries(rest).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  return [kind, ...words].join(' ');
}

/** `faults`: positions of those that strike; absent: all that the seed draws. */
export function replayCommand(
  { seed, profile }: Pick<WorldPlan, 'seed' | 'profile'>,
  faults: readonly number[] | undefined,
): string {
  const options = [
    ...(profile === 'swarm' ? [] : [`--profile ${profile}`]),
    ...(faults === undefined ? [] : [`--faults ${faults.length === 0 ? 'none' : faults.join(',')}`]),
  ];
  return ['npm run sim -- --seed', seed, ...options].join(' ');
}
