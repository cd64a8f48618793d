/** Label and field selectors of a list or watch as one predicate. */
import { fail } from './errors.ts';
import {
  type KubeObject,
  matchesFieldSelector,
  matchesLabelSelector,
  parseFieldSelector,
  parseLabelSelector,
  type ResourceSchema,
} from './kinds.ts';

export interface Selection {
  /** True when everything matches. */
  readonly isEverything: boolean;
  /** The one name it asks for, when it does: saves looking at the others. */
  readonly name: string | undefined;
  readonly matches: (object: KubeObject) => boolean;
}

/** Throws a 400 Status for a selector that cannot be read or a field that the kind does not offer. */
export function parseSelection(query: URLSearchParams, resource: ResourceSchema): Selection {
  const labelText = query.get('labelSelector') ?? '';
  const fieldText = query.get('fieldSelector') ?? '';
  const fields = parseFieldSelector(fieldText);
  const labels = parseLabelSelector(labelText);
  for (const { field } of fields) {
    const isKnown =
      field === 'metadata.name' ||
      (field === 'metadata.namespace' && resource.isNamespaced) ||
      Object.hasOwn(resource.selectableFields, field);
    if (!isKnown) {
      throw fail.badRequest(
        `Unable to find ${JSON.stringify(`${resource.group === '' ? '' : `${resource.group}/`}${resource.version}, Resource=${resource.resource}`)} that match label selector ${JSON.stringify(labelText)}, field selector ${JSON.stringify(fieldText)}: field label not supported: ${field}`,
      );
    }
  }
  return {
    isEverything: labels.length === 0 && fields.length === 0,
    name: fields.find((term) => term.field === 'metadata.name' && term.operator === '=')?.value,
    matches: (object) =>
      matchesFieldSelector(fields, (field) => fieldValue(object, field, resource)) &&
      matchesLabelSelector(labels, object.metadata.labels),
  };
}

function fieldValue(object: KubeObject, field: string, resource: ResourceSchema): string {
  if (field === 'metadata.name') return object.metadata.name;
  if (field === 'metadata.namespace') return object.metadata.namespace ?? '';
  return resource.selectableFields[field]?.(object) ?? '';
}
