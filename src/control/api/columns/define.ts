/** How the column files are written down, and what upstream prints for a kind that has no printer of its own. */
import type { ColumnSchema, KubeObject, ResourceSchema } from '../contract.ts';
import { age } from './text.ts';

export interface Columns {
  readonly columns: readonly ColumnSchema[];
  readonly cells: ResourceSchema['cells'];
}

const descriptions: Readonly<Record<string, string>> = {
  Name: 'Name of the object, unique in its namespace.',
  Age: 'Time since the object was created.',
  Ready: 'How many of the wanted parts are ready.',
  Status: 'State that the object is in, in one word.',
  Restarts: 'How often containers were restarted, and when last.',
  Labels: 'Labels of the object.',
  Selector: 'Labels of the pods that belong to the object.',
  Containers: 'Names of the containers in the template.',
  Images: 'Images of the containers in the template.',
};

/**
 * `Name` is a string column; `Desired:integer` has another type, `Name:string:name` a format too, and a trailing `!`
 * makes it a wide column.
 */
export function define(
  names: readonly string[],
  cells: (object: KubeObject, nowMs: number) => readonly unknown[],
): Columns {
  const columns = names.map((text): ColumnSchema => {
    const isWide = text.endsWith('!');
    const [name = '', type = 'string', format = ''] = (isWide ? text.slice(0, -1) : text).split(':');
    return {
      name,
      type,
      format: name === 'Name' ? 'name' : format,
      description: descriptions[name] ?? `${name} of the object.`,
      priority: isWide ? 1 : 0,
    };
  });
  // Cells are made of names, numbers and texts, all of which are JSON.
  return { columns, cells: cells as ResourceSchema['cells'] };
}

export function ageOf(object: KubeObject, nowMs: number): string {
  return age(object.metadata.creationTimestamp, nowMs);
}

export const plainColumns: Columns = define(['Name', 'Age'], (object, nowMs) => [
  object.metadata.name,
  ageOf(object, nowMs),
]);

/** Kinds that upstream prints with the moment of creation instead of an age. */
export const createdAtColumns: Columns = define(['Name', 'Created At:date'], (object) => [
  object.metadata.name,
  object.metadata.creationTimestamp,
]);
