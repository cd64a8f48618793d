/** OpenAPI paths of the resources: which operation takes and gives what. */
import type { JsonObject, ResourceSchema } from '../contract.ts';
import { apiVersionOf, scheme } from '../scheme.ts';
import { patchName, referenceTo, type OpenApiVersion } from './schemas.ts';

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1';
const produced = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
const patchTypes = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];

type Query = readonly (readonly [string, 'string' | 'integer' | 'boolean'])[];

const listQuery: Query = [
  ['allowWatchBookmarks', 'boolean'],
  ['continue', 'string'],
  ['fieldSelector', 'string'],
  ['labelSelector', 'string'],
  ['limit', 'integer'],
  ['resourceVersion', 'string'],
  ['resourceVersionMatch', 'string'],
  ['sendInitialEvents', 'boolean'],
  ['timeoutSeconds', 'integer'],
  ['watch', 'boolean'],
];
const writeQuery: Query = [
  ['dryRun', 'string'],
  ['fieldManager', 'string'],
  ['fieldValidation', 'string'],
];
const deleteQuery: Query = [
  ['dryRun', 'string'],
  ['gracePeriodSeconds', 'integer'],
  ['orphanDependents', 'boolean'],
  ['propagationPolicy', 'string'],
];

interface OperationPlan {
  readonly method: 'get' | 'put' | 'post' | 'patch' | 'delete';
  /** `read`, `list`, `create`, …: the beginning of the operation's id. */
  readonly word: string;
  readonly action: string;
  readonly query: Query;
  readonly body?: string;
  readonly answer: string;
  readonly codes: readonly string[];
}

interface Target {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** End of the operation's id. */
  readonly suffix: string;
}

/** All paths of one group version. */
export function pathsOf(group: string, version: string, openApi: OpenApiVersion): JsonObject {
  const paths: JsonObject = {};
  for (const resource of scheme.resources()) {
    if (resource.group === group && resource.version === version) addResource(paths, resource, openApi);
  }
  return Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** `/api/v1` or `/apis/apps/v1`. */
export function rootOf(place: { readonly group: string; readonly version: string }): string {
  return place.group === '' ? `/api/${place.version}` : `/apis/${apiVersionOf(place)}`;
}

function addResource(paths: JsonObject, resource: ResourceSchema, openApi: OpenApiVersion): void {
  const root = rootOf(resource);
  const collection = resource.isNamespaced
    ? `${root}/namespaces/{namespace}/${resource.resource}`
    : `${root}/${resource.resource}`;
  const item = `${collection}/{name}`;
  const scope = resource.isNamespaced ? 'Namespaced' : '';
  const target: Target = { ...resource, suffix: `${scope}${resource.kind}` };
  const listName = resource.message.replace(/[^.]+$/, resource.listKind);
  const can = (verb: string) => (resource.verbs as readonly string[]).includes(verb);
  const write = { query: writeQuery, body: resource.message, answer: resource.message };
  const list: OperationPlan = {
    method: 'get',
    word: 'list',
    action: 'list',
    query: listQuery,
    answer: listName,
    codes: ['200'],
  };
  const onCollection: OperationPlan[] = [];
  if (can('list')) onCollection.push(list);
  if (can('create'))
    onCollection.push({ ...write, method: 'post', word: 'create', action: 'post', codes: ['200', '201', '202'] });
  if (can('deletecollection')) {
    onCollection.push({
      method: 'delete',
      word: 'deleteCollection',
      action: 'deletecollection',
      query: [...listQuery.slice(1, -1), ...deleteQuery],
      body: `${meta}.DeleteOptions`,
      answer: `${meta}.Status`,
      codes: ['200'],
    });
  }
  const onItem: OperationPlan[] = [];
  if (can('get'))
    onItem.push({ method: 'get', word: 'read', action: 'get', query: [], answer: resource.message, codes: ['200'] });
  if (can('update')) onItem.push({ ...write, method: 'put', word: 'replace', action: 'put', codes: ['200', '201'] });
  if (can('patch')) onItem.push(patchPlan(resource.message));
  if (can('delete')) {
    const answer = resource.resource === 'pods' ? resource.message : `${meta}.Status`;
    const body = `${meta}.DeleteOptions`;
    onItem.push({
      method: 'delete',
      word: 'delete',
      action: 'delete',
      query: deleteQuery,
      body,
      answer,
      codes: ['200', '202'],
    });
  }
  addPath(paths, collection, onCollection, target, openApi);
  addPath(paths, item, onItem, target, openApi);
  if (resource.isNamespaced && can('list')) {
    const everywhere: Target = { ...target, suffix: `${resource.kind}ForAllNamespaces` };
    addPath(paths, `${root}/${resource.resource}`, [list], everywhere, openApi);
  }
  for (const subresource of resource.subresources) addSubresource(paths, item, resource, subresource, openApi);
}

function patchPlan(message: string): OperationPlan {
  const query: Query = [...writeQuery, ['force', 'boolean']];
  return {
    method: 'patch',
    word: 'patch',
    action: 'patch',
    query,
    body: patchName,
    answer: message,
    codes: ['200', '201'],
  };
}

function addSubresource(
  paths: JsonObject,
  item: string,
  resource: ResourceSchema,
  subresource: ResourceSchema['subresources'][number],
  openApi: OpenApiVersion,
): void {
  const message = scheme.messageOfKind(apiVersionOf(subresource), subresource.kind);
  // Connections (exec, proxy, …) take query options instead of a body and are not described.
  if (message === undefined || subresource.name === 'log') return;
  const scope = resource.isNamespaced ? 'Namespaced' : '';
  const word = subresource.name.slice(0, 1).toUpperCase() + subresource.name.slice(1);
  const target: Target = {
    group: subresource.group,
    version: subresource.version,
    kind: subresource.kind,
    suffix: `${scope}${resource.kind}${word}`,
  };
  const { name } = message;
  const plans: OperationPlan[] = [];
  if (subresource.verbs.includes('get')) {
    plans.push({ method: 'get', word: 'read', action: 'get', query: [], answer: name, codes: ['200'] });
  }
  const write = { query: writeQuery, body: name, answer: name };
  if (subresource.verbs.includes('update'))
    plans.push({ ...write, method: 'put', word: 'replace', action: 'put', codes: ['200', '201'] });
  if (subresource.verbs.includes('create')) {
    plans.push({ ...write, method: 'post', word: 'create', action: 'post', codes: ['200', '201', '202'] });
  }
  if (subresource.verbs.includes('patch')) plans.push(patchPlan(name));
  addPath(paths, `${item}/${subresource.name}`, plans, target, openApi, resource);
}

function addPath(
  paths: JsonObject,
  path: string,
  plans: readonly OperationPlan[],
  target: Target,
  openApi: OpenApiVersion,
  owner: { readonly group: string; readonly version: string } = target,
): void {
  if (plans.length === 0) return;
  const entry: JsonObject = {};
  for (const plan of plans) entry[plan.method] = operation(plan, target, openApi, owner);
  const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '').sort();
  entry['parameters'] = [
    ...names.map((name) => parameter(name, 'string', 'path', openApi)),
    parameter('pretty', 'string', 'query', openApi),
  ];
  paths[path] = entry;
}

function parameter(name: string, type: string, place: 'path' | 'query', openApi: OpenApiVersion): JsonObject {
  const required = place === 'path' ? { required: true } : {};
  if (openApi === 2) return { uniqueItems: true, type, name, in: place, ...required };
  return { name, in: place, ...required, schema: { type, uniqueItems: true } };
}

/** `deployments` of `apps/v1` -> `AppsV1`. */
function groupWord(place: { readonly group: string; readonly version: string }): string {
  const first = (place.group === '' ? 'core' : place.group).split('.')[0] ?? '';
  const upper = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1);
  return upper(first) + upper(place.version);
}

function operation(
  plan: OperationPlan,
  target: Target,
  openApi: OpenApiVersion,
  owner: { readonly group: string; readonly version: string },
): JsonObject {
  const group = groupWord(owner);
  const word = plan.word === 'deleteCollection' ? `delete${group}Collection` : `${plan.word}${group}`;
  const head = {
    tags: [
      group.replace(
        /^(.)(.*)(V\d.*)$/,
        (_, first, rest, version) => `${first.toLowerCase()}${rest}_${version.toLowerCase()}`,
      ),
    ],
    operationId: `${word}${target.suffix}`,
  };
  const tail = {
    'x-kubernetes-action': plan.action,
    'x-kubernetes-group-version-kind': { group: target.group, kind: target.kind, version: target.version },
  };
  const query = plan.query.map(([name, type]) => parameter(name, type, 'query', openApi));
  return openApi === 2
    ? { ...head, ...version2(plan, query), ...tail }
    : { ...head, ...version3(plan, query), ...tail };
}

function version2(plan: OperationPlan, query: readonly JsonObject[]): JsonObject {
  const schema = { $ref: referenceTo(plan.answer, 2) };
  const body =
    plan.body === undefined
      ? []
      : [
          {
            name: 'body',
            in: 'body',
            ...(plan.method === 'delete' ? {} : { required: true }),
            schema: { $ref: referenceTo(plan.body, 2) },
          },
        ];
  return {
    consumes: plan.method === 'patch' ? patchTypes : ['*/*'],
    produces: produced,
    schemes: ['https'],
    parameters: [...body, ...query],
    responses: {
      ...Object.fromEntries(plan.codes.map((code) => [code, { description: 'OK', schema }])),
      '401': { description: 'Unauthorized' },
    },
  };
}

function version3(plan: OperationPlan, query: readonly JsonObject[]): JsonObject {
  const media = (types: readonly string[], name: string) =>
    Object.fromEntries(types.map((type) => [type, { schema: { $ref: referenceTo(name, 3) } }]));
  const content = media(produced, plan.answer);
  const bodyTypes = plan.method === 'patch' ? patchTypes : ['*/*'];
  return {
    parameters: query,
    ...(plan.body === undefined
      ? {}
      : {
          requestBody: {
            content: media(bodyTypes, plan.body),
            ...(plan.method === 'delete' ? {} : { required: true }),
          },
        }),
    responses: {
      ...Object.fromEntries(plan.codes.map((code) => [code, { description: 'OK', content }])),
      '401': { description: 'Unauthorized' },
    },
  };
}
