/** The scheme: every resource and message, by every name that the control plane asks for them. */
import { assert } from '../../env/assert.ts';
import { columnsOf } from './columns/columns.ts';
import type { GroupVersionResource, ResourceSchema, Scheme } from './contract.ts';
import { defaulterOf } from './defaults/defaults.ts';
import { selectableFieldsOf } from './resources/field-selectors.ts';
import { parseResourceLines } from './resources/list.ts';
import { findMessage, findMessageOfKind } from './schema/messages.ts';
import { validatorOf } from './validation/validators.ts';

function buildResource(line: ReturnType<typeof parseResourceLines>[number]): ResourceSchema {
  const apiVersion = apiVersionOf(line);
  const message = findMessageOfKind(apiVersion, line.kind);
  assert(message !== undefined, `resource ${line.resource} of ${apiVersion} must have a message`);
  const { columns, cells } = columnsOf(line.group, line.resource);
  const applyDefaults = defaulterOf(line.group, line.resource);
  const resource: ResourceSchema = {
    ...line,
    message: message.name,
    columns,
    cells,
    selectableFields: selectableFieldsOf(line.group, line.resource),
    ...(applyDefaults === undefined ? {} : { applyDefaults }),
    validate: validatorOf(line.group, line.resource, () => resource),
  };
  return resource;
}

const resources = parseResourceLines().map(buildResource);
const byResource = new Map(resources.map((resource) => [keyOf(resource), resource]));
const byKind = new Map(resources.map((resource) => [`${apiVersionOf(resource)}/${resource.kind}`, resource]));
assert(byResource.size === resources.length, 'a resource must be listed once');

function keyOf(resource: GroupVersionResource): string {
  return `${apiVersionOf(resource)}/${resource.resource}`;
}

export const scheme: Scheme = {
  resources: () => resources,
  resource: (wanted) => byResource.get(keyOf(wanted)),
  resourceOfKind: (apiVersion, kind) => byKind.get(`${apiVersion}/${kind}`),
  message: findMessage,
  messageOfKind: findMessageOfKind,
};

/** `apps/v1`, or `v1` in the core group. */
export function apiVersionOf(place: { readonly group: string; readonly version: string }): string {
  return place.group === '' ? place.version : `${place.group}/${place.version}`;
}

/** The opposite of `apiVersionOf`. */
export function splitApiVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf('/');
  return { group: slash < 0 ? '' : apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

/** `gvr('apps/v1', 'deployments')`. */
export function gvr(apiVersion: string, resource: string): GroupVersionResource {
  return { ...splitApiVersion(apiVersion), resource };
}

/** The schema of a resource that the caller knows to be served. */
export function resourceSchema(apiVersion: string, resource: string): ResourceSchema {
  const schema = scheme.resource(gvr(apiVersion, resource));
  assert(schema !== undefined, `resource ${resource} of ${apiVersion} must be served`);
  return schema;
}
