/** Upstream's defaults that are more than a constant at a field, per resource. */
import type { KubeObject } from '../contract.ts';

export function defaulterOf(_group: string, _resource: string): ((object: KubeObject) => void) | undefined {
  return undefined;
}
