/** Validation of every resource: metadata, structure, and upstream's rules of the kind. */
import type { FieldError, KubeObject, ResourceSchema } from '../contract.ts';
import { messageNamed } from '../schema/messages.ts';
import { metadataErrors } from './metadata.ts';
import {
  configMapErrors,
  eventErrors,
  leaseErrors,
  nodeErrors,
  roleBindingErrors,
  roleErrors,
  secretErrors,
} from './others.ts';
import { podChangeErrors, podSpecErrors } from './pod.ts';
import { endpointSliceErrors, serviceErrors } from './services.ts';
import { structureErrors } from './structure.ts';
import {
  cronJobErrors,
  daemonSetErrors,
  deploymentErrors,
  jobErrors,
  replicaSetErrors,
  statefulSetErrors,
} from './workloads.ts';

type Rules = (object: KubeObject, old: KubeObject | undefined, subresource: string) => FieldError[];

function podErrors(pod: KubeObject, old: KubeObject | undefined, subresource: string): FieldError[] {
  const errors = podSpecErrors(pod['spec'] ?? {}, 'spec');
  return old === undefined ? errors : [...errors, ...podChangeErrors(pod, old, subresource)];
}

const rulesByResource: Readonly<Record<string, Rules>> = {
  '/pods': podErrors,
  '/services': serviceErrors,
  '/configmaps': configMapErrors,
  '/secrets': secretErrors,
  '/nodes': nodeErrors,
  '/events': eventErrors,
  'events.k8s.io/events': eventErrors,
  'apps/deployments': deploymentErrors,
  'apps/replicasets': replicaSetErrors,
  'apps/statefulsets': statefulSetErrors,
  'apps/daemonsets': daemonSetErrors,
  'batch/jobs': jobErrors,
  'batch/cronjobs': cronJobErrors,
  'coordination.k8s.io/leases': leaseErrors,
  'discovery.k8s.io/endpointslices': endpointSliceErrors,
  'rbac.authorization.k8s.io/roles': roleErrors,
  'rbac.authorization.k8s.io/clusterroles': roleErrors,
  'rbac.authorization.k8s.io/rolebindings': roleBindingErrors,
  'rbac.authorization.k8s.io/clusterrolebindings': roleBindingErrors,
};

/** `resource` is asked for late because it holds the validator that is made here. */
export function validatorOf(group: string, name: string, resource: () => ResourceSchema): ResourceSchema['validate'] {
  const rules = rulesByResource[`${group}/${name}`];
  return (object, old, subresource = '') => {
    const schema = resource();
    // Reviews are questions: they have no name and are not kept.
    const errors = schema.verbs.includes('get') ? metadataErrors(object, old, schema) : [];
    // Status is not looked at, so a status update has nothing more to be checked.
    if (subresource === 'status') return errors;
    errors.push(...structureErrors(object, messageNamed(schema.message)));
    if (rules !== undefined) errors.push(...rules(object, old, subresource));
    return withoutRepeats(errors);
  };
}

/** The schema and a kind's own rules may say the same about a field. */
function withoutRepeats(errors: readonly FieldError[]): FieldError[] {
  const seen = new Set<string>();
  return errors.filter((error) => {
    const key = `${error.field}\n${error.reason}\n${error.message}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** Upstream's causes; empty when the object is valid. `old` is absent on create. */
export function validateObject(
  object: KubeObject,
  old: KubeObject | undefined,
  resource: ResourceSchema,
  subresource = '',
): readonly FieldError[] {
  return resource.validate(object, old, subresource);
}
