/**
 * A YAML file as a tree in which everything knows where it stands, so that whoever reads a schema out of it can point at
 * what is wrong. A file is one document of mappings, lists and text; what YAML has beyond (anchors, aliases, tags, a second document,
 * a key twice) is refused, as a person reading a scenario has no use for it.
 */
import { EVENT_ID, type Event, getScalarValue, parseEvents, type ScalarEvent, YAMLException } from 'js-yaml';
import { assert, present } from '../../src/env/assert.ts';
import { KeelsonError } from '../../src/env/errors.ts';

/** Both from 1, as editors count. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface YamlEntry {
  readonly key: string;
  readonly keyPlace: Place;
  readonly node: YamlNode;
}

export type YamlNode = { readonly place: Place } & (
  | { readonly kind: 'mapping'; readonly entries: readonly YamlEntry[] }
  | { readonly kind: 'list'; readonly items: readonly YamlNode[] }
  /** `text` is '' when nothing stands there. */
  | { readonly kind: 'scalar'; readonly text: string; readonly isQuoted: boolean }
);

/** A file of a person's own that cannot be used: file:line:column, what is wrong, what is wanted. */
export class BadScenario extends KeelsonError {
  override readonly name = 'BadScenario';
  readonly place: Place;
  constructor(fileName: string, place: Place, what: string) {
    super('BAD_SCENARIO', `${fileName}:${place.line}:${place.column}: ${what}`);
    this.place = place;
  }
}

/** Far beyond any scenario, and far below what would take noticeable time. */
export const fileCharactersMax = 256 * 1024;
/** A scenario needs four. */
const depthMax = 12;

/** Throws BadScenario. */
export function parseYamlTree(text: string, fileName: string): YamlNode {
  const start = { line: 1, column: 1 };
  if (text.length > fileCharactersMax)
    throw new BadScenario(
      fileName,
      start,
      `the file has ${text.length} characters; want ${fileCharactersMax} at the most`,
    );
  let events: readonly Event[];
  try {
    events = parseEvents(text, { maxDepth: depthMax });
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const { mark } = error;
    const place = mark === undefined ? start : { line: mark.line + 1, column: mark.column + 1 };
    throw new BadScenario(fileName, place, `not YAML: ${error.reason}`);
  }
  const [first, root] = events;
  if (first === undefined || root === undefined || root.type === EVENT_ID.POP)
    throw new BadScenario(fileName, start, 'the file is empty; want a scenario');
  return new TreeBuilder(text, fileName, events).build();
}

class TreeBuilder {
  readonly #text: string;
  readonly #fileName: string;
  readonly #events: readonly Event[];
  /** Offsets at which lines begin. */
  readonly #lineStarts: readonly number[];
  #position = 0;

  constructor(text: string, fileName: string, events: readonly Event[]) {
    this.#text = text;
    this.#fileName = fileName;
    this.#events = events;
    this.#lineStarts = [0, ...Array.from(text.matchAll(/\r\n|\n|\r/g), (match) => match.index + match[0].length)];
  }

  build(): YamlNode {
    assert(this.#next().type === EVENT_ID.DOCUMENT, 'a stream of events begins with a document');
    const root = this.#node({ line: 1, column: 1 });
    assert(this.#next().type === EVENT_ID.POP, 'a document ends after its only node');
    if (this.#position < this.#events.length)
      throw this.#bad(this.#lastPlace(), 'a second document begins; want one scenario in a file');
    return root;
  }

  /** `near`: where to point to when nothing is there. */
  #node(near: Place): YamlNode {
    const event = this.#next();
    switch (event.type) {
      case EVENT_ID.SCALAR: {
        this.#refuseExtras(event, near);
        const place = this.#scalarPlace(event, near);
        return { kind: 'scalar', place, text: getScalarValue(this.#text, event), isQuoted: event.style !== 1 };
      }
      case EVENT_ID.SEQUENCE: {
        this.#refuseExtras(event, near);
        const place = this.#placeAt(event.start);
        const items: YamlNode[] = [];
        while (!this.#isAtPop()) items.push(this.#node(items.at(-1)?.place ?? place));
        this.#next();
        return { kind: 'list', place, items };
      }
      case EVENT_ID.MAPPING: {
        this.#refuseExtras(event, near);
        return this.#mapping(this.#placeAt(event.start));
      }
      case EVENT_ID.ALIAS:
        throw this.#bad(this.#placeAt(event.anchorStart - 1), 'an alias; want the value itself');
      default:
        throw this.#bad(near, 'nothing here; want a value');
    }
  }

  #mapping(place: Place): YamlNode {
    const entries: YamlEntry[] = [];
    while (!this.#isAtPop()) {
      const key = this.#node(entries.at(-1)?.keyPlace ?? place);
      if (key.kind !== 'scalar') throw this.#bad(key.place, 'a key that is a collection; want a word');
      const before = entries.find((entry) => entry.key === key.text);
      if (before !== undefined)
        throw this.#bad(key.place, `${key.text} is there twice, first in line ${before.keyPlace.line}; want it once`);
      entries.push({ key: key.text, keyPlace: key.place, node: this.#node(key.place) });
    }
    this.#next();
    return { kind: 'mapping', place, entries };
  }

  #refuseExtras(event: { readonly anchorStart: number; readonly tagStart: number }, near: Place): void {
    if (event.anchorStart >= 0) throw this.#bad(this.#placeAt(event.anchorStart - 1), 'an anchor; want a plain value');
    if (event.tagStart >= 0) throw this.#bad(this.#placeAt(event.tagStart) ?? near, 'a tag; want a plain value');
  }

  /** Quotes count as part of what they enclose. */
  #scalarPlace(event: ScalarEvent, near: Place): Place {
    if (event.valueStart < 0) return near;
    return this.#placeAt(event.style === 2 || event.style === 3 ? event.valueStart - 1 : event.valueStart);
  }

  #placeAt(offset: number): Place {
    const index = this.#lineStarts.findLastIndex((start) => start <= offset);
    return { line: index + 1, column: offset - (this.#lineStarts[index] ?? 0) + 1 };
  }

  /** Of what comes after the first document. */
  #lastPlace(): Place {
    const later = this.#events.slice(this.#position).find((event) => 'start' in event || 'valueStart' in event);
    if (later === undefined) return { line: this.#lineStarts.length, column: 1 };
    return this.#placeAt(Math.max(0, 'start' in later ? later.start : 'valueStart' in later ? later.valueStart : 0));
  }

  #isAtPop(): boolean {
    return present(this.#events[this.#position], 'the next event').type === EVENT_ID.POP;
  }

  #next(): Event {
    return present(this.#events[this.#position++], 'the next event');
  }

  #bad(place: Place, what: string): BadScenario {
    return new BadScenario(this.#fileName, place, what);
  }
}
