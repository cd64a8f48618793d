/**
 * Admission: rules that span objects. Namespaces must exist and live; pods get their service account, its token volume,
 * their priority and the tolerations that let them stay on a node that is briefly not ready.
 */
import { sleep } from '../../env/clock.ts';
import { shortKey, type StoredObject } from '../storage/index.ts';
import type { RequestContext } from './core.ts';
import { fail } from './errors.ts';
import type { JsonObject, KubeObject, ResourceSchema } from './kinds.ts';

const tokenMountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
const tokenExpirationSeconds = 3607;
const mirrorPodAnnotation = 'kubernetes.io/config.mirror';
/** The account of a new namespace is made by a controller; a pod that comes right after it waits this long. */
const accountWaitMs = 1000;
const accountPollMs = 50;

const immortalNamespaces = new Set(['default', 'kube-system', 'kube-public', 'kube-node-lease']);

/** Mutates `object`. Throws a Status when it is refused. */
export async function admitCreate(
  context: RequestContext,
  resource: ResourceSchema,
  object: KubeObject,
): Promise<void> {
  if (resource.isNamespaced) await requireNamespace(context, resource, object);
  if (resource.group === '' && resource.resource === 'pods') {
    await applyServiceAccount(context, object);
    applyPriority(context, object);
    applyTolerations(context, object);
  }
  checkEscalation(context, resource, object);
}

export async function admitUpdate(
  context: RequestContext,
  resource: ResourceSchema,
  object: KubeObject,
  old: KubeObject,
  subresource: string,
): Promise<void> {
  if (subresource === '' && JSON.stringify(object['rules']) !== JSON.stringify(old['rules'])) {
    checkEscalation(context, resource, object);
  }
}

export function admitDelete(resource: ResourceSchema, name: string, _namespace: string): void {
  if (resource.group === '' && resource.resource === 'namespaces' && immortalNamespaces.has(name)) {
    throw fail.forbidden(resource, name, 'this namespace may not be deleted');
  }
}

/** From the cache, or from the store when the cache does not have it (yet). */
async function find(context: RequestContext, storagePrefix: string, key: string): Promise<StoredObject | undefined> {
  return (
    context.core.cache.resource(storagePrefix).get(key) ?? (await context.core.storage.get({ storagePrefix, key }))
  );
}

async function requireNamespace(context: RequestContext, resource: ResourceSchema, object: KubeObject): Promise<void> {
  const name = object.metadata.namespace ?? '';
  const namespace = await find(context, 'namespaces', name);
  if (namespace === undefined) throw fail.notFound({ group: '', resource: 'namespaces' }, name);
  if (namespace.object.metadata.deletionTimestamp === undefined) return;
  const error = fail.forbidden(
    resource,
    object.metadata.name ?? '',
    `unable to create new content in namespace ${name} because it is being terminated`,
  );
  error.status['details'] = {
    ...error.status['details'],
    causes: [
      { reason: 'NamespaceTerminating', message: `namespace ${name} is being terminated`, field: 'metadata.namespace' },
    ],
  };
  throw error;
}

async function applyServiceAccount(context: RequestContext, pod: KubeObject): Promise<void> {
  // Mirror pods tell what a node runs by itself; they get nothing from here.
  if (pod.metadata.annotations?.[mirrorPodAnnotation] !== undefined) return;
  const spec: JsonObject = pod['spec'] ?? {};
  const name: string = spec['serviceAccountName'] || spec['serviceAccount'] || 'default';
  spec['serviceAccountName'] = name;
  spec['serviceAccount'] = name;
  const namespace = pod.metadata.namespace ?? '';
  const account = await waitForAccount(context, shortKey(namespace, name));
  if (account === undefined) {
    throw fail.forbidden(
      { group: '', resource: 'pods' },
      pod.metadata.name ?? '',
      `error looking up service account ${namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`,
    );
  }
  if (!(spec['imagePullSecrets']?.length > 0) && account['imagePullSecrets']?.length > 0) {
    spec['imagePullSecrets'] = account['imagePullSecrets'];
  }
  const isMounted: boolean = spec['automountServiceAccountToken'] ?? account['automountServiceAccountToken'] ?? true;
  if (isMounted) mountToken(context, spec);
}

async function waitForAccount(context: RequestContext, key: string): Promise<KubeObject | undefined> {
  const { clock } = context.core;
  const giveUpMs = clock.monotonicMs() + accountWaitMs;
  let account = await find(context, 'serviceaccounts', key);
  while (account === undefined && clock.monotonicMs() < giveUpMs) {
    await sleep(clock, accountPollMs, context.request.signal);
    account = context.core.cache.resource('serviceaccounts').get(key);
  }
  return account?.object;
}

/** Adds the projected volume with token, CA and namespace, mounted in every container that has nothing there yet. */
function mountToken(context: RequestContext, spec: JsonObject): void {
  const containers: JsonObject[] = [...(spec['initContainers'] ?? []), ...(spec['containers'] ?? [])];
  const bare = containers.filter(
    (container) =>
      !(container['volumeMounts'] ?? []).some((mount: JsonObject) => mount['mountPath'] === tokenMountPath),
  );
  const volumes: JsonObject[] = spec['volumes'] ?? [];
  let name = volumes.find((volume) => String(volume['name']).startsWith('kube-api-access-'))?.['name'] as
    | string
    | undefined;
  if (bare.length === 0) return;
  if (name === undefined) {
    const { random } = context.core;
    const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
    name = `kube-api-access-${Array.from({ length: 5 }, () => alphabet[random.integer(0, alphabet.length - 1)]).join('')}`;
    spec['volumes'] = [...volumes, tokenVolume(name)];
  }
  for (const container of bare) {
    container['volumeMounts'] = [
      ...(container['volumeMounts'] ?? []),
      { name, readOnly: true, mountPath: tokenMountPath },
    ];
  }
}

function tokenVolume(name: string): JsonObject {
  return {
    name,
    projected: {
      defaultMode: 0o644,
      sources: [
        { serviceAccountToken: { expirationSeconds: tokenExpirationSeconds, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
    },
  };
}

function applyPriority(context: RequestContext, pod: KubeObject): void {
  const spec: JsonObject = pod['spec'] ?? {};
  const classes = context.core.cache.resource('priorityclasses');
  const named: string = spec['priorityClassName'] ?? '';
  const chosen =
    named === ''
      ? classes.list().find((item) => item.object['globalDefault'] === true)?.object
      : classes.get(named)?.object;
  if (chosen === undefined && named !== '') {
    throw fail.forbidden(
      { group: '', resource: 'pods' },
      pod.metadata.name ?? '',
      `no PriorityClass with name ${named} was found`,
    );
  }
  if (chosen !== undefined) spec['priorityClassName'] = chosen.metadata.name;
  spec['priority'] = chosen?.['value'] ?? 0;
  spec['preemptionPolicy'] ??= chosen?.['preemptionPolicy'] ?? 'PreemptLowerPriority';
}

function applyTolerations(context: RequestContext, pod: KubeObject): void {
  const spec: JsonObject = pod['spec'] ?? {};
  const tolerations: JsonObject[] = spec['tolerations'] ?? [];
  const { config } = context.core;
  const wanted: readonly (readonly [string, number])[] = [
    ['node.kubernetes.io/not-ready', config.defaultNotReadyTolerationSeconds],
    ['node.kubernetes.io/unreachable', config.defaultUnreachableTolerationSeconds],
  ];
  const added = wanted
    .filter(
      ([key]) =>
        !tolerations.some(
          (toleration) =>
            (toleration['key'] === key || !toleration['key']) &&
            (toleration['effect'] === 'NoExecute' || !toleration['effect']),
        ),
    )
    .map(([key, tolerationSeconds]) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds }));
  if (added.length > 0) spec['tolerations'] = [...tolerations, ...added];
}

/** Nobody may write down more rights than they have, unless they hold the verb that says so. */
function checkEscalation(context: RequestContext, resource: ResourceSchema, object: KubeObject): void {
  if (resource.group !== 'rbac.authorization.k8s.io') return;
  const { authorizer } = context.core;
  const { user } = context;
  const namespace = object.metadata.namespace ?? '';
  const isRole = resource.resource === 'roles' || resource.resource === 'clusterroles';
  const attributes = {
    verb: isRole ? 'escalate' : 'bind',
    isResourceRequest: true,
    group: resource.group,
    resource: isRole ? resource.resource : object['roleRef']?.kind === 'ClusterRole' ? 'clusterroles' : 'roles',
    subresource: '',
    name: isRole ? (object.metadata.name ?? '') : (object['roleRef']?.name ?? ''),
    namespace,
    path: '',
  };
  if (authorizer.isAllowed(user, attributes)) return;
  const rules = isRole ? (object['rules'] ?? []) : rulesOfRef(context, object, namespace);
  if (authorizer.covers(user, namespace, rules)) return;
  throw fail.forbidden(
    resource,
    object.metadata.name ?? '',
    `user ${JSON.stringify(user.name)} (groups=[${user.groups.map((group) => JSON.stringify(group)).join(' ')}]) is attempting to grant RBAC permissions not currently held`,
  );
}

function rulesOfRef(context: RequestContext, binding: KubeObject, namespace: string) {
  const ref = binding['roleRef'] ?? {};
  const { cache } = context.core;
  const role =
    ref.kind === 'ClusterRole'
      ? cache.resource('clusterroles').get(ref.name)
      : cache.resource('roles').get(shortKey(namespace, ref.name ?? ''));
  return role?.object['rules'] ?? [];
}
