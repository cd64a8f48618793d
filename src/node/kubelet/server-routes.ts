/** What a request to the agent's HTTPS port asks for: pure. */
export type KubeletRoute =
  | { readonly kind: 'health' }
  | { readonly kind: 'metrics' }
  | { readonly kind: 'pods' }
  | { readonly kind: 'stats' }
  | { readonly kind: 'logs'; readonly namespace: string; readonly pod: string; readonly container: string }
  | {
      readonly kind: 'exec' | 'attach';
      readonly namespace: string;
      readonly pod: string;
      readonly container: string;
    }
  | { readonly kind: 'portForward'; readonly namespace: string; readonly pod: string }
  | { readonly kind: 'unknown' };

/** The uid that some paths may carry is left out: names are unique on a node. */
export function parseRoute(path: string): KubeletRoute {
  let parts: string[];
  try {
    parts = path
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent);
  } catch {
    return { kind: 'unknown' };
  }
  const [first, namespace, pod, third, fourth] = parts;
  if (parts.length === 1) {
    if (first === 'healthz' || first === 'livez' || first === 'readyz') return { kind: 'health' };
    if (first === 'metrics') return { kind: 'metrics' };
    if (first === 'pods' || first === 'runningpods') return { kind: 'pods' };
  }
  if (first === 'metrics' && parts.length === 2) return { kind: 'metrics' };
  if (first === 'stats' && namespace === 'summary') return { kind: 'stats' };
  if (namespace === undefined || pod === undefined) return { kind: 'unknown' };
  if (first === 'containerLogs' && third !== undefined) {
    return { kind: 'logs', namespace, pod, container: third };
  }
  if ((first === 'exec' || first === 'attach') && third !== undefined) {
    return { kind: first, namespace, pod, container: fourth ?? third };
  }
  if (first === 'portForward') return { kind: 'portForward', namespace, pod };
  return { kind: 'unknown' };
}

/** The API server's name for what a request needs, for the access review. */
export function routeSubresource(route: KubeletRoute): string {
  switch (route.kind) {
    case 'metrics':
      return 'metrics';
    case 'stats':
      return 'stats';
    default:
      return 'proxy';
  }
}

/** A truthy query flag as kubectl and the API server write it. */
export function flag(query: URLSearchParams, ...names: readonly string[]): boolean {
  return names.some((name) => ['1', 'true'].includes(query.get(name) ?? ''));
}

/** undefined when absent; NaN never: a malformed number is an error of the caller. */
export function wholeNumber(query: URLSearchParams, name: string): number | undefined | 'malformed' {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  return /^\d+$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : 'malformed';
}
