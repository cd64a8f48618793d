/**
 * All messages that this cluster knows, by OpenAPI name and by apiVersion and kind. Parsed once, when first imported.
 */
import { assert } from '../../../env/assert.ts';
import type { FieldSchema, FieldType, MessageSchema } from '../contract.ts';
import { admissionregistrationV1 } from './admissionregistration-v1.ts';
import { apiregistrationV1 } from './apiregistration-v1.ts';
import { appsV1 } from './apps-v1.ts';
import { authenticationV1 } from './authentication-v1.ts';
import { authorizationV1 } from './authorization-v1.ts';
import { autoscalingV1 } from './autoscaling-v1.ts';
import { autoscalingV2 } from './autoscaling-v2.ts';
import { batchV1 } from './batch-v1.ts';
import { certificatesV1 } from './certificates-v1.ts';
import { coordinationV1 } from './coordination-v1.ts';
import { coreV1 } from './core-v1.ts';
import { coreV1PodSpec } from './core-v1-pod-spec.ts';
import { coreV1Volumes } from './core-v1-volumes.ts';
import { coreV1Workloads } from './core-v1-workloads.ts';
import { discoveryV1 } from './discovery-v1.ts';
import { eventsV1 } from './events-v1.ts';
import { flowcontrolV1 } from './flowcontrol-v1.ts';
import { metaV1 } from './meta-v1.ts';
import { networkingV1 } from './networking-v1.ts';
import { nodeV1 } from './node-v1.ts';
import { parseTable, type MessageTable } from './notation.ts';
import { policyV1 } from './policy-v1.ts';
import { rbacV1 } from './rbac-v1.ts';
import { schedulingV1 } from './scheduling-v1.ts';
import { storageV1 } from './storage-v1.ts';

const tables: readonly MessageTable[] = [
  metaV1,
  coreV1,
  coreV1PodSpec,
  coreV1Volumes,
  coreV1Workloads,
  appsV1,
  batchV1,
  rbacV1,
  coordinationV1,
  discoveryV1,
  eventsV1,
  authenticationV1,
  authorizationV1,
  policyV1,
  autoscalingV1,
  autoscalingV2,
  networkingV1,
  nodeV1,
  schedulingV1,
  storageV1,
  certificatesV1,
  flowcontrolV1,
  admissionregistrationV1,
  apiregistrationV1,
];

const prefixes: Readonly<Record<string, string>> = {
  meta: metaV1.prefix,
  core: coreV1.prefix,
  apps: appsV1.prefix,
  batch: batchV1.prefix,
  rbac: rbacV1.prefix,
  authentication: authenticationV1.prefix,
};

const byName = new Map<string, MessageSchema>();
const byKind = new Map<string, MessageSchema>();

for (const table of tables) {
  for (const message of parseTable(table, prefixes)) {
    assert(!byName.has(message.name), `message ${message.name} must be defined once`);
    byName.set(message.name, message);
    if (message.isKind) byKind.set(`${apiVersionOf(message)}/${shortName(message.name)}`, message);
  }
}

for (const message of byName.values()) for (const field of message.fields) checkType(field.type, message.name);

function checkType(type: FieldType, where: string): void {
  if (type.kind === 'list') checkType(type.item, where);
  if (type.kind === 'map') checkType(type.value, where);
  if (type.kind === 'message') {
    assert(byName.has(type.message), `message ${type.message}, used by ${where}, must be defined`);
  }
}

export function allMessages(): IterableIterator<MessageSchema> {
  return byName.values();
}

export function findMessage(name: string): MessageSchema | undefined {
  return byName.get(name);
}

/** The message that the caller knows to exist: every name inside a schema does. */
export function messageNamed(name: string): MessageSchema {
  const message = byName.get(name);
  assert(message !== undefined, `message ${name} must be defined`);
  return message;
}

/** Kinds of meta/v1 are known under every apiVersion, as upstream registers them. */
export function findMessageOfKind(apiVersion: string, kind: string): MessageSchema | undefined {
  const message = byKind.get(`${apiVersion}/${kind}`);
  if (message !== undefined) return message;
  const meta = byKind.get(`v1/${kind}`);
  return meta?.name.startsWith(metaV1.prefix) ? meta : undefined;
}

/** `io.k8s.api.core.v1.Pod` -> `Pod`. */
export function shortName(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

function apiVersionOf(message: MessageSchema): string {
  return message.group === '' ? message.version : `${message.group}/${message.version}`;
}

/** A field of `message` as JSON sees it: inline messages are looked through. */
export function fieldNamed(message: MessageSchema, name: string): FieldSchema | undefined {
  return jsonFields(message).byName.get(name);
}

export interface JsonFields {
  readonly ordered: readonly FieldSchema[];
  readonly byName: ReadonlyMap<string, FieldSchema>;
}

const jsonFieldsByMessage = new Map<string, JsonFields>();

/** The fields of a message in JSON order, inline messages spread out. */
export function jsonFields(message: MessageSchema): JsonFields {
  const known = jsonFieldsByMessage.get(message.name);
  if (known !== undefined) return known;
  const ordered: FieldSchema[] = [];
  for (const field of message.fields) {
    if (!field.inline) {
      ordered.push(field);
      continue;
    }
    assert(field.type.kind === 'message', `inline field ${field.name} of ${message.name} must be a message`);
    ordered.push(...jsonFields(messageNamed(field.type.message)).ordered);
  }
  const fields = { ordered, byName: new Map(ordered.map((field) => [field.name, field])) };
  assert(fields.byName.size === ordered.length, `fields of ${message.name} must have distinct names`);
  jsonFieldsByMessage.set(message.name, fields);
  return fields;
}
