/**
 * What a JSON value must look like, as a function that returns it typed or says which field is wrong and why. Strict: a field that
 * nobody knows is as wrong as one that is missing, for it is most often a misspelt one.
 *
 * `undefined` is written as null; `optional` fields may also be left out.
 */

/** `field` as a path: `operation.steps[2].key`; '' = the whole value. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
  readonly field: string;
  readonly reason: string;
  constructor(field: string, reason: string) {
    super(field === '' ? reason : `${field}: ${reason}`);
    this.field = field;
    this.reason = reason;
  }
}

/** Throws ShapeError. */
export type Shape<T> = (value: unknown, field: string) => T;

interface Optional<T> {
  readonly optional: Shape<T>;
}

type Fields = Readonly<Record<string, Shape<unknown> | Optional<unknown>>>;

type Shaped<F extends Fields> = {
  readonly [K in keyof F as F[K] extends Shape<unknown> ? K : never]: F[K] extends Shape<infer T> ? T : never;
} & {
  readonly [K in keyof F as F[K] extends Optional<unknown> ? K : never]?: F[K] extends Optional<infer T> ? T : never;
};

export const text: Shape<string> = (value, field) => {
  if (typeof value !== 'string') throw new ShapeError(field, `want a text, have ${have(value)}`);
  return value;
};

export const flag: Shape<boolean> = (value, field) => {
  if (typeof value !== 'boolean') throw new ShapeError(field, `want true or false, have ${have(value)}`);
  return value;
};

export const number: Shape<number> = (value, field) => {
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw new ShapeError(field, `want a number, have ${have(value)}`);
  return value;
};

export const whole: Shape<number> = (value, field) => {
  if (!Number.isSafeInteger(value)) throw new ShapeError(field, `want a whole number, have ${have(value)}`);
  return value as number;
};

/** Revisions, ids, counts. */
export const natural: Shape<number> = (value, field) => {
  if (whole(value, field) < 0) throw new ShapeError(field, `want 0 or more, have ${have(value)}`);
  return value as number;
};

export function literal<const T extends string>(wanted: T): Shape<T> {
  return (value, field) => {
    if (value !== wanted) throw new ShapeError(field, `want ${JSON.stringify(wanted)}, have ${have(value)}`);
    return wanted;
  };
}

export function oneOf<const T extends string>(wanted: readonly T[]): Shape<T> {
  return (value, field) => {
    const found = wanted.find((one) => one === value);
    if (found === undefined) throw new ShapeError(field, `want one of ${wanted.join(', ')}, have ${have(value)}`);
    return found;
  };
}

/** Written as null when there is none. */
export function orNone<T>(shape: Shape<T>): Shape<T | undefined> {
  return (value, field) => {
    if (value === undefined) throw new ShapeError(field, 'is missing (null says "none")');
    return value === null ? undefined : shape(value, field);
  };
}

export function optional<T>(shape: Shape<T>): Optional<T> {
  return { optional: shape };
}

export function listOf<T>(shape: Shape<T>): Shape<readonly T[]> {
  return (value, field) => {
    if (!Array.isArray(value)) throw new ShapeError(field, `want a list, have ${have(value)}`);
    return value.map((one, position) => shape(one, `${field}[${position}]`));
  };
}

export function record<const F extends Fields>(fields: F): Shape<Shaped<F>> {
  const names = Object.keys(fields);
  return (value, field) => {
    const given = object(value, field);
    const made: Record<string, unknown> = {};
    for (const name of names) {
      const shape = fields[name];
      const path = inside(field, name);
      const isGiven = Object.hasOwn(given, name);
      if (typeof shape === 'object') {
        if (isGiven) made[name] = shape.optional(given[name], path);
      } else if (shape !== undefined) {
        if (!isGiven) throw new ShapeError(path, 'is missing');
        made[name] = shape(given[name], path);
      }
    }
    for (const name of Object.keys(given)) {
      if (!Object.hasOwn(fields, name))
        throw new ShapeError(inside(field, name), `is not known here; want ${names.join(', ')}`);
    }
    return made as Shaped<F>;
  };
}

/** One of several records, told apart by the text in their field `by`. */
export function variants<const T extends Readonly<Record<string, Shape<unknown>>>>(
  by: string,
  shapes: T,
): Shape<{ readonly [K in keyof T]: T[K] extends Shape<infer V> ? V : never }[keyof T]> {
  const names = Object.keys(shapes);
  return (value, field) => {
    const given = object(value, field);
    const name = given[by];
    const path = inside(field, by);
    if (!Object.hasOwn(given, by)) throw new ShapeError(path, 'is missing');
    const shape = typeof name === 'string' && Object.hasOwn(shapes, name) ? shapes[name] : undefined;
    if (shape === undefined) throw new ShapeError(path, `want one of ${names.join(', ')}, have ${have(name)}`);
    return shape(value, field) as never;
  };
}

function object(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ShapeError(field, `want an object, have ${have(value)}`);
  return value as Readonly<Record<string, unknown>>;
}

function inside(field: string, name: string): string {
  return field === '' ? name : `${field}.${name}`;
}

/** Characters of a wrong value that are shown. */
const shownMax = 60;

function have(value: unknown): string {
  const shown = JSON.stringify(value) ?? String(value);
  return shown.length <= shownMax ? shown : `${shown.slice(0, shownMax)}…`;
}
