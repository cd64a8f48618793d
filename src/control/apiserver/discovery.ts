/**
 * Discovery: which groups, versions and resources there are, in the plain form (/api, /apis, /apis/g/v) and in the
 * aggregated one that clients ask for by `as=APIGroupDiscoveryList`. Everything follows from the scheme and is built once.
 */
import { contentHash } from './content-hash.ts';
import type { ApiResponse, Headers } from './http.ts';
import { jsonResponse } from './http.ts';
import { apiVersionOf, type JsonObject, type ResourceSchema } from './kinds.ts';
import { negotiate } from './negotiation.ts';

interface GroupVersion {
  readonly group: string;
  readonly version: string;
  readonly resources: readonly ResourceSchema[];
}

/** Upstream lists groups by priority, not by name; clients resolve short names in this order. */
const groupOrder = [
  '',
  'apiregistration.k8s.io',
  'apps',
  'events.k8s.io',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'autoscaling',
  'batch',
  'certificates.k8s.io',
  'networking.k8s.io',
  'policy',
  'rbac.authorization.k8s.io',
  'storage.k8s.io',
  'admissionregistration.k8s.io',
  'apiextensions.k8s.io',
  'scheduling.k8s.io',
  'coordination.k8s.io',
  'node.k8s.io',
  'discovery.k8s.io',
  'resource.k8s.io',
  'flowcontrol.apiserver.k8s.io',
];

/** v2 before v1: the newest stable version is preferred. */
function byVersion(a: string, b: string): number {
  return Number(b.replace(/^v(\d+).*/, '$1')) - Number(a.replace(/^v(\d+).*/, '$1'));
}

export class Discovery {
  readonly #groups = new Map<string, GroupVersion[]>();
  readonly #aggregated = new Map<string, { readonly etag: string; readonly body: JsonObject }>();

  constructor(resources: readonly ResourceSchema[]) {
    const byGroupVersion = Map.groupBy(resources, (resource) => apiVersionOf(resource));
    const all = [...byGroupVersion.values()].map((list): GroupVersion => {
      const [first] = list;
      return { group: first?.group ?? '', version: first?.version ?? '', resources: list };
    });
    const rank = (group: string) => (groupOrder.includes(group) ? groupOrder.indexOf(group) : groupOrder.length);
    for (const item of all.sort((a, b) => rank(a.group) - rank(b.group) || byVersion(a.version, b.version))) {
      this.#groups.set(item.group, [...(this.#groups.get(item.group) ?? []), item]);
    }
  }

  /** The answer for a discovery path; undefined when it is none. */
  handle(path: string, headers: Readonly<Record<string, string | undefined>>, host: string): ApiResponse | undefined {
    const segments = path.split('/').filter((segment) => segment !== '');
    const [root, first, second, extra] = segments;
    if (extra !== undefined) return undefined;
    if (root === 'api') {
      if (first === undefined) return this.#negotiated('api', headers) ?? jsonResponse(200, legacyVersions(host));
      if (second !== undefined) return undefined;
      return this.#resourceList('', first);
    }
    if (root !== 'apis') return undefined;
    if (first === undefined) return this.#negotiated('apis', headers) ?? jsonResponse(200, this.#groupList());
    if (second === undefined) {
      const group = this.#groups.get(first);
      if (group === undefined || first === '') return undefined;
      return jsonResponse(200, { kind: 'APIGroup', apiVersion: 'v1', ...groupInfo(first, group) });
    }
    return this.#resourceList(first, second);
  }

  #groupList(): JsonObject {
    const groups = [...this.#groups]
      .filter(([name]) => name !== '')
      .map(([name, versions]) => groupInfo(name, versions));
    return { kind: 'APIGroupList', apiVersion: 'v1', groups };
  }

  #resourceList(group: string, version: string): ApiResponse | undefined {
    const found = this.#groups.get(group)?.find((item) => item.version === version);
    if (found === undefined) return undefined;
    return jsonResponse(200, {
      kind: 'APIResourceList',
      ...(group === '' ? {} : { apiVersion: 'v1' }),
      groupVersion: apiVersionOf(found),
      resources: found.resources.flatMap(plainResources),
    });
  }

  #negotiated(root: 'api' | 'apis', headers: Readonly<Record<string, string | undefined>>): ApiResponse | undefined {
    const accepted = negotiate(
      headers['accept'],
      (as, group, version) =>
        as === 'APIGroupDiscoveryList' &&
        group === 'apidiscovery.k8s.io' &&
        (version === 'v2' || version === 'v2beta1'),
      { formats: ['json'] },
    );
    if (accepted === undefined || accepted.as === '') return undefined;
    const key = `${root} ${accepted.version}`;
    let entry = this.#aggregated.get(key);
    if (entry === undefined) {
      const body = this.#aggregate(root, accepted.version);
      entry = { body, etag: `"${contentHash(JSON.stringify(body))}"` };
      this.#aggregated.set(key, entry);
    }
    const responseHeaders: Headers = {
      'content-type': `application/json;g=apidiscovery.k8s.io;v=${accepted.version};as=APIGroupDiscoveryList`,
      etag: entry.etag,
      vary: 'Accept',
      'cache-control': 'public',
    };
    if (headers['if-none-match'] === entry.etag) {
      return { kind: 'body', status: 304, headers: responseHeaders, body: new Uint8Array() };
    }
    return jsonResponse(200, entry.body, responseHeaders);
  }

  #aggregate(root: 'api' | 'apis', version: string): JsonObject {
    const items = [...this.#groups]
      .filter(([name]) => (name === '') === (root === 'api'))
      .map(([name, versions]) => ({
        metadata: name === '' ? {} : { name },
        versions: versions.map((item) => ({
          version: item.version,
          resources: item.resources.map(aggregatedResource),
          freshness: 'Current',
        })),
      }));
    return { kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${version}`, metadata: {}, items };
  }
}

function legacyVersions(host: string): JsonObject {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: host }],
  };
}

function groupInfo(name: string, versions: readonly GroupVersion[]): JsonObject {
  const list = versions.map((item) => ({ groupVersion: apiVersionOf(item), version: item.version }));
  return { name, versions: list, preferredVersion: list[0] };
}

/** Status and the other subresources, in the order of their names. */
function subresourcesOf(resource: ResourceSchema) {
  const status = resource.hasStatus
    ? [
        {
          name: 'status',
          kind: resource.kind,
          group: resource.group,
          version: resource.version,
          verbs: ['get', 'patch', 'update'],
        },
      ]
    : [];
  const others = resource.subresources.filter((item) => item.name !== 'status');
  return [...others, ...status].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Group and version are only told where they are not the resource's own. */
function foreignKind(resource: ResourceSchema, kind: { readonly group: string; readonly version: string }): JsonObject {
  return kind.group === resource.group && kind.version === resource.version
    ? {}
    : { group: kind.group, version: kind.version };
}

function plainResources(resource: ResourceSchema): JsonObject[] {
  const main = {
    name: resource.resource,
    singularName: resource.singular,
    namespaced: resource.isNamespaced,
    kind: resource.kind,
    verbs: [...resource.verbs],
    ...(resource.shortNames.length > 0 ? { shortNames: [...resource.shortNames] } : {}),
    ...(resource.categories.length > 0 ? { categories: [...resource.categories] } : {}),
  };
  const subresources = subresourcesOf(resource).map((item) => ({
    name: `${resource.resource}/${item.name}`,
    singularName: '',
    namespaced: resource.isNamespaced,
    ...foreignKind(resource, item),
    kind: item.kind,
    verbs: [...item.verbs],
  }));
  return [main, ...subresources];
}

function aggregatedResource(resource: ResourceSchema): JsonObject {
  const subresources = subresourcesOf(resource).map((item) => ({
    subresource: item.name,
    responseKind: { group: '', version: '', ...foreignKind(resource, item), kind: item.kind },
    verbs: [...item.verbs],
  }));
  return {
    resource: resource.resource,
    responseKind: { group: '', version: '', kind: resource.kind },
    scope: resource.isNamespaced ? 'Namespaced' : 'Cluster',
    singularResource: resource.singular,
    verbs: [...resource.verbs],
    ...(resource.shortNames.length > 0 ? { shortNames: [...resource.shortNames] } : {}),
    ...(resource.categories.length > 0 ? { categories: [...resource.categories] } : {}),
    ...(subresources.length > 0 ? { subresources } : {}),
  };
}
