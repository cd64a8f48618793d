/**
 * metadata.managedFields: who set which field. An entry belongs to one manager, operation, apiVersion and subresource;
 * appliers have one entry whatever the apiVersion.
 */
import type { JsonObject, KubeObject } from '../contract.ts';
import { badRequest } from '../status-error.ts';
import {
  decodeFieldSet,
  difference,
  differenceBelow,
  emptySet,
  encodeFieldSet,
  type FieldSet,
  isEmptySet,
  memberSet,
  setOf,
  union,
} from './field-set.ts';

export interface ManagerEntry {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string;
  readonly fields: FieldSet;
}

/** Update managers beyond this are folded into one, as upstream does, so that metadata stays bounded. */
const updateManagersMax = 10;
const foldedManager = 'ancient-changes';

/** What names an entry. */
export function identityOf(entry: Omit<ManagerEntry, 'fields' | 'time'>): string {
  const version = entry.operation === 'Apply' ? '' : entry.apiVersion;
  return JSON.stringify([entry.manager, entry.operation, version, entry.subresource]);
}

/** Throws StatusError 400 for entries that no server wrote. */
export function decodeManagers(managedFields: readonly JsonObject[] | undefined): Map<string, ManagerEntry> {
  const managers = new Map<string, ManagerEntry>();
  for (const item of managedFields ?? []) {
    const { operation } = item;
    if (operation !== 'Apply' && operation !== 'Update') {
      throw badRequest(`invalid managed fields: invalid operation type ${JSON.stringify(operation ?? '')}`);
    }
    if (item['fieldsType'] !== undefined && item['fieldsType'] !== 'FieldsV1') {
      throw badRequest(`invalid managed fields: invalid fieldsType ${JSON.stringify(item['fieldsType'])}`);
    }
    const entry: ManagerEntry = {
      manager: item['manager'] ?? '',
      operation,
      apiVersion: item['apiVersion'] ?? '',
      subresource: item['subresource'] ?? '',
      time: item['time'] ?? '',
      fields: decodeFieldSet(item['fieldsV1']),
    };
    managers.set(identityOf(entry), entry);
  }
  return managers;
}

export function encodeManagers(managers: ReadonlyMap<string, ManagerEntry>): JsonObject[] {
  const entries = fold([...managers.values()].filter((entry) => !isEmptySet(entry.fields)));
  // Upstream's order: appliers first, then by time, then by name.
  entries.sort(
    (a, b) =>
      compareText(a.operation, b.operation) ||
      compareText(a.time, b.time) ||
      compareText(a.manager, b.manager) ||
      compareText(a.apiVersion, b.apiVersion) ||
      compareText(a.subresource, b.subresource),
  );
  return entries.map((entry) => ({
    ...(entry.manager === '' ? {} : { manager: entry.manager }),
    operation: entry.operation,
    apiVersion: entry.apiVersion,
    ...(entry.time === '' ? {} : { time: entry.time }),
    fieldsType: 'FieldsV1',
    fieldsV1: encodeFieldSet(entry.fields),
    ...(entry.subresource === '' ? {} : { subresource: entry.subresource }),
  }));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function fold(entries: ManagerEntry[]): ManagerEntry[] {
  const updates = entries.filter((entry) => entry.operation === 'Update').sort((a, b) => compareText(a.time, b.time));
  const surplus = updates.length - updateManagersMax;
  if (surplus <= 0) return entries;
  const oldest = updates.slice(0, surplus + 1);
  const rest = entries.filter((entry) => !oldest.includes(entry));
  const last = oldest.at(-1);
  if (last === undefined) return entries;
  let fields = emptySet;
  for (const entry of oldest) fields = union(fields, entry.fields);
  return [...rest, { ...last, manager: foldedManager, subresource: '', fields }];
}

const untrackedMetadata = [
  'name',
  'namespace',
  'creationTimestamp',
  'selfLink',
  'uid',
  'clusterName',
  'generation',
  'managedFields',
  'resourceVersion',
];

/** Fields that the server writes, and those that the subresource in question cannot. Nobody manages them. */
export function untrackedFields(hasStatus: boolean, subresource: string): FieldSet {
  const metadata = setOf(
    false,
    untrackedMetadata.map((name): [string, FieldSet] => [`f:${name}`, memberSet]),
  );
  const fields: [string, FieldSet][] = [
    ['f:apiVersion', memberSet],
    ['f:kind', memberSet],
    ['f:metadata', metadata],
  ];
  if (subresource === 'status') fields.push(['f:spec', memberSet]);
  else if (hasStatus) fields.push(['f:status', memberSet]);
  return setOf(false, fields);
}

/** Managers as `object` has them, or as `live` has them when the client left them out; `[{}]` clears them. */
export function managersOf(object: KubeObject, live: KubeObject | undefined): Map<string, ManagerEntry> {
  const given = object.metadata.managedFields;
  if (given === undefined || given.length === 0) return decodeManagers(live?.metadata.managedFields);
  if (given.length === 1 && Object.keys(given[0] ?? {}).length === 0) return new Map();
  return decodeManagers(given);
}

const metadataItself = setOf(false, [['f:metadata', memberSet]]);

/** `set` without what nobody manages. metadata itself counts only through what is in it. */
export function trackedOnly(set: FieldSet, untracked: FieldSet): FieldSet {
  return difference(differenceBelow(set, untracked), metadataItself);
}
