/** Namespace controller: empties a namespace that is being deleted, then lets it go. */
import { errorText } from '../../env/errors.ts';
import type { KubeObject } from '../api/contract.ts';
import { isNotFound, keyOf, ReconcileLoop, resources } from '../client/index.ts';
import { type Controller, type ControllerContext, deleteObject, inParallel } from './controller.ts';
import { type DiscoveredResource, discoverResources } from './discovery.ts';

/** While pods still stop, the namespace is looked at again that often. */
const recheckMs = 1000;
const deletionsMax = 8;

export function createNamespaceController(context: ControllerContext): Controller {
  const { client, informers, log } = context;
  const namespaces = informers.informer(resources.namespaces);

  /** Deletes what is left of one resource; returns how many objects there were. */
  const empty = async (resource: DiscoveredResource, namespace: string): Promise<number> => {
    let position: string | undefined;
    let count = 0;
    do {
      const page = await client.list(resource, { namespace, limit: 500, ...(position ? { continue: position } : {}) });
      count += page.items.length;
      const standing = page.items.filter((object) => object.metadata.deletionTimestamp === undefined);
      await inParallel(standing, deletionsMax, (object) =>
        deleteObject(client, resource, object, { propagationPolicy: 'Background' }),
      );
      position = page.continue;
    } while (position !== undefined);
    return count;
  };

  const finalize = async (namespace: KubeObject): Promise<void> => {
    const finalizers = ((namespace['spec']?.finalizers ?? []) as string[]).filter((each) => each !== 'kubernetes');
    try {
      await client.update(
        resources.namespaces,
        { ...namespace, spec: { ...namespace['spec'], finalizers } },
        { subresource: 'finalize' },
      );
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  };

  const loop = new ReconcileLoop({
    ...context,
    name: 'namespace',
    workers: 4,
    keys: () => namespaces.list().map(keyOf),
    reconcile: async (name) => {
      const namespace = namespaces.get(name);
      if (namespace?.metadata.deletionTimestamp === undefined) return {};
      if (!((namespace['spec']?.finalizers ?? []) as string[]).includes('kubernetes')) return {};
      const { found, failures } = await discoverResources(client);
      const failed = [...failures];
      let remaining = 0;
      for (const resource of found) {
        if (!resource.isNamespaced || !resource.verbs.includes('list') || !resource.verbs.includes('delete')) continue;
        try {
          remaining += await empty(resource, name);
        } catch (error) {
          failed.push(`${resource.resource}: ${errorText(error)}`);
        }
      }
      // What could not be asked may hold objects: a namespace goes only when it is known to be empty.
      if (failed.length > 0) throw new Error(`cannot empty namespace ${name}: ${failed.join('; ')}`);
      if (remaining > 0) return { requeueAfterMs: recheckMs };
      await finalize(namespace);
      log.info('namespace is empty and finalized', { namespace: name });
      return {};
    },
  });
  namespaces.onChange((key) => loop.enqueue(key));
  return { name: 'namespace', run: (signal) => loop.run(signal) };
}
