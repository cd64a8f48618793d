/** What the autopilot says to people: one sentence of how the quorum is and what is waited for. */
import { assert } from '../../env/assert.ts';
import type { AutopilotPlan } from './autopilot-plan.ts';

/** `1 voter + 1 standby: m2 is a standby until one more server comes`. */
export function describeAutopilot(
  plan: Pick<AutopilotPlan, 'voters' | 'witnesses' | 'standbys' | 'notes' | 'decision'>,
): string {
  assert(plan.voters > plan.witnesses, 'witnesses are some of the voters');
  const witnesses = plan.witnesses === 0 ? '' : ` (${count(plan.witnesses, 'of them a witness', 'of them witnesses')})`;
  const standbys = plan.standbys.length === 0 ? '' : ` + ${count(plan.standbys.length, 'standby', 'standbys')}`;
  const { decision } = plan;
  const doing = decision === undefined ? [] : [`to ${decision.kind} ${decision.name}: ${decision.why}`];
  const rest = [...doing, ...plan.notes].join('; ');
  return `${count(plan.voters, 'voter', 'voters')}${witnesses}${standbys}: ${rest === '' ? 'nothing to wait for' : rest}`;
}

function count(number: number, one: string, several: string): string {
  return `${number} ${number === 1 ? one : several}`;
}
