/**
 * Label and field selectors as clients write them in a query, and LabelSelector objects as specs hold them.
 *
 * A parsed selector is a list of requirements that must all hold. The empty selector matches everything.
 */
import type { JsonObject } from './contract.ts';
import { badRequest } from './status-error.ts';

export type SelectorOperator = '=' | '!=' | 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt';

export interface LabelRequirement {
  readonly key: string;
  readonly operator: SelectorOperator;
  readonly values: readonly string[];
}

export type LabelSelector = readonly LabelRequirement[];

export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '!=';
  readonly value: string;
}

export type FieldSelector = readonly FieldRequirement[];

const keyPattern = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const valuePattern = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;

/** Parses `a=b,c!=d,e in (f,g),!h,i,j>5`. Throws StatusError 400. */
export function parseLabelSelector(text: string): LabelSelector {
  const requirements: LabelRequirement[] = [];
  const input = text.trim();
  if (input === '') return requirements;
  for (const part of splitOutsideParentheses(input)) requirements.push(parseRequirement(part.trim(), text));
  return requirements;
}

function splitOutsideParentheses(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '(') depth++;
    else if (char === ')') depth--;
    else if (char === ',' && depth === 0) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}

function parseRequirement(part: string, whole: string): LabelRequirement {
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(part);
  if (set !== null) {
    const values = (set[3] ?? '').split(',').map((value) => value.trim());
    return checked({ key: set[1] ?? '', operator: set[2] === 'in' ? 'in' : 'notin', values }, whole);
  }
  const absent = /^!\s*(\S+)$/.exec(part);
  if (absent !== null) return checked({ key: absent[1] ?? '', operator: '!', values: [] }, whole);
  const comparison = /^([^=!<>\s]+)\s*(==|=|!=|>|<)\s*(\S*)$/.exec(part);
  if (comparison !== null) {
    const sign = comparison[2];
    const operator = sign === '!=' ? '!=' : sign === '>' ? 'gt' : sign === '<' ? 'lt' : '=';
    return checked({ key: comparison[1] ?? '', operator, values: [comparison[3] ?? ''] }, whole);
  }
  if (/^[^=!<>()\s]+$/.test(part)) return checked({ key: part, operator: 'exists', values: [] }, whole);
  throw badRequest(
    `unable to parse requirement: found '${part}', expected: identifier, '!', in, notin, =, ==, !=, gt, lt`,
  );
}

function checked(requirement: LabelRequirement, whole: string): LabelRequirement {
  if (!keyPattern.test(requirement.key)) {
    throw badRequest(
      `unable to parse requirement: invalid label key ${JSON.stringify(requirement.key)} in ${JSON.stringify(whole)}`,
    );
  }
  const isNumeric = requirement.operator === 'gt' || requirement.operator === 'lt';
  for (const value of requirement.values) {
    const isValid = isNumeric ? /^-?\d+$/.test(value) : valuePattern.test(value) && value.length <= 63;
    if (isValid) continue;
    throw badRequest(
      `unable to parse requirement: values[0][${requirement.key}]: Invalid value: ${JSON.stringify(value)}`,
    );
  }
  return requirement;
}

export function matchesLabelSelector(
  selector: LabelSelector,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  return selector.every((requirement) => matchesRequirement(requirement, labels ?? {}));
}

function matchesRequirement(requirement: LabelRequirement, labels: Readonly<Record<string, string>>): boolean {
  const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
  switch (requirement.operator) {
    case '=':
    case 'in':
      return value !== undefined && requirement.values.includes(value);
    case '!=':
    case 'notin':
      return value === undefined || !requirement.values.includes(value);
    case 'exists':
      return value !== undefined;
    case '!':
      return value === undefined;
    case 'gt':
      return value !== undefined && /^-?\d+$/.test(value) && BigInt(value) > BigInt(requirement.values[0] ?? '0');
    case 'lt':
      return value !== undefined && /^-?\d+$/.test(value) && BigInt(value) < BigInt(requirement.values[0] ?? '0');
  }
}

/** The text of a selector, normalised; parses back to the same selector. */
export function formatLabelSelector(selector: LabelSelector): string {
  return selector.map(formatRequirement).join(',');
}

function formatRequirement(requirement: LabelRequirement): string {
  const { key, operator, values } = requirement;
  switch (operator) {
    case 'exists':
      return key;
    case '!':
      return `!${key}`;
    case 'in':
    case 'notin':
      return `${key} ${operator} (${[...values].sort().join(',')})`;
    case 'gt':
      return `${key}>${values[0]}`;
    case 'lt':
      return `${key}<${values[0]}`;
    case '=':
    case '!=':
      return `${key}${operator}${values[0]}`;
  }
}

/**
 * The requirements of a LabelSelector object (`matchLabels`, `matchExpressions`), sorted by key as upstream prints
 * them. An absent selector selects nothing: the caller decides what that means.
 */
export function selectorFromObject(selector: JsonObject): LabelSelector {
  const requirements: LabelRequirement[] = [];
  for (const [key, value] of Object.entries(selector['matchLabels'] ?? {})) {
    requirements.push({ key, operator: '=', values: [String(value)] });
  }
  for (const expression of selector['matchExpressions'] ?? []) {
    requirements.push({
      key: expression.key,
      operator: operatorOf(expression.operator),
      values: expression.values ?? [],
    });
  }
  return requirements.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

function operatorOf(name: string): SelectorOperator {
  switch (name) {
    case 'In':
      return 'in';
    case 'NotIn':
      return 'notin';
    case 'Exists':
      return 'exists';
    case 'DoesNotExist':
      return '!';
    case 'Gt':
      return 'gt';
    case 'Lt':
      return 'lt';
    default:
      throw badRequest(`${JSON.stringify(name)} is not a valid label selector operator`);
  }
}

/** Parses `status.phase!=Failed,metadata.name=x`; `\`, `,` and `=` in values are escaped with a backslash. */
export function parseFieldSelector(text: string): FieldSelector {
  const requirements: FieldRequirement[] = [];
  for (const term of splitUnescaped(text)) {
    if (term === '') continue;
    const match = /^([^=!]*)(==|!=|=)(.*)$/s.exec(term);
    if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    const value = (match[3] ?? '').replace(/\\([\\,=])/g, '$1');
    requirements.push({ field: match[1] ?? '', operator: match[2] === '!=' ? '!=' : '=', value });
  }
  return requirements;
}

function splitUnescaped(text: string): string[] {
  const terms: string[] = [];
  let term = '';
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? '';
    if (char === '\\') term += char + (text[++at] ?? '');
    else if (char === ',') {
      terms.push(term);
      term = '';
    } else term += char;
  }
  terms.push(term);
  return terms;
}

/** `valueOf` reads a selectable field of the object; undefined means the field cannot be selected by. */
export function matchesFieldSelector(selector: FieldSelector, valueOf: (field: string) => string | undefined): boolean {
  return selector.every((requirement) => {
    const value = valueOf(requirement.field) ?? '';
    return requirement.operator === '=' ? value === requirement.value : value !== requirement.value;
  });
}
