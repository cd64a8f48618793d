/** Column definitions and cells of every resource, as `kubectl get` prints them. */
import type { ColumnSchema, ResourceSchema } from '../contract.ts';
import { age } from './text.ts';

export interface Columns {
  readonly columns: readonly ColumnSchema[];
  readonly cells: ResourceSchema['cells'];
}

/** What upstream prints for a kind that has no printer of its own. */
const plain: Columns = {
  columns: [
    { name: 'Name', type: 'string', format: 'name', description: 'Name of the object.', priority: 0 },
    { name: 'Age', type: 'string', format: '', description: 'Time since the object was created.', priority: 0 },
  ],
  cells: (object, nowMs) => [object.metadata.name, age(object.metadata.creationTimestamp, nowMs)],
};

export function columnsOf(_group: string, _resource: string): Columns {
  return plain;
}
