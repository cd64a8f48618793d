/** Faults in one line for people: pure. */
import type { NetworkConditions } from '../scenario/network-conditions.ts';
import type { CuttingFault } from './fault-links.ts';

export function cutText(fault: CuttingFault, names: readonly string[]): string {
  const name = (member: number) => names[member] ?? `member ${member}`;
  switch (fault.kind) {
    case 'partition':
      return `apart: ${sidesText(fault.sides, names)}`;
    case 'bridge':
      return `apart but for ${name(fault.member)}: ${sidesText(fault.sides, names)}`;
    case 'ring':
      return `in a circle, each hears its neighbours alone: ${fault.order.map(name).join(' ')}`;
    case 'deaf':
      return `${name(fault.member)} hears nobody`;
    case 'mute':
      return `nobody hears ${name(fault.member)}`;
    case 'oneWay':
      return `${name(fault.to)} does not hear ${name(fault.from)}`;
    case 'flapping':
      return `${name(fault.member)} is cut off for ${fault.onMs} ms, and is not for ${fault.offMs} ms, in turns`;
  }
}

function sidesText(sides: readonly number[], names: readonly string[]): string {
  const side = (member: number) => sides[member] ?? 0;
  const all = [...new Set(names.map((_, member) => side(member)))].sort((a, b) => a - b);
  return all.map((one) => names.filter((_, member) => side(member) === one).join(' ')).join(' | ');
}

/** Whom a fault that cuts links is about; nobody in particular, when it is about all. */
export function cutMembers(fault: CuttingFault): readonly number[] {
  switch (fault.kind) {
    case 'partition':
    case 'bridge':
    case 'ring':
      return [];
    case 'deaf':
    case 'mute':
    case 'flapping':
      return [fault.member];
    case 'oneWay':
      return [fault.from, fault.to];
  }
}

export function weatherText({ delayMinMs, delayMeanMs, loss, duplication }: NetworkConditions): string {
  const words = [`delays from ${delayMinMs} ms, ${delayMeanMs} ms on average`];
  if (loss > 0) words.push(`${(loss * 100).toFixed(1)} % of packets lost`);
  if (duplication > 0) words.push('nothing twice, as a stream cannot be made to repeat itself');
  return words.join(', ');
}
