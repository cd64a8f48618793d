/**
 * Reads a mapping of a scenario field by field. Every reader says what it wants and points at what it found; `finish`
 * refuses what nobody asked for, so that a misspelt word never leaves a default in place unnoticed.
 */
import { BadScenario, type Place, type YamlEntry, type YamlNode } from './yaml-tree.ts';

export interface Range {
  readonly min: number;
  readonly max: number;
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** An hour: nobody waits longer for a scenario. */
const durationMsMax = 3_600_000;

export class Fields {
  readonly place: Place;
  readonly #fileName: string;
  readonly #what: string;
  readonly #entries: ReadonlyMap<string, YamlEntry>;
  readonly #known = new Set<string>();

  /** `what`: the mapping's name in messages, such as `cluster`. */
  constructor(fileName: string, node: YamlNode, what: string) {
    if (node.kind !== 'mapping')
      throw new BadScenario(fileName, node.place, `${what} is ${describe(node)}; want a mapping of keys to values`);
    this.#fileName = fileName;
    this.#what = what;
    this.place = node.place;
    this.#entries = new Map(node.entries.map((entry) => [entry.key, entry]));
  }

  /** Everything below a key; undefined when the key is not there. */
  node(key: string): YamlNode | undefined {
    this.#known.add(key);
    return this.#entries.get(key)?.node;
  }

  has(key: string): boolean {
    this.#known.add(key);
    return this.#entries.has(key);
  }

  section(key: string): Fields | undefined {
    const node = this.node(key);
    return node === undefined ? undefined : new Fields(this.#fileName, node, key);
  }

  list(key: string): readonly YamlNode[] | undefined {
    const node = this.node(key);
    if (node === undefined) return undefined;
    if (node.kind !== 'list') throw this.bad(node.place, `${key} is ${describe(node)}; want a list`);
    return node.items;
  }

  /** Text; refuses collections, and nothing at all. */
  text(key: string, wanted: string): string | undefined {
    const node = this.node(key);
    return node === undefined ? undefined : this.textOf(node, key, wanted);
  }

  textOf(node: YamlNode, key: string, wanted: string): string {
    if (node.kind !== 'scalar' || node.text === '')
      throw this.bad(node.place, `${key} is ${describe(node)}; want ${wanted}`);
    return node.text;
  }

  required<Value>(key: string, value: Value | undefined, wanted: string): Value {
    if (value !== undefined) return value;
    throw this.bad(this.place, `${this.#what} has no ${key}; want ${wanted}`);
  }

  wholeNumber(key: string, range: Range): number | undefined {
    const node = this.node(key);
    return node === undefined ? undefined : this.wholeNumberOf(node, key, range);
  }

  wholeNumberOf(node: YamlNode, key: string, { min, max }: Range): number {
    const wanted = `a whole number from ${min} to ${max}`;
    const text = this.textOf(node, key, wanted);
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw this.bad(node.place, `${key} is ${describe(node)}; want ${wanted}`);
    return value;
  }

  /** `true` or `false`. */
  fact(key: string): boolean | undefined {
    const wanted = 'true or false';
    const text = this.text(key, wanted);
    if (text === undefined) return undefined;
    if (text !== 'true' && text !== 'false') throw this.wrong(key, wanted);
    return text === 'true';
  }

  /** `3s`, `500ms`, `1m30s`, in milliseconds. */
  durationMs(key: string, minMs = 0, maxMs = durationMsMax): number | undefined {
    const wanted = `a duration such as 3s, 500ms or 1m30s${minMs > 0 ? `, of ${minMs} ms or more` : ''}`;
    const text = this.text(key, wanted);
    if (text === undefined) return undefined;
    const value = parseDurationMs(text);
    if (value === undefined || value < minMs || value > maxMs) throw this.wrong(key, wanted);
    return value;
  }

  /** `2%` or `0.02`, as a share from 0 to 1. */
  share(key: string): number | undefined {
    const wanted = 'a share such as 2% or 0.02, from 0 to 1';
    const text = this.text(key, wanted);
    if (text === undefined) return undefined;
    const [, amount, percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text) ?? [];
    const value = Number(amount) / (percent === '%' ? 100 : 1);
    if (!(value >= 0 && value <= 1)) throw this.wrong(key, wanted);
    return value;
  }

  choice<const Choice extends string>(key: string, choices: readonly Choice[]): Choice | undefined {
    const text = this.text(key, `one of ${choices.join(', ')}`);
    if (text === undefined) return undefined;
    const choice = choices.find((one) => one === text);
    if (choice === undefined) throw this.wrong(key, `one of ${choices.join(', ')}`);
    return choice;
  }

  /** Refuses keys that nobody has asked for. */
  finish(): void {
    for (const { key, keyPlace } of this.#entries.values()) {
      if (this.#known.has(key)) continue;
      throw this.bad(keyPlace, `${this.#what} has no key ${JSON.stringify(key)}; want ${[...this.#known].join(', ')}`);
    }
  }

  /** What stands at `key` is not what is wanted. */
  wrong(key: string, wanted: string): BadScenario {
    const node = this.node(key);
    if (node === undefined) return this.bad(this.place, `${this.#what} has no ${key}; want ${wanted}`);
    return this.bad(node.place, `${key} is ${describe(node)}; want ${wanted}`);
  }

  bad(place: Place, what: string): BadScenario {
    return new BadScenario(this.#fileName, place, what);
  }
}

/** Undefined when the text is no duration. */
export function parseDurationMs(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    totalMs += Number(amount) * (unitsMs[unit as string] as number);
  }
  return totalMs;
}

function describe(node: YamlNode): string {
  if (node.kind === 'mapping') return 'a mapping';
  if (node.kind === 'list') return 'a list';
  return node.text === '' ? 'empty' : JSON.stringify(node.text);
}
