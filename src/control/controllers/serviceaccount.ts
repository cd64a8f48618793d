/** Gives every namespace what pods need from it: the default ServiceAccount and the cluster's root certificate. */
import type { JsonObject, KubeObject } from '../api/contract.ts';
import { isAlreadyExists, isNotFound, keyOf, ReconcileLoop, resources } from '../client/index.ts';
import type { Controller, ControllerContext } from './controller.ts';
import { isEqualJson } from './shared-plan.ts';

const isActive = (namespace: KubeObject | undefined): boolean =>
  namespace !== undefined &&
  namespace.metadata.deletionTimestamp === undefined &&
  namespace['status']?.phase !== 'Terminating';

export function createServiceAccountController(context: ControllerContext): Controller {
  return perNamespace(context, 'serviceaccount', 'default', resources.serviceAccounts, (namespace) => ({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default', namespace },
  }));
}

export function createRootCaPublisher(context: ControllerContext): Controller {
  const name = 'kube-root-ca.crt';
  const data = { 'ca.crt': context.settings.rootCa };
  return perNamespace(
    context,
    'root-ca-certificate-publisher',
    name,
    resources.configMaps,
    (namespace) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name,
        namespace,
        annotations: {
          'kubernetes.io/description':
            'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.',
        },
      },
      data,
    }),
    (object) => (isEqualJson(object['data'], data) ? undefined : { ...object, data }),
  );
}

/** Keeps the object `name` in every active namespace. */
function perNamespace(
  context: ControllerContext,
  controller: string,
  name: string,
  resource: (typeof resources)['configMaps'],
  body: (namespace: string) => JsonObject,
  repaired: (object: KubeObject) => KubeObject | undefined = () => undefined,
): Controller {
  const { client, informers } = context;
  const namespaces = informers.informer(resources.namespaces);
  const objects = informers.informer(resource, { fieldSelector: `metadata.name=${name}` });
  const loop = new ReconcileLoop({
    ...context,
    name: controller,
    workers: 2,
    keys: () => namespaces.list().map(keyOf),
    reconcile: async (namespace) => {
      if (!isActive(namespaces.get(namespace))) return;
      const object = objects.get(`${namespace}/${name}`);
      if (object === undefined) {
        try {
          await client.create(resource, body(namespace));
        } catch (error) {
          // There already, or the namespace went away or is going: all well.
          const isGoing = !isActive(namespaces.get(namespace));
          if (!isAlreadyExists(error) && !isNotFound(error) && !isGoing) throw error;
        }
        return;
      }
      const next = repaired(object);
      if (next !== undefined) await client.update(resource, next);
    },
  });
  namespaces.onChange((key) => loop.enqueue(key));
  objects.onChange((_key, before, after) => loop.enqueue((after ?? before)?.metadata.namespace ?? ''));
  return { name: controller, run: (signal) => loop.run(signal) };
}
