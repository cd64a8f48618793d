/**
 * Reads the record of a run from a file's text, strictly: what is wrong is said with its place and its reason, nothing is
 * guessed, no field is passed over. A record that was cut short and one of a newer version are told apart from a wrong one.
 *
 *   cannot read the run record: operations[17].endMs is 3, before startMs 5: want a time not before it
 */
import { errorText, KeelsonError } from '../../src/env/errors.ts';
import type {
  LinkChange,
  RecordedCheck,
  RecordedFault,
  RecordedOperation,
  RecordedViolation,
  RunRecord,
  StateChange,
} from './run-record.ts';

const newestVersion = 1;
/** A place in a message is enough to find it; what stands there may be long. */
const shownLengthMax = 60;

/** Reads a value, or throws Wrong with the place within it. */
type Reader<T> = (value: unknown) => T;

/** Every field there is, the optional ones as well: the compiler refuses a missing one. */
type Fields<T> = { readonly [K in keyof T]-?: Field<Exclude<T[K], undefined>> };

interface Field<T> {
  readonly read: Reader<T>;
  readonly isOptional: boolean;
}

class Wrong extends Error {
  readonly place: string;
  readonly reason: string;
  constructor(place: string, reason: string) {
    super(`${place}${reason}`);
    this.place = place;
    this.reason = reason;
  }
}

const invalid = (text: string, cause?: unknown) =>
  new KeelsonError('RUN_RECORD_INVALID', `cannot read the run record: ${text}`, { cause });

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= shownLengthMax ? text : `${text.slice(0, shownLengthMax)}…`;
}

const wrong = (value: unknown, wanted: string) => new Wrong('', ` is ${shown(value)}: want ${wanted}`);

/** Reads what is at `place`, and says where that is when it is wrong. */
function at<T>(place: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    const separator = error.place === '' || error.place.startsWith('[') ? '' : '.';
    throw new Wrong(`${place}${separator}${error.place}`, error.reason);
  }
}

const must = <T>(read: Reader<T>): Field<T> => ({ read, isOptional: false });
const may = <T>(read: Reader<T>): Field<T> => ({ read, isOptional: true });

const text: Reader<string> = (value) => {
  if (typeof value !== 'string') throw wrong(value, 'text');
  return value;
};

const milliseconds: Reader<number> = (value) => {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) throw wrong(value, 'milliseconds from 0 on');
  return value;
};

const count: Reader<number> = (value) => {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw wrong(value, 'a whole number from 0 on');
  return value as number;
};

const yesOrNo: Reader<boolean> = (value) => {
  if (typeof value !== 'boolean') throw wrong(value, 'true or false');
  return value;
};

function oneOf<const T extends string>(...names: readonly T[]): Reader<T> {
  return (value) => {
    const found = names.find((name) => name === value);
    if (found === undefined) throw wrong(value, `one of ${names.join(', ')}`);
    return found;
  };
}

function listOf<T>(read: Reader<T>): Reader<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value)) throw wrong(value, 'a list');
    return value.map((item: unknown, index) => at(`[${index}]`, () => read(item)));
  };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function objectOf<T>(fields: Fields<T>): Reader<T> {
  const all = Object.entries(fields) as [string, Field<unknown>][];
  return (value) => {
    if (!isObject(value)) throw wrong(value, 'an object');
    for (const name of Object.keys(value)) {
      if (!Object.hasOwn(fields, name)) throw new Wrong(name, ' is no field of it: want none but those of version 1');
    }
    const result: Record<string, unknown> = {};
    for (const [name, field] of all) {
      if (Object.hasOwn(value, name)) result[name] = at(name, () => field.read(value[name]));
      else if (!field.isOptional) throw new Wrong(name, ' is missing');
    }
    return result as T;
  };
}

const figure: Reader<number | string> = (value) => {
  if (typeof value !== 'string' && !Number.isFinite(value)) throw wrong(value, 'a number or text');
  return value as number | string;
};

const figures: Reader<RunRecord['figures']> = (value) => {
  if (!isObject(value)) throw wrong(value, 'an object of names and values');
  for (const [name, one] of Object.entries(value)) at(`[${JSON.stringify(name)}]`, () => figure(one));
  return value as RunRecord['figures'];
};

const verdict = oneOf('passed', 'failed', 'unknown');
const memberState = oneOf(
  'down',
  'paused',
  'starting',
  'follower',
  'preCandidate',
  'candidate',
  'leader',
  'learner',
  'witness',
);

const readFields = objectOf<RunRecord>({
  format: must(oneOf('keelson-run')),
  version: must((value) => {
    if (value !== newestVersion) throw wrong(value, String(newestVersion));
    return newestVersion;
  }),
  title: must(text),
  description: must(text),
  world: must(oneOf('simulation', 'processes')),
  command: must(text),
  commit: may(text),
  durationMs: must(milliseconds),
  verdict: must(verdict),
  violation: may(
    objectOf<RecordedViolation>({
      property: must(text),
      detail: must(text),
      check: may(text),
      atMs: may(milliseconds),
      operations: must(listOf(count)),
    }),
  ),
  members: must(listOf(text)),
  states: must(
    listOf(
      objectOf<StateChange>({
        atMs: must(milliseconds),
        member: must(count),
        state: must(memberState),
        term: must(count),
      }),
    ),
  ),
  links: must(
    listOf(
      objectOf<LinkChange>({ atMs: must(milliseconds), from: must(count), to: must(count), isCut: must(yesOrNo) }),
    ),
  ),
  faults: must(
    listOf(
      objectOf<RecordedFault>({
        atMs: must(milliseconds),
        endMs: may(milliseconds),
        kind: must(text),
        text: must(text),
        members: must(listOf(count)),
      }),
    ),
  ),
  operations: must(
    listOf(
      objectOf<RecordedOperation>({
        id: must(count),
        client: must(count),
        member: may(count),
        kind: must(text),
        text: must(text),
        startMs: must(milliseconds),
        endMs: may(milliseconds),
        outcome: must(oneOf('ok', 'failed', 'unknown')),
        answer: may(text),
      }),
    ),
  ),
  checks: must(listOf(objectOf<RecordedCheck>({ name: must(text), verdict: must(verdict), detail: may(text) }))),
  figures: must(figures),
});

/** What fields cannot say alone: that members and operations exist, and that nothing ends before it begins. */
function checkRelations(record: RunRecord): void {
  const isMember = (place: string, member: number | undefined): void => {
    if (member === undefined || member < record.members.length) return;
    throw new Wrong(place, ` is ${member}: want the position of one of the ${record.members.length} members`);
  };
  const isOrdered = (place: string, begin: readonly [string, number], endMs: number | undefined): void => {
    if (endMs === undefined || endMs >= begin[1]) return;
    throw new Wrong(`${place}.endMs`, ` is ${endMs}, before ${begin[0]} ${begin[1]}: want a time not before it`);
  };
  record.states.forEach((change, index) => isMember(`states[${index}].member`, change.member));
  record.links.forEach((change, index) => {
    isMember(`links[${index}].from`, change.from);
    isMember(`links[${index}].to`, change.to);
    if (change.from === change.to) throw new Wrong(`links[${index}].to`, ' is the same member as from: want another');
  });
  record.faults.forEach((fault, index) => {
    fault.members.forEach((member, position) => isMember(`faults[${index}].members[${position}]`, member));
    isOrdered(`faults[${index}]`, ['atMs', fault.atMs], fault.endMs);
  });
  const ids = new Map<number, number>();
  record.operations.forEach((operation, index) => {
    const place = `operations[${index}]`;
    isMember(`${place}.member`, operation.member);
    isOrdered(place, ['startMs', operation.startMs], operation.endMs);
    const before = ids.get(operation.id);
    if (before !== undefined) {
      throw new Wrong(`${place}.id`, ` is ${operation.id}, as that of operations[${before}]: want one of its own`);
    }
    ids.set(operation.id, index);
  });
  const { violation } = record;
  if (violation === undefined) return;
  if (record.verdict !== 'failed')
    throw new Wrong('verdict', ` is "${record.verdict}" with a violation: want "failed"`);
  violation.operations.forEach((id, index) => {
    if (!ids.has(id)) throw new Wrong(`violation.operations[${index}]`, ` is ${id}: want the id of an operation`);
  });
}

/** Line and column of a place in a text, both from 1. */
function lineAndColumn(content: string, position: number): string {
  const before = content.slice(0, position);
  return `line ${before.split('\n').length}, column ${position - before.lastIndexOf('\n')}`;
}

function parse(content: string): unknown {
  if (content.trim() === '') throw invalid('it is empty: want a JSON file that a run wrote');
  try {
    return JSON.parse(content);
  } catch (error) {
    const position = /at position (\d+)/.exec(errorText(error))?.[1];
    const end = content.trimEnd().length;
    if (position === undefined || Number(position) >= end) {
      throw invalid(`it ends in the middle, at ${lineAndColumn(content, end)}: the file was cut short`, error);
    }
    const reason = errorText(error).replace(/ in JSON at position.*$/, '');
    throw invalid(`${lineAndColumn(content, Number(position))}: ${reason}: it is no JSON`, error);
  }
}

/** The record in `content`. Throws KeelsonError `RUN_RECORD_INVALID` or `RUN_RECORD_NEWER`. */
export function readRunRecord(content: string): RunRecord {
  const value = parse(content.replace(/^\uFEFF/, ''));
  if (!isObject(value) || value['format'] !== 'keelson-run') {
    const found = isObject(value) ? `format is ${shown(value['format'])}` : `it is ${shown(value)}`;
    throw invalid(`${found}: want an object with format "keelson-run"`);
  }
  const version = value['version'];
  if (typeof version === 'number' && version > newestVersion) {
    throw new KeelsonError(
      'RUN_RECORD_NEWER',
      `cannot read the run record: its version is ${version}, this Keelson reads up to ${newestVersion}: use the Keelson that wrote it, or a newer one`,
    );
  }
  try {
    const record = readFields(value);
    checkRelations(record);
    return record;
  } catch (error) {
    if (error instanceof Wrong) throw invalid(error.message, error);
    throw error;
  }
}
