/** What a sweep of worlds comes to, added up over worlds and over processes. */
import { type FaultKind, faultKinds } from '../scenario/faults.ts';
import type { WorldResult } from './world.ts';

export interface Totals {
  worlds: number;
  events: number;
  simulatedMs: number;
  operations: number;
  acknowledged: number;
  unknownVerdicts: number;
  faults: Partial<Record<FaultKind, number>>;
}

export const newTotals = (): Totals => ({
  worlds: 0,
  events: 0,
  simulatedMs: 0,
  operations: 0,
  acknowledged: 0,
  unknownVerdicts: 0,
  faults: {},
});

export function totalsOf(result: WorldResult): Totals {
  const { events, simulatedMs, operations, acknowledged, faults, isVerdictUnknown } = result;
  const unknownVerdicts = isVerdictUnknown ? 1 : 0;
  return { worlds: 1, events, simulatedMs, operations, acknowledged, unknownVerdicts, faults: { ...faults } };
}

export function merge(into: Totals, from: Totals): void {
  into.worlds += from.worlds;
  into.events += from.events;
  into.simulatedMs += from.simulatedMs;
  into.operations += from.operations;
  into.acknowledged += from.acknowledged;
  into.unknownVerdicts += from.unknownVerdicts;
  for (const kind of faultKinds) into.faults[kind] = (into.faults[kind] ?? 0) + (from.faults[kind] ?? 0);
}

export function describe(totals: Totals, seconds: number): string {
  const faults = faultKinds.map((kind) => `${kind} ${totals.faults[kind] ?? 0}`).join(', ');
  return (
    `${totals.worlds} worlds, ${simulatedTime(totals.simulatedMs)}, ${totals.events} events (${perSecond(totals.events, seconds)}/s), ` +
    `${totals.acknowledged} of ${totals.operations} operations acknowledged, ${totals.unknownVerdicts} verdicts not reached\nfaults: ${faults}`
  );
}

/** One line, for while it runs. */
export function describeProgress(totals: Totals, seconds: number): string {
  const struck = faultKinds.filter((kind) => (totals.faults[kind] ?? 0) > 0).length;
  return (
    `so far ${totals.worlds} worlds (${perSecond(totals.worlds, seconds)}/s), ${simulatedTime(totals.simulatedMs)}, ` +
    `${perSecond(totals.events, seconds)} events/s, ${struck} of ${faultKinds.length} kinds of faults`
  );
}

function simulatedTime(ms: number): string {
  const hours = ms / 3_600_000;
  return hours < 48 ? `${hours.toFixed(2)} simulated hours` : `${(hours / 24).toFixed(1)} simulated days`;
}

function perSecond(count: number, seconds: number): string {
  const rate = seconds <= 0 ? 0 : count / seconds;
  return rate < 100 ? rate.toFixed(1) : String(Math.round(rate));
}
