/** Answers that show objects instead of being them: tables for people, and metadata alone for those who need no more. */
import type { JsonObject, KubeObject, ResourceSchema } from './contract.ts';

export type IncludeObject = 'None' | 'Metadata' | 'Object';

/**
 * A Table of `objects`. The caller sets metadata (resourceVersion, continue) and, where its client asked for v1beta1,
 * apiVersion.
 */
export function toTable(
  objects: readonly KubeObject[],
  resource: ResourceSchema,
  nowMs: number,
  includeObject: IncludeObject = 'Metadata',
): JsonObject {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: {},
    columnDefinitions: resource.columns.map(({ name, type, format, description, priority }) => ({
      name,
      type,
      format,
      description,
      priority,
    })),
    rows: objects.map((object) => ({
      cells: resource.cells(object, nowMs),
      ...(includeObject === 'None' ? {} : { object: includeObject === 'Object' ? object : toPartialMetadata(object) }),
    })),
  };
}

/** The metadata of an object as a PartialObjectMetadata. */
export function toPartialMetadata(object: KubeObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
}
