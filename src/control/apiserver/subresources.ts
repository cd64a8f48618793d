/** Subresources that are not just a part of their object: binding, eviction, scale, token, finalize. */
import type { StoredObject } from '../storage/index.ts';
import type { RequestContext } from './core.ts';
import { fail } from './errors.ts';
import type { ApiResponse } from './http.ts';
import {
  apiVersionOf,
  disruptionBudgetExceeded,
  formatLabelSelector,
  type JsonObject,
  jsonPatch,
  type KubeObject,
  matchesLabelSelector,
  mergePatch,
  type ResourceSchema,
  resourceSchema,
  selectorFromObject,
  timeFromMs,
} from './kinds.ts';
import { managerOf } from './managed-fields.ts';
import { bindToUrl, deleteObject, refOf, updateObject } from './registry.ts';
import { decodeBytes, jsonTextOf, requireBody } from './request-body.ts';
import { valueResponse, objectResponse } from './responses.ts';
import { tokenSecondsDefault, tokenSecondsMax, tokenSecondsMin, type BoundObject } from './service-account-tokens.ts';
import { handleGetStatus, handlePatch, handleUpdate, isDryRun } from './write-handlers.ts';

type Handler = (context: RequestContext, resource: ResourceSchema) => Promise<ApiResponse>;

function success(context: RequestContext): ApiResponse {
  return valueResponse(context, 201, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 });
}

/** POST pods/x/binding, and POST bindings with the pod's name in the body. Sets the node once and for all. */
export async function handleBinding(context: RequestContext, _resource: ResourceSchema): Promise<ApiResponse> {
  const { info, request, core } = context;
  const pods = resourceSchema('v1', 'pods');
  const binding = await requireBody(context, { apiVersion: 'v1', kind: 'Binding' });
  bindToUrl(binding, pods, info.namespace, info.name);
  const target: JsonObject = binding['target'] ?? {};
  const node: string = target['name'] ?? '';
  if (node === '' || (target['kind'] !== undefined && target['kind'] !== '' && target['kind'] !== 'Node')) {
    throw fail.invalid({ group: '', kind: 'Binding' }, binding.metadata.name, [
      node === ''
        ? { reason: 'FieldValueRequired', field: 'target.name', message: 'Required value' }
        : {
            reason: 'FieldValueNotSupported',
            field: 'target.kind',
            message: `Unsupported value: ${JSON.stringify(target['kind'])}: supported values: "Node"`,
          },
    ]);
  }
  const { name } = binding.metadata;
  const options = { dryRun: isDryRun(request.query.getAll('dryRun')) };
  await updateObject(context, {
    resource: pods,
    namespace: info.namespace,
    name,
    subresource: 'binding',
    options,
    transform: (pod) => {
      const spec: JsonObject = pod['spec'];
      if (binding.metadata.uid && binding.metadata.uid !== pod.metadata.uid) {
        throw fail.preconditionFailed(pods, name, 'UID', binding.metadata.uid, pod.metadata.uid);
      }
      if (pod.metadata.deletionTimestamp !== undefined) {
        throw fail.conflict(pods, name, `pod ${name} is being deleted, cannot be assigned to a host`);
      }
      if (spec['nodeName']) {
        throw fail.conflict(pods, name, `pod ${name} is already assigned to node ${JSON.stringify(spec['nodeName'])}`);
      }
      if (spec['schedulingGates']?.length > 0) {
        throw fail.conflict(pods, name, `pod ${name} has non-empty .spec.schedulingGates`);
      }
      spec['nodeName'] = node;
      if (binding.metadata.annotations !== undefined) {
        pod.metadata.annotations = { ...pod.metadata.annotations, ...binding.metadata.annotations };
      }
      setCondition(pod, {
        type: 'PodScheduled',
        status: 'True',
        lastProbeTime: null,
        lastTransitionTime: timeFromMs(core.clock.wallMs()),
      });
      return pod;
    },
  });
  return success(context);
}

/** Replaces the condition of the same type; the time of transition moves only when the status does. */
function setCondition(object: KubeObject, condition: JsonObject): void {
  const status: JsonObject = object['status'] ?? {};
  object['status'] = status;
  const conditions: JsonObject[] = status['conditions'] ?? [];
  const known = conditions.find((item) => item['type'] === condition['type']);
  if (known === undefined) status['conditions'] = [...conditions, condition];
  else if (known['status'] !== condition['status'])
    Object.assign(known, { reason: undefined, message: undefined }, condition);
}

/** POST pods/x/eviction: a deletion that disruption budgets may refuse. */
export async function handleEviction(context: RequestContext, resource: ResourceSchema): Promise<ApiResponse> {
  const { info, request, core } = context;
  const eviction = await requireBody(context, { apiVersion: 'policy/v1', kind: 'Eviction' });
  bindToUrl(eviction, resource, info.namespace, info.name);
  const deleteOptions: JsonObject = eviction['deleteOptions'] ?? {};
  const dryRun = isDryRun([...(deleteOptions['dryRun'] ?? []), ...request.query.getAll('dryRun')]);
  const stored = await core.storage.get(refOf(resource, info.namespace, info.name));
  if (stored === undefined) throw fail.notFound(resource, info.name);
  const pod = stored.object;
  if (needsBudget(pod)) await takeFromBudgets(context, pod, dryRun);
  await deleteObject(context, resource, info.namespace, info.name, deleteOptions, { dryRun });
  return success(context);
}

function needsBudget(pod: KubeObject): boolean {
  const phase = pod['status']?.phase;
  const isOver = phase === 'Succeeded' || phase === 'Failed' || pod.metadata.deletionTimestamp !== undefined;
  return !isOver && phase !== 'Pending';
}

function isReady(pod: KubeObject): boolean {
  return (pod['status']?.conditions ?? []).some(
    (item: JsonObject) => item['type'] === 'Ready' && item['status'] === 'True',
  );
}

async function takeFromBudgets(context: RequestContext, pod: KubeObject, dryRun: boolean): Promise<void> {
  const { core } = context;
  const budgets = resourceSchema('policy/v1', 'poddisruptionbudgets');
  const namespace = pod.metadata.namespace ?? '';
  const matching = core.cache
    .resource(budgets.storagePrefix)
    .list({ namespace })
    .map((item) => item.object)
    .filter((budget) => {
      const selector = budget['spec']?.selector;
      return selector !== undefined && matchesLabelSelector(selectorFromObject(selector), pod.metadata.labels);
    });
  if (matching.length > 1) {
    throw fail.internal(
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    );
  }
  const [budget] = matching;
  if (budget === undefined) return;
  // A pod that does not serve yet takes nothing away from a budget that is kept otherwise.
  const keepsUnready = budget['spec']?.unhealthyPodEvictionPolicy === 'AlwaysAllow';
  if (!isReady(pod) && keepsUnready) return;
  await updateObject(context, {
    resource: budgets,
    namespace,
    name: budget.metadata.name,
    subresource: 'status',
    options: { dryRun },
    transform: (current) => {
      const status: JsonObject = current['status'] ?? {};
      const isObserved = (status['observedGeneration'] ?? 0) >= (current.metadata.generation ?? 0);
      const allowed: number = status['disruptionsAllowed'] ?? 0;
      const isHealthyEnough = (status['currentHealthy'] ?? 0) >= (status['desiredHealthy'] ?? 0);
      if (!isReady(pod) && isHealthyEnough && (status['desiredHealthy'] ?? 0) > 0) return current;
      if (!isObserved || allowed <= 0) throw disruptionBudgetExceeded(pod.metadata.name, budget.metadata.name);
      status['disruptionsAllowed'] = allowed - 1;
      status['disruptedPods'] = {
        ...status['disruptedPods'],
        [pod.metadata.name]: timeFromMs(core.clock.wallMs()),
      };
      current['status'] = status;
      return current;
    },
  });
}

/** Scale as a view of the object: replicas wanted and there, and the selector as text. */
function toScale(object: KubeObject): KubeObject {
  const selector = object['spec']?.selector;
  const text =
    selector === undefined
      ? ''
      : formatLabelSelector(
          selectorFromObject(
            selector.matchLabels === undefined && selector.matchExpressions === undefined
              ? { matchLabels: selector }
              : selector,
          ),
        );
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), uid, resourceVersion, creationTimestamp },
    spec: object['spec']?.replicas ? { replicas: object['spec'].replicas } : {},
    status: { replicas: object['status']?.replicas ?? 0, ...(text === '' ? {} : { selector: text }) },
  };
}

async function handleScale(context: RequestContext, resource: ResourceSchema): Promise<ApiResponse> {
  const { core, info, request } = context;
  if (info.verb === 'get') {
    const stored = await core.storage.get(refOf(resource, info.namespace, info.name));
    if (stored === undefined) throw fail.notFound(resource, info.name);
    return valueResponse(context, 200, toScale(stored.object));
  }
  const change = await scaleChange(context);
  const updated = await updateObject(context, {
    resource,
    namespace: info.namespace,
    name: info.name,
    subresource: 'scale',
    options: { dryRun: isDryRun(request.query.getAll('dryRun')), manager: managerOf(context) },
    transform: (current) => {
      const wanted = change(toScale(current));
      if (wanted.metadata.resourceVersion && wanted.metadata.resourceVersion !== current.metadata.resourceVersion) {
        throw fail.conflict(resource, info.name);
      }
      const replicas = wanted['spec']?.replicas ?? 0;
      if (!Number.isSafeInteger(replicas) || replicas < 0) {
        throw fail.invalid({ group: 'autoscaling', kind: 'Scale' }, info.name, [
          {
            reason: 'FieldValueInvalid',
            field: 'spec.replicas',
            message: `Invalid value: ${replicas}: must be greater than or equal to 0`,
          },
        ]);
      }
      current['spec'] = { ...current['spec'], replicas };
      return current;
    },
  });
  return valueResponse(context, 200, toScale(updated.object));
}

async function scaleChange(context: RequestContext): Promise<(scale: KubeObject) => KubeObject> {
  const { request, info } = context;
  if (info.verb === 'update') {
    const scale = await requireBody(context, { apiVersion: 'autoscaling/v1', kind: 'Scale' });
    return () => scale;
  }
  const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim();
  const patch = JSON.parse(jsonTextOf(await request.body(), type === 'application/apply-patch+yaml' ? 'yaml' : 'json'));
  return (scale) =>
    (type === 'application/json-patch+json' ? jsonPatch(scale, patch) : mergePatch(scale, patch)) as KubeObject;
}

/** POST serviceaccounts/x/token: a bound token. */
async function handleToken(context: RequestContext, resource: ResourceSchema): Promise<ApiResponse> {
  const { core, info } = context;
  const request = await requireBody(context, { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest' });
  const stored = await core.storage.get(refOf(resource, info.namespace, info.name));
  if (stored === undefined) throw fail.notFound(resource, info.name);
  const account = stored.object;
  const spec: JsonObject = request['spec'] ?? {};
  const expirationSeconds: number = spec['expirationSeconds'] ?? tokenSecondsDefault;
  if (expirationSeconds < tokenSecondsMin || expirationSeconds > tokenSecondsMax) {
    throw fail.invalid({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, info.name, [
      {
        reason: 'FieldValueInvalid',
        field: 'spec.expirationSeconds',
        message: `Invalid value: ${expirationSeconds}: may not specify a duration ${expirationSeconds < tokenSecondsMin ? 'less than 10 minutes' : 'larger than 2^32 seconds'}`,
      },
    ]);
  }
  const { bound, node } = await boundObjectOf(context, account, spec['boundObjectRef']);
  const audiences: string[] = spec['audiences']?.length > 0 ? spec['audiences'] : [...core.tokens.audiences];
  const { token, expiresAtMs } = await core.tokens.sign({ account, bound, node, audiences, expirationSeconds });
  return valueResponse(context, 201, {
    ...request,
    metadata: {
      name: account.metadata.name,
      namespace: account.metadata.namespace,
      creationTimestamp: timeFromMs(core.clock.wallMs()),
    },
    spec: { ...spec, audiences, expirationSeconds },
    status: { token, expirationTimestamp: timeFromMs(expiresAtMs) },
  });
}

async function boundObjectOf(
  context: RequestContext,
  account: KubeObject,
  ref: JsonObject | null | undefined,
): Promise<{ bound: BoundObject | undefined; node: { name: string; uid: string } | undefined }> {
  if (!ref?.['kind']) return { bound: undefined, node: undefined };
  const { core } = context;
  const namespace = account.metadata.namespace ?? '';
  const kind = ref['kind'] as BoundObject['kind'];
  const resources: Readonly<Record<string, string>> = { Pod: 'pods', Secret: 'secrets', Node: 'nodes' };
  const resourceName = resources[kind];
  if (resourceName === undefined || ref['apiVersion'] !== 'v1') {
    throw fail.badRequest(
      `cannot bind token for serviceaccount ${JSON.stringify(account.metadata.name)} to other type ${kind}`,
    );
  }
  const resource = resourceSchema('v1', resourceName);
  const stored = await core.storage.get(refOf(resource, namespace, ref['name']));
  if (stored === undefined) throw fail.notFound(resource, ref['name']);
  const { object } = stored;
  if (ref['uid'] && ref['uid'] !== object.metadata.uid) {
    throw fail.conflict(
      resource,
      object.metadata.name,
      `the UID in the bound object reference (${ref['uid']}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  const bound: BoundObject = { kind, name: object.metadata.name, uid: object.metadata.uid };
  if (kind !== 'Pod') return { bound, node: undefined };
  if ((object['spec']?.serviceAccountName ?? '') !== account.metadata.name) {
    throw fail.badRequest(
      `cannot bind token for serviceaccount ${JSON.stringify(account.metadata.name)} to pod running with different serviceaccount name.`,
    );
  }
  const nodeName: string = object['spec']?.nodeName ?? '';
  const node = nodeName === '' ? undefined : core.cache.resource('minions').get(nodeName)?.object;
  return { bound, node: node === undefined ? undefined : { name: nodeName, uid: node.metadata.uid } };
}

/** PUT namespaces/x/finalize: the namespace controller takes its finalizer off. */
async function handleFinalize(context: RequestContext, resource: ResourceSchema): Promise<ApiResponse> {
  const { info, request } = context;
  const wanted = decodeBytes(
    context,
    await request.body(),
    (request.headers['content-type'] ?? '').includes('protobuf') ? 'protobuf' : 'json',
    { apiVersion: apiVersionOf(resource), kind: resource.kind },
  );
  const updated: StoredObject = await updateObject(context, {
    resource,
    namespace: '',
    name: info.name,
    subresource: 'finalize',
    options: { dryRun: isDryRun(request.query.getAll('dryRun')) },
    transform: (current) => {
      if (wanted.metadata.resourceVersion && wanted.metadata.resourceVersion !== current.metadata.resourceVersion) {
        throw fail.conflict(resource, info.name);
      }
      current['spec'] = { ...current['spec'], finalizers: wanted['spec']?.finalizers };
      return current;
    },
  });
  return objectResponse(context, 200, updated, resource);
}

const statusHandler: Handler = (context, resource) => {
  switch (context.info.verb) {
    case 'get':
      return handleGetStatus(context, resource);
    case 'update':
      return handleUpdate(context, resource);
    default:
      return handlePatch(context, resource);
  }
};

/** Subresources whose write goes through the main object as a whole, with their own strategy scope. */
const wholeObject = new Set(['status', 'approval', 'ephemeralcontainers', 'resize']);

/** Undefined when the subresource is served elsewhere or not at all. */
export function subresourceHandler(subresource: string): Handler | undefined {
  if (wholeObject.has(subresource)) return statusHandler;
  switch (subresource) {
    case 'binding':
      return handleBinding;
    case 'eviction':
      return handleEviction;
    case 'scale':
      return handleScale;
    case 'token':
      return handleToken;
    case 'finalize':
      return handleFinalize;
    default:
      return undefined;
  }
}
