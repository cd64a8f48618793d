/** Sets a field that nobody set. */
import type { JsonObject } from '../contract.ts';

/** Zero values count as not set, unless the field is a pointer upstream. */
export function setDefault(
  object: JsonObject,
  name: string,
  value: unknown,
  options: { readonly isPointer?: boolean } = {},
): void {
  const current = object[name];
  if (current === undefined || current === null) object[name] = value;
  else if (!options.isPointer && current === '') object[name] = value;
}
