/**
 * The notation of the message tables, and its parser.
 *
 * A message is a paragraph. Its first line is `Name [kind] [atomic]`: `kind` when it carries apiVersion and kind,
 * `atomic` when server-side apply treats it as one value. Every further line is one field, in the order in which
 * upstream writes JSON:
 *
 *     name number type [flags]  # description
 *
 * `number` is the protobuf field number, or `-` when the field has no protobuf form. `type` is a scalar kind of
 * contract.ts or a message (`PodSpec` of the same table, `core.PodSpec` of another), optionally `[]type`,
 * `map[type]`, and `*type` for a pointer: a field whose zero value differs from absence.
 *
 * Flags: `required`; `keep` (written even when empty); `omitempty` (required, yet left out when empty); `omitzero`
 * (a struct that is left out when zero); `inline`; `enum=A,B`; `default=X`; `merge`, `merge=key`, `retainKeys`,
 * `replace` (strategic merge); `atomic`, `set`, `map=a,b` (list types); `atomicMap`.
 *
 *     ports 6 []ContainerPort merge=containerPort map=containerPort,protocol  # Ports that the container opens.
 */
import { assert } from '../../../env/assert.ts';
import type { FieldSchema, FieldType, Json, MessageSchema } from '../contract.ts';

export interface MessageTable {
  /** Prefix of the OpenAPI definition names. */
  readonly prefix: string;
  readonly group: string;
  readonly version: string;
  readonly messages: string;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const scalarKinds: ReadonlySet<string> = new Set([
  'string',
  'bool',
  'int32',
  'int64',
  'double',
  'bytes',
  'time',
  'microTime',
  'quantity',
  'intOrString',
  'duration',
  'json',
  'stringList',
]);

/** Kinds that are structs by value upstream: `omitempty` never leaves them out. */
const structKinds: ReadonlySet<string> = new Set(['message', 'time', 'microTime', 'quantity', 'intOrString', 'json']);

/** `prefixes` maps the short name before the dot (`core`) to the prefix of its table. */
export function parseTable(table: MessageTable, prefixes: Readonly<Record<string, string>>): MessageSchema[] {
  const messages: MessageSchema[] = [];
  for (const paragraph of table.messages.trim().split(/\n\s*\n/)) {
    const [head, ...lines] = paragraph.split('\n');
    assert(head !== undefined && /^[A-Z]/.test(head), () => `a message must begin with its name: ${paragraph}`);
    const [words, description] = splitDescription(head);
    const [name, ...flags] = words;
    const message: Mutable<MessageSchema> = {
      name: `${table.prefix}.${name}`,
      fields: lines.map((line) => parseField(line, table.prefix, prefixes)),
      isKind: flags.includes('kind'),
      group: table.group,
      version: table.version,
    };
    if (flags.includes('atomic')) message.mapType = 'atomic';
    if (description !== undefined) message.description = description;
    messages.push(message);
  }
  return messages;
}

function splitDescription(line: string): [string[], string | undefined] {
  const at = line.indexOf('  # ');
  if (at < 0) return [line.trim().split(/\s+/), undefined];
  return [line.slice(0, at).trim().split(/\s+/), line.slice(at + 4).trim()];
}

function parseField(line: string, prefix: string, prefixes: Readonly<Record<string, string>>): FieldSchema {
  const [[name, number, typeText, ...flags], description] = splitDescription(line);
  assert(
    name !== undefined && number !== undefined && typeText !== undefined,
    () => `a field needs name, number and type: ${line}`,
  );
  const isPointer = typeText.startsWith('*');
  const type = parseType(isPointer ? typeText.slice(1) : typeText, prefix, prefixes);
  const field: Mutable<FieldSchema> = { name, number: number === '-' ? 0 : Number(number), type };
  assert(Number.isInteger(field.number), () => `a field number must be an integer: ${line}`);
  if (isPointer) field.isPointer = true;
  if (description !== undefined) field.description = description;
  for (const flag of flags) applyFlag(field, flag);
  const byValue = structKinds.has(type.kind) && !isPointer;
  if (!field.inline && !flags.includes('omitzero') && !flags.includes('omitempty')) {
    if (byValue || field.required || flags.includes('keep')) field.keepEmpty = true;
  }
  return field;
}

function applyFlag(field: Mutable<FieldSchema>, flag: string): void {
  const [word, value] = flag.split('=', 2);
  switch (word) {
    case 'required':
      field.required = true;
      return;
    case 'inline':
      field.inline = true;
      return;
    case 'keep':
    case 'omitempty':
    case 'omitzero':
      return;
    case 'enum':
      field.enumValues = (value ?? '').split(',');
      return;
    case 'default':
      field.defaultValue = defaultOf(field.type, value ?? '');
      return;
    case 'retainKeys':
      field.patchStrategy = 'retainKeys';
      return;
    case 'merge':
      field.patchStrategy = field.patchStrategy === 'retainKeys' ? 'merge,retainKeys' : 'merge';
      if (value !== undefined) field.patchMergeKey = value;
      return;
    case 'replace':
      field.patchStrategy = 'replace';
      return;
    case 'atomic':
    case 'set':
      field.listType = word;
      return;
    case 'map':
      field.listType = 'map';
      field.listMapKeys = (value ?? '').split(',');
      return;
    case 'atomicMap':
      field.mapType = 'atomic';
      return;
    default:
      assert(false, `unknown flag ${flag} of field ${field.name}`);
  }
}

function defaultOf(type: FieldType, text: string): Json {
  if (type.kind === 'bool') return text === 'true';
  return type.kind === 'int32' || type.kind === 'int64' ? Number(text) : text;
}

function parseType(text: string, prefix: string, prefixes: Readonly<Record<string, string>>): FieldType {
  if (text.startsWith('[]')) return { kind: 'list', item: parseType(text.slice(2), prefix, prefixes) };
  if (text.startsWith('map[')) {
    assert(text.endsWith(']'), `a map type must close its bracket: ${text}`);
    return { kind: 'map', value: parseType(text.slice(4, -1), prefix, prefixes) };
  }
  // The check above makes the word one of the scalar kinds of FieldType.
  if (scalarKinds.has(text)) return { kind: text } as FieldType;
  const [alias, name] = text.split('.');
  if (name === undefined) return { kind: 'message', message: `${prefix}.${alias}` };
  const otherPrefix = prefixes[alias ?? ''];
  assert(otherPrefix !== undefined, `unknown table ${alias} in type ${text}`);
  return { kind: 'message', message: `${otherPrefix}.${name}` };
}
