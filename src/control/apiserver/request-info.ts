/**
 * What a request is about, by its path and method alone: the attributes that authorization, metrics and handlers share.
 * The rules are kube-apiserver's: `/api/v1/namespaces/a/pods/b/log` is verb `get` on resource `pods`, subresource `log`.
 */

export interface RequestInfo {
  readonly isResourceRequest: boolean;
  readonly path: string;
  /** create, get, list, watch, update, patch, delete, deletecollection; the lower-case method for other paths. */
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  /** '' when the request names none. */
  readonly namespace: string;
  readonly resource: string;
  readonly subresource: string;
  /** '' for collections. */
  readonly name: string;
  /** Path segments after the subresource (`proxy/a/b`). */
  readonly rest: readonly string[];
}

const verbByMethod: Readonly<Record<string, string>> = {
  POST: 'create',
  GET: 'get',
  HEAD: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Segments after a namespace's name that are its own subresources and not a resource inside of it. */
const namespaceSubresources = new Set(['status', 'finalize']);

/** Undefined when a percent escape in the path is malformed. */
export function parseRequestInfo(method: string, path: string, query: URLSearchParams): RequestInfo | undefined {
  let segments: string[];
  try {
    segments = path
      .split('/')
      .filter((segment) => segment !== '')
      .map(decodeURIComponent);
  } catch {
    return undefined;
  }
  const other: RequestInfo = {
    isResourceRequest: false,
    path,
    verb: method.toLowerCase(),
    group: '',
    version: '',
    namespace: '',
    resource: '',
    subresource: '',
    name: '',
    rest: [],
  };
  const [root] = segments;
  if (root !== 'api' && root !== 'apis') return other;
  const groupSegments = root === 'api' ? 0 : 1;
  if (segments.length < groupSegments + 3) return other;
  const group = root === 'api' ? '' : (segments[1] as string);
  const version = segments[groupSegments + 1] as string;
  let parts = segments.slice(groupSegments + 2);
  let verb = verbByMethod[method] ?? '';
  if (parts[0] === 'watch' && parts.length > 1) {
    verb = 'watch';
    parts = parts.slice(1);
  }
  let namespace = '';
  if (parts[0] === 'namespaces' && parts.length > 1) {
    namespace = parts[1] as string;
    if (parts.length > 2 && !namespaceSubresources.has(parts[2] as string)) parts = parts.slice(2);
  }
  const [resource = '', name = '', subresource = '', ...rest] = parts;
  const info = { ...other, isResourceRequest: true, group, version, namespace, resource, name, subresource, rest };
  if (name !== '') return { ...info, verb };
  if (verb === 'get') {
    const watch = query.get('watch');
    const isWatch = watch !== null && watch !== 'false' && watch !== '0';
    return { ...info, verb: isWatch ? 'watch' : 'list', name: nameOfSelector(query.get('fieldSelector')) };
  }
  if (verb === 'watch') return { ...info, verb, name: nameOfSelector(query.get('fieldSelector')) };
  return { ...info, verb: verb === 'delete' ? 'deletecollection' : verb };
}

/** `metadata.name=x` makes a list a question about one object, so that roles with resourceNames can allow it. */
function nameOfSelector(selector: string | null): string {
  const match = /(?:^|,)metadata\.name==?([^,]+)/.exec(selector ?? '');
  return match?.[1] ?? '';
}
