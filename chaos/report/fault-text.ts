/**
 * A fault in one line for people, of whatever kind: its name in words, whom it strikes by the members' own names, and how long.
 * Nothing here knows the kinds one by one, so that a new one reads well from its first day.
 *
 *   { kind: 'oneWay', from: 0, to: 2, healMs: 1500 }   ->   one way m1 → m3 for 1.5 s
 */
import type { Fault } from '../scenario/faults.ts';

/** The fields that say how long it lasts, which is told last. */
const lasting: ReadonlySet<string> = new Set(['downMs', 'healMs', 'pauseMs', 'forMs']);

const inWords = (camelCase: string): string => camelCase.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

function duration(milliseconds: number): string {
  if (Math.abs(milliseconds) < 1000) return `${Number(milliseconds.toFixed(1))} ms`;
  if (Math.abs(milliseconds) < 120_000) return `${Number((milliseconds / 1000).toFixed(1))} s`;
  return `${Number((milliseconds / 60_000).toFixed(1))} min`;
}

/** Members by side: `m1 m2 | m3`. */
function sidesText(sides: readonly number[], name: (member: number) => string): string {
  const numbers = [...new Set(sides)].sort((a, b) => a - b);
  const membersOf = (side: number) => sides.flatMap((one, member) => (one === side ? [name(member)] : []));
  return numbers.map((side) => membersOf(side).join(' ')).join(' | ');
}

function valueText(field: string, value: unknown): string {
  if (typeof value === 'number') return field.endsWith('Ms') ? duration(value) : String(Number(value.toFixed(4)));
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function fieldText(field: string, value: unknown, name: (member: number) => string): string {
  if (field === 'member') return name(value as number);
  if (field === 'members') return (value as readonly number[]).map(name).join(' ');
  if (field === 'order') return (value as readonly number[]).map(name).join(' – ');
  if (field === 'sides') return sidesText(value as readonly number[], name);
  if (lasting.has(field) && typeof value === 'number') return `for ${duration(value)}`;
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const inner = Object.entries(value).filter(([, one]) => one !== 0 && one !== false && one !== undefined);
    return inner.map(([key, one]) => fieldText(key, one, name)).join(', ');
  }
  return `${inWords(field.replace(/Ms$/, ''))} ${valueText(field, value)}`;
}

/** `names`: of the members, by number. */
export function faultText(fault: Fault, names: readonly string[]): string {
  const name = (member: number) => names[member] ?? `member ${member}`;
  const { kind, ...rest } = fault as Fault & { readonly from?: unknown; readonly to?: unknown };
  const { from, to, ...others } = rest;
  const isLink = typeof from === 'number' && typeof to === 'number';
  const link = isLink ? [`${name(from)} → ${name(to)}`] : [];
  const fields = Object.entries(isLink ? others : rest).sort(
    ([a], [b]) => Number(lasting.has(a)) - Number(lasting.has(b)),
  );
  const texts = fields
    .map(([field, value]) => {
      const text = fieldText(field, value, name);
      // A bridge: the one that hears all sides stands apart from them.
      return field === 'member' && 'sides' in rest ? `over ${text}` : text;
    })
    .filter((text) => text !== '');
  return [inWords(kind), ...link, ...texts].join(' ');
}
