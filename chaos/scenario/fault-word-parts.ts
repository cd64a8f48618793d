/** What words of faults are read with: who is struck, for how long, which link. */
import { present } from '../../src/env/assert.ts';
import type { Fault, TimedFault } from './faults.ts';
import type { Fields } from './fields.ts';

/** Draws whole numbers, both ends included. */
export interface DrawSource {
  integer(min: number, max: number): number;
}

export interface Draw {
  readonly random: DrawSource;
  readonly members: number;
  /** How many times this line of the scenario has struck before. */
  readonly occurrence: number;
}

/** What strikes, `atMs` counted from the moment the line is due. */
export type FaultTemplate = (draw: Draw) => readonly TimedFault[];

export interface WordReader {
  readonly fields: Fields;
  readonly members: number;
  readonly isRepeated: boolean;
}

export type Word = (reader: WordReader) => FaultTemplate;

/** One of the members there are. `each`: the next one every time; `any`: drawn anew every time. */
type Selector = number | 'leader' | 'each' | 'any';

/** Numbers of members that do not exist at the beginning go up to here. */
const memberNumberMax = 15;
const lastsMinMs = 10;
/** Certificates and leases are over by then. */
const jumpMsMax = 3 * 365 * 86_400_000;

export const one = (fault: Fault): readonly TimedFault[] => [{ atMs: 0, fault }];

export function lastsMs({ fields }: WordReader, key = 'for'): number {
  return fields.required(key, fields.durationMs(key, lastsMinMs), 'a duration such as 3s');
}

function selector(reader: WordReader, mayLead: boolean): Selector {
  const { fields, members, isRepeated } = reader;
  const text = fields.text('member', 'a member');
  const words = ['any', ...(isRepeated ? ['each'] : []), ...(mayLead ? ['leader'] : [])];
  const wanted = `a member from 0 to ${members - 1}, or ${words.join(', ')}`;
  fields.required('member', text, wanted);
  if (text === 'each' && !isRepeated) throw fields.wrong('member', `${wanted} (each needs every)`);
  if (words.includes(text ?? '')) return text as Selector;
  if (/^\d{1,2}$/.test(text ?? '') && Number(text) < members) return Number(text);
  throw fields.wrong('member', wanted);
}

function choose(who: Exclude<Selector, 'leader'>, { random, members, occurrence }: Draw): number {
  if (who === 'any') return random.integer(0, members - 1);
  return who === 'each' ? occurrence % members : who;
}

/** A fault of one member, and the one for whoever leads, where there is such a one. */
export function ofMember(
  fault: (member: number, forMs: number, draw: Draw) => Fault,
  ofLeader?: (forMs: number) => Fault,
): Word {
  return (reader) => {
    const who = selector(reader, ofLeader !== undefined);
    const forMs = lastsMs(reader);
    return (draw) => {
      if (who === 'leader') return one(present(ofLeader, 'the fault of whoever leads')(forMs));
      return one(fault(choose(who, draw), forMs, draw));
    };
  };
}

/** A fault without an end of its own. */
export function ofMemberForGood(fault: (member: number) => Fault): Word {
  return (reader) => {
    const who = selector(reader, false) as Exclude<Selector, 'leader'>;
    return (draw) => one(fault(choose(who, draw)));
  };
}

/** `from` and `to`, two different members. */
export function readLink({ fields, members }: WordReader): { readonly from: number; readonly to: number } {
  const range = { min: 0, max: members - 1 };
  const wanted = `a member from 0 to ${members - 1}`;
  const from = fields.required('from', fields.wholeNumber('from', range), wanted);
  const to = fields.required('to', fields.wholeNumber('to', range), wanted);
  if (from === to) throw fields.wrong('to', `another member than from`);
  return { from, to };
}

/** How far a clock is set forward, or back with `back: true`. */
export function readJump(reader: WordReader): number {
  const { fields } = reader;
  const byMs = fields.required('by', fields.durationMs('by', lastsMinMs, jumpMsMax), 'a duration such as 1h or 365d');
  return reader.fields.fact('back') === true ? -byMs : byMs;
}

export function shuffled(members: number, random: DrawSource): readonly number[] {
  const left = Array.from({ length: members }, (_, member) => member);
  return Array.from({ length: members }, () => left.splice(random.integer(0, left.length - 1), 1)[0] ?? 0);
}

/** Another member than those at the beginning may be meant. */
export function ofAnyNumber(kind: 'transfer' | 'addLearner' | 'remove'): Word {
  return ({ fields }) => {
    const member = fields.wholeNumber('member', { min: 0, max: memberNumberMax });
    const known = fields.required('member', member, `a member from 0 to ${memberNumberMax}`);
    return () => one({ kind, member: known });
  };
}

export function alone(member: number, members: number): readonly number[] {
  return Array.from({ length: members }, (_, other) => (other === member ? 1 : 0));
}
