/**
 * What a new cluster starts with: system namespaces, priority classes, roles and bindings, the `kubernetes` Service. Done by
 * every API server at every start: what is missing is created, default roles get back rules and subjects they have lost
 * (never losing any that people added).
 */
import type { RequestContext } from './core.ts';
import { defaultClusterRoleBindings, defaultClusterRoles, defaultRoleBindings, defaultRoles } from './default-roles.ts';
import { isEqualJson, type JsonObject, type KubeObject, resourceSchema, StatusError } from './kinds.ts';
import { effectiveRules } from './rbac.ts';
import { createObject, updateObject } from './registry.ts';

const namespaces = ['kube-system', 'default', 'kube-public', 'kube-node-lease'];

const priorityClasses = [
  {
    name: 'system-cluster-critical',
    value: 2_000_000_000,
    description:
      'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  },
  {
    name: 'system-node-critical',
    value: 2_000_001_000,
    description: 'Used for system critical pods that must not be moved from their current node.',
  },
];

/** `context` acts as a system:masters user. */
export async function bootstrap(context: RequestContext, securePort: number): Promise<void> {
  for (const name of namespaces) {
    await ensure(context, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, 'namespaces');
  }
  for (const { name, ...rest } of priorityClasses) {
    const object = { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name }, ...rest };
    await ensure(context, { ...object, preemptionPolicy: 'PreemptLowerPriority' }, 'priorityclasses');
  }
  await ensureRoles(context);
  await ensureKubernetesService(context, securePort);
}

/** Creates the object unless its name is there. False when it was there. */
async function ensure(context: RequestContext, object: JsonObject, resource: string): Promise<boolean> {
  const schema = resourceSchema(object['apiVersion'], resource);
  const key = schema.isNamespaced
    ? `${object['metadata'].namespace}/${object['metadata'].name}`
    : object['metadata'].name;
  if (context.core.cache.resource(schema.storagePrefix).get(key) !== undefined) return false;
  try {
    await createObject(context, schema, object as KubeObject, { dryRun: false });
    return true;
  } catch (error) {
    // Another API server was faster.
    if (error instanceof StatusError && error.reason === 'AlreadyExists') return false;
    throw error;
  }
}

async function ensureRoles(context: RequestContext): Promise<void> {
  const roles = defaultClusterRoles();
  for (const role of roles) {
    // Aggregated roles show their rules from the start; the authorizer counts them in any case.
    const full = role['aggregationRule'] === undefined ? role : { ...role, rules: [...effectiveRules(role, roles)] };
    await ensureRbac(context, full, 'clusterroles');
  }
  for (const binding of defaultClusterRoleBindings()) await ensureRbac(context, binding, 'clusterrolebindings');
  for (const role of defaultRoles()) await ensureRbac(context, role, 'roles');
  for (const binding of defaultRoleBindings()) await ensureRbac(context, binding, 'rolebindings');
}

async function ensureRbac(context: RequestContext, wanted: KubeObject, resource: string): Promise<void> {
  if (await ensure(context, structuredClone(wanted), resource)) return;
  const field = wanted['roleRef'] === undefined ? 'rules' : 'subjects';
  const schema = resourceSchema(wanted.apiVersion, resource);
  await updateObject(context, {
    resource: schema,
    namespace: wanted.metadata.namespace ?? '',
    name: wanted.metadata.name,
    subresource: '',
    options: { dryRun: false },
    transform: (current) => {
      if (current.metadata.annotations?.['rbac.authorization.kubernetes.io/autoupdate'] !== 'true') return current;
      const has: JsonObject[] = current[field] ?? [];
      const missing = (wanted[field] ?? []).filter(
        (item: JsonObject) => !has.some((other) => isEqualJson(other, item)),
      );
      if (missing.length > 0) current[field] = [...has, ...missing];
      return current;
    },
  });
}

async function ensureKubernetesService(context: RequestContext, securePort: number): Promise<void> {
  await ensure(
    context,
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {
        name: 'kubernetes',
        namespace: 'default',
        labels: { component: 'apiserver', provider: 'kubernetes' },
      },
      spec: {
        type: 'ClusterIP',
        clusterIP: context.core.serviceIps.first,
        ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: securePort }],
      },
    },
    'services',
  );
}
