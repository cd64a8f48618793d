/** Which resources the API server serves, in the preferred version of each group. */
import { errorText } from '../../env/errors.ts';
import type { GroupVersionResource, JsonObject } from '../api/contract.ts';
import type { ApiClient } from '../client/index.ts';

export interface DiscoveredResource extends GroupVersionResource {
  readonly kind: string;
  readonly isNamespaced: boolean;
  readonly verbs: readonly string[];
}

/** `failures`: groups that did not answer, with why. */
export async function discoverResources(
  client: ApiClient,
): Promise<{ readonly found: readonly DiscoveredResource[]; readonly failures: readonly string[] }> {
  const groups: JsonObject = JSON.parse(await client.raw('/apis'));
  const places = [
    { group: '', version: 'v1', path: '/api/v1' },
    ...((groups['groups'] ?? []) as JsonObject[]).map((each) => {
      const version = String(each['preferredVersion']?.version ?? each['versions']?.[0]?.version);
      return { group: String(each['name']), version, path: `/apis/${each['name']}/${version}` };
    }),
  ];
  const failures: string[] = [];
  const found: DiscoveredResource[] = [];
  for (const { group, version, path } of places) {
    try {
      const list: JsonObject = JSON.parse(await client.raw(path));
      for (const each of (list['resources'] ?? []) as JsonObject[]) {
        if (String(each['name']).includes('/')) continue;
        found.push({
          group,
          version,
          resource: each['name'],
          kind: each['kind'],
          isNamespaced: each['namespaced'] === true,
          verbs: each['verbs'] ?? [],
        });
      }
    } catch (error) {
      failures.push(`${path}: ${errorText(error)}`);
    }
  }
  return { found, failures };
}
