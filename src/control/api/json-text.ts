/**
 * A JSON parser that also says which keys of an object were given twice, which JSON.parse cannot.
 *
 * Numbers become JavaScript numbers, except integers beyond 2^53, which stay text in a `LargeInteger`, because int64
 * fields must not lose digits. Error texts are those of Go's decoder, which clients of Kubernetes are used to.
 */

/** An integer that a JavaScript number cannot hold. */
export class LargeInteger {
  readonly digits: string;
  constructor(digits: string) {
    this.digits = digits;
  }
}

export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
}

export interface ParsedJson {
  readonly value: unknown;
  /** Paths as `spec.containers[0].name`. */
  readonly duplicates: readonly string[];
}

/** Nesting beyond this is refused, as upstream's decoder does, so that a small body cannot exhaust the stack. */
const depthMax = 1000;
/** More duplicates than this are not listed: the client has seen enough. */
const duplicatesMax = 100;

const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// Between the quotes: everything from the space on but the quote and the backslash.
const stringPattern = /"((?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)"/y;
const plainStringPattern = /"([ !#-[\]-\uffff]*)"/y;
const spacePattern = /[ \t\n\r]*/y;

/** Throws JsonSyntaxError. */
export function parseJson(text: string): ParsedJson {
  const duplicates: string[] = [];
  let at = 0;

  function skipSpace(): void {
    const code = text.charCodeAt(at);
    if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return;
    spacePattern.lastIndex = at;
    spacePattern.test(text);
    at = spacePattern.lastIndex;
  }

  function fail(looking: string): never {
    if (at >= text.length) throw new JsonSyntaxError('unexpected end of JSON input');
    throw new JsonSyntaxError(`invalid character ${quoteCharacter(text[at] ?? '')} ${looking}`);
  }

  function parseString(): string {
    plainStringPattern.lastIndex = at;
    const plain = plainStringPattern.exec(text);
    if (plain !== null) {
      at = plainStringPattern.lastIndex;
      return plain[1] ?? '';
    }
    stringPattern.lastIndex = at;
    if (!stringPattern.test(text)) {
      at = Math.min(text.length, at + 1);
      while (at < text.length && text[at] !== '\\' && (text.codePointAt(at) ?? 0) >= 0x20) at++;
      return fail('in string literal');
    }
    const source = text.slice(at, stringPattern.lastIndex);
    at = stringPattern.lastIndex;
    return JSON.parse(source);
  }

  function parseNumber(): number | LargeInteger {
    numberPattern.lastIndex = at;
    const match = numberPattern.exec(text);
    if (match === null) return fail('looking for beginning of value');
    at = numberPattern.lastIndex;
    const value = Number(match[0]);
    return Number.isSafeInteger(value) || !/^-?\d+$/.test(match[0]) ? value : new LargeInteger(match[0]);
  }

  function parseWord(word: string, value: unknown): unknown {
    if (!text.startsWith(word, at)) {
      while (text[at] === word[0] && word.length > 1) {
        at++;
        word = word.slice(1);
      }
      return fail(`in literal ${word}`);
    }
    at += word.length;
    return value;
  }

  function parseArray(path: string, depth: number): unknown[] {
    const items: unknown[] = [];
    at++;
    skipSpace();
    if (text[at] === ']') {
      at++;
      return items;
    }
    for (;;) {
      items.push(parseValue(`${path}[${items.length}]`, depth));
      skipSpace();
      const char = text[at];
      if (char !== ',' && char !== ']') return fail('after array element');
      at++;
      if (char === ']') return items;
    }
  }

  function parseObject(path: string, depth: number): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    at++;
    skipSpace();
    if (text[at] === '}') {
      at++;
      return object;
    }
    for (;;) {
      skipSpace();
      if (text[at] !== '"') return fail('looking for beginning of object key string');
      const key = parseString();
      const keyPath = path === '' ? key : `${path}.${key}`;
      skipSpace();
      if (text[at] !== ':') return fail('after object key');
      at++;
      const value = parseValue(keyPath, depth);
      if (Object.hasOwn(object, key)) {
        if (duplicates.length < duplicatesMax && !duplicates.includes(keyPath)) duplicates.push(keyPath);
      }
      // Assigning `__proto__` would change the object's prototype instead of its content.
      if (key === '__proto__') {
        Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
      } else object[key] = value;
      skipSpace();
      const char = text[at];
      if (char !== ',' && char !== '}') return fail('after object key:value pair');
      at++;
      if (char === '}') return object;
    }
  }

  function parseValue(path: string, depth: number): unknown {
    if (depth > depthMax) throw new JsonSyntaxError('exceeded max depth');
    skipSpace();
    switch (text[at]) {
      case '{':
        return parseObject(path, depth + 1);
      case '[':
        return parseArray(path, depth + 1);
      case '"':
        return parseString();
      case 't':
        return parseWord('true', true);
      case 'f':
        return parseWord('false', false);
      case 'n':
        return parseWord('null', null);
      default:
        return parseNumber();
    }
  }

  const value = parseValue('', 0);
  skipSpace();
  if (at < text.length) fail('after top-level value');
  return { value, duplicates };
}

function quoteCharacter(char: string): string {
  if (char === "'") return `'\\''`;
  if (char === '"') return `'"'`;
  const text = JSON.stringify(char);
  return `'${text.slice(1, -1)}'`;
}
