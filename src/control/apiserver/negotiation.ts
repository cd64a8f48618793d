/** Content negotiation: which form of an answer the client wants, and which form its body has. */

export type Format = 'json' | 'yaml' | 'protobuf';

export interface Accepted {
  readonly format: Format;
  /** `Table`, `PartialObjectMetadata`, `PartialObjectMetadataList`, `APIGroupDiscoveryList`; '' = the object itself. */
  readonly as: string;
  /** Group and version of `as`. */
  readonly group: string;
  readonly version: string;
  readonly isPretty: boolean;
}

export const contentTypes: Readonly<Record<Format, string>> = {
  json: 'application/json',
  yaml: 'application/yaml',
  protobuf: 'application/vnd.kubernetes.protobuf',
};

const formatByType: Readonly<Record<string, Format>> = {
  'application/json': 'json',
  'application/yaml': 'yaml',
  'application/vnd.kubernetes.protobuf': 'protobuf',
  'application/*': 'json',
  '*/*': 'json',
};

interface Clause {
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly quality: number;
}

function parseClauses(header: string): Clause[] {
  return header
    .split(',')
    .map((text) => {
      const [type = '', ...pairs] = text.split(';').map((part) => part.trim());
      const parameters: Record<string, string> = {};
      for (const pair of pairs) {
        const equals = pair.indexOf('=');
        if (equals > 0) parameters[pair.slice(0, equals)] = pair.slice(equals + 1).replace(/^"|"$/g, '');
      }
      const quality = Number(parameters['q'] ?? '1');
      return { type: type.toLowerCase(), parameters, quality: Number.isFinite(quality) ? quality : 0 };
    })
    .filter((clause) => clause.type !== '' && clause.quality > 0)
    .sort((a, b) => b.quality - a.quality);
}

/**
 * The first clause of `Accept` that can be served. `transforms` are the `as` values that the endpoint knows, `formats`
 * the encodings. Undefined = 406.
 */
export function negotiate(
  accept: string | undefined,
  transforms: (as: string, group: string, version: string) => boolean,
  options: { readonly formats?: readonly Format[]; readonly isPretty?: boolean } = {},
): Accepted | undefined {
  const formats = options.formats ?? ['json', 'yaml', 'protobuf'];
  const isPretty = options.isPretty ?? false;
  const clauses = parseClauses(accept === undefined || accept.trim() === '' ? '*/*' : accept);
  for (const { type, parameters } of clauses) {
    const format = formatByType[type];
    if (format === undefined || !formats.includes(format)) continue;
    const as = parameters['as'] ?? '';
    const group = parameters['g'] ?? '';
    const version = parameters['v'] ?? '';
    if (as !== '' && !transforms(as, group, version)) continue;
    return { format, as, group, version, isPretty: isPretty || parameters['pretty'] === '1' };
  }
  return undefined;
}

/** People read these clients' answers, so they are indented as kube-apiserver does. */
export function wantsPretty(query: URLSearchParams, userAgent: string | undefined): boolean {
  const asked = query.get('pretty');
  if (asked !== null) return asked !== 'false' && asked !== '0';
  return /^(curl|Wget)\/|^Mozilla\//.test(userAgent ?? '');
}

/** The form of a request's body; undefined when it is none we read. */
export function bodyFormat(contentType: string | undefined): Format | undefined {
  const type = (contentType ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (type === '') return 'json';
  if (type === 'application/x-yaml' || type === 'text/yaml') return 'yaml';
  return type.includes('*') ? undefined : formatByType[type];
}
