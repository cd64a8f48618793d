/**
 * What the schema alone can tell: texts that must not be empty and words out of a list. Status is left out: it is
 * written by controllers, and a word that this version does not know must not stop them.
 */
import type { FieldError, FieldSchema, FieldType, JsonObject, MessageSchema } from '../contract.ts';
import { jsonFields, messageNamed } from '../schema/messages.ts';
import { notSupported, required } from './field-error.ts';

/** Required by the schema, and yet empty in objects that upstream takes. */
const mayBeEmpty: ReadonlySet<string> = new Set([
  'io.k8s.api.core.v1.HTTPHeader.value',
  'io.k8s.api.core.v1.Sysctl.value',
  'io.k8s.api.core.v1.Event.reason',
]);

export function structureErrors(object: JsonObject, message: MessageSchema): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of jsonFields(message).ordered) {
    if (field.name === 'metadata' || field.name === 'status') continue;
    checkField(object[field.name], field, message, field.name, errors);
  }
  return errors;
}

function checkMessage(object: JsonObject, message: MessageSchema, path: string, errors: FieldError[]): void {
  for (const field of jsonFields(message).ordered) {
    if (field.name === 'metadata' && field.type.kind === 'message') continue;
    checkField(object[field.name], field, message, `${path}.${field.name}`, errors);
  }
}

function checkField(
  value: unknown,
  field: FieldSchema,
  message: MessageSchema,
  path: string,
  errors: FieldError[],
): void {
  const isAbsent = value === undefined || value === null || value === '';
  if (isAbsent) {
    const isNeeded = field.required && (field.type.kind === 'string' || field.isPointer === true);
    if (isNeeded && !mayBeEmpty.has(`${message.name}.${field.name}`)) errors.push(required(path));
    return;
  }
  if (field.enumValues !== undefined && typeof value === 'string' && !field.enumValues.includes(value)) {
    errors.push(notSupported(path, value, field.enumValues));
    return;
  }
  checkValue(value, field.type, path, errors);
}

function checkValue(value: unknown, type: FieldType, path: string, errors: FieldError[]): void {
  switch (type.kind) {
    case 'message':
      // Canonical values of messages are objects, of lists arrays, of maps objects.
      checkMessage((value ?? {}) as JsonObject, messageNamed(type.message), path, errors);
      return;
    case 'list':
      if (!needsCheck(type.item)) return;
      for (const [index, item] of (value as unknown[]).entries())
        checkValue(item, type.item, `${path}[${index}]`, errors);
      return;
    case 'map':
      if (!needsCheck(type.value)) return;
      for (const [key, item] of Object.entries(value as JsonObject))
        checkValue(item, type.value, `${path}[${key}]`, errors);
      return;
    default:
      return;
  }
}

function needsCheck(type: FieldType): boolean {
  return type.kind === 'message' || type.kind === 'list' || type.kind === 'map';
}
