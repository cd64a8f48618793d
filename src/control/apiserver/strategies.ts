/** The strategies by resource. A kind is only here when it has rules that its schema cannot tell. */
import type { RequestContext } from './core.ts';
import type { JsonObject, KubeObject, ResourceSchema } from './kinds.ts';
import { podStrategy } from './pod-strategy.ts';
import { serviceStrategy } from './service-strategy.ts';
import type { Strategy } from './strategy.ts';

const none: Strategy = {};

const namespaceStrategy: Strategy = {
  prepareForCreate(object) {
    object['spec'] = { finalizers: ['kubernetes'] };
    object['status'] = { phase: 'Active' };
    nameLabel(object);
  },
  prepareForUpdate(object, old, { subresource }) {
    // Only the finalize subresource takes the namespace's own finalizers off.
    if (subresource !== 'finalize') object['spec'] = { ...object['spec'], finalizers: old['spec']?.finalizers };
    nameLabel(object);
  },
  mustStay: (object) => (object['spec']?.finalizers ?? []).length > 0,
  markDeleted(object) {
    object['status'] = { ...object['status'], phase: 'Terminating' };
  },
};

function nameLabel(object: KubeObject): void {
  object.metadata.labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name };
}

const secretStrategy: Strategy = {
  prepareForCreate: mergeStringData,
  prepareForUpdate: mergeStringData,
};

/** stringData is a way to write data as text; it is never stored. */
function mergeStringData(object: KubeObject): void {
  const texts: Record<string, string> | undefined = object['stringData'];
  if (texts === undefined) return;
  const data: JsonObject = { ...object['data'] };
  for (const [key, text] of Object.entries(texts)) data[key] = Buffer.from(text).toString('base64');
  object['data'] = data;
  delete object['stringData'];
}

const jobStrategy: Strategy = {
  prepareForCreate(object) {
    const spec: JsonObject = object['spec'] ?? {};
    if (spec['manualSelector'] === true || spec['template'] === undefined) return;
    const { uid, name } = object.metadata;
    const template: JsonObject = spec['template'];
    template['metadata'] = {
      ...template['metadata'],
      labels: {
        ...template['metadata']?.labels,
        'batch.kubernetes.io/controller-uid': uid,
        'batch.kubernetes.io/job-name': name,
        'controller-uid': uid,
        'job-name': name,
      },
    };
    // Exactly the labels of this job's own pods.
    spec['selector'] = { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } };
  },
};

const signingRequestStrategy: Strategy = {
  prepareForCreate(object: KubeObject, context: RequestContext) {
    const { user } = context;
    object['spec'] = { ...object['spec'], username: user.name, groups: [...user.groups] };
    if (user.uid !== undefined) object['spec'].uid = user.uid;
    if (user.extra !== undefined) object['spec'].extra = user.extra;
  },
  prepareForUpdate(object, old, { subresource }) {
    if (subresource === '') object['spec'] = old['spec'];
    if (subresource === 'approval') {
      object['spec'] = old['spec'];
      object['status'] = { ...old['status'], conditions: object['status']?.conditions };
    }
  },
};

/** The node agent registers its node together with its first status. */
const nodeStrategy: Strategy = { keepsStatusOnCreate: true };

const strategies: Readonly<Record<string, Strategy>> = {
  '/pods': podStrategy,
  '/services': serviceStrategy,
  '/namespaces': namespaceStrategy,
  '/secrets': secretStrategy,
  '/nodes': nodeStrategy,
  'batch/jobs': jobStrategy,
  'certificates.k8s.io/certificatesigningrequests': signingRequestStrategy,
};

export function strategyOf(resource: Pick<ResourceSchema, 'group' | 'resource'>): Strategy {
  return strategies[`${resource.group}/${resource.resource}`] ?? none;
}
