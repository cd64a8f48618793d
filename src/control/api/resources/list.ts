/**
 * Which resources are served, as data: one line each. Behaviour that a line cannot say (columns, defaults, validation,
 * field selectors) is kept in folders of its own under the same `group/resource` key.
 *
 *     group/version resource Kind [words]
 *
 * Words: `cluster` (not namespaced), `short=po`, `all` and other `category=x`, `status`, `scale`, `gen` (writes outside
 * metadata and status raise metadata.generation), `create-only`, `verbs=…` (without these it is all eight),
 * `sub=name:Kind:verb+verb` (kinds of other groups are written `Kind@group/version`), `store=prefix`.
 */
import { assert } from '../../../env/assert.ts';
import type { ResourceSchema, Verb } from '../contract.ts';

const lines = `
v1 namespaces             Namespace             cluster short=ns status sub=finalize:Namespace:update verbs=create,delete,get,list,patch,update,watch
v1 nodes                  Node                  cluster short=no status store=minions sub=proxy:NodeProxyOptions:create+delete+get+patch+update
v1 pods                   Pod                   short=po all status gen sub=attach:PodAttachOptions:create+get sub=binding:Binding:create sub=ephemeralcontainers:Pod:get+patch+update sub=eviction:Eviction@policy/v1:create sub=exec:PodExecOptions:create+get sub=log:Pod:get sub=portforward:PodPortForwardOptions:create+get sub=proxy:PodProxyOptions:create+delete+get+patch+update sub=resize:Pod:get+patch+update
v1 services               Service               short=svc all status store=services/specs sub=proxy:ServiceProxyOptions:create+delete+get+patch+update
v1 endpoints              Endpoints             short=ep store=services/endpoints
v1 configmaps             ConfigMap             short=cm
v1 secrets                Secret
v1 serviceaccounts        ServiceAccount        short=sa sub=token:TokenRequest@authentication.k8s.io/v1:create
v1 events                 Event                 short=ev
v1 persistentvolumes      PersistentVolume      cluster short=pv status
v1 persistentvolumeclaims PersistentVolumeClaim short=pvc status
v1 replicationcontrollers ReplicationController short=rc all status scale gen store=controllers
v1 podtemplates           PodTemplate           gen
v1 limitranges            LimitRange            short=limits
v1 resourcequotas         ResourceQuota         short=quota status
v1 bindings               Binding               create-only

apps/v1 deployments         Deployment         short=deploy all status scale gen
apps/v1 replicasets         ReplicaSet         short=rs all status scale gen
apps/v1 statefulsets        StatefulSet        short=sts all status scale gen
apps/v1 daemonsets          DaemonSet          short=ds all status gen
apps/v1 controllerrevisions ControllerRevision

batch/v1 jobs     Job     all status gen
batch/v1 cronjobs CronJob short=cj all status gen

autoscaling/v2 horizontalpodautoscalers HorizontalPodAutoscaler short=hpa all status
autoscaling/v1 horizontalpodautoscalers HorizontalPodAutoscaler short=hpa all status

policy/v1 poddisruptionbudgets PodDisruptionBudget short=pdb status gen

coordination.k8s.io/v1 leases         Lease
discovery.k8s.io/v1    endpointslices EndpointSlice gen
events.k8s.io/v1       events         Event short=ev

rbac.authorization.k8s.io/v1 roles               Role
rbac.authorization.k8s.io/v1 rolebindings        RoleBinding
rbac.authorization.k8s.io/v1 clusterroles        ClusterRole cluster
rbac.authorization.k8s.io/v1 clusterrolebindings ClusterRoleBinding cluster

networking.k8s.io/v1 networkpolicies NetworkPolicy short=netpol gen
networking.k8s.io/v1 ingresses       Ingress       short=ing status gen store=ingress
networking.k8s.io/v1 ingressclasses  IngressClass  cluster gen
networking.k8s.io/v1 ipaddresses     IPAddress     cluster short=ip
networking.k8s.io/v1 servicecidrs    ServiceCIDR   cluster status

storage.k8s.io/v1 storageclasses          StorageClass          cluster short=sc
storage.k8s.io/v1 volumeattachments       VolumeAttachment      cluster status
storage.k8s.io/v1 csidrivers              CSIDriver             cluster gen
storage.k8s.io/v1 csinodes                CSINode               cluster
storage.k8s.io/v1 csistoragecapacities    CSIStorageCapacity
storage.k8s.io/v1 volumeattributesclasses VolumeAttributesClass cluster short=vac

scheduling.k8s.io/v1 priorityclasses PriorityClass cluster short=pc gen
node.k8s.io/v1       runtimeclasses  RuntimeClass  cluster

certificates.k8s.io/v1 certificatesigningrequests CertificateSigningRequest cluster short=csr status sub=approval:CertificateSigningRequest:get+patch+update

flowcontrol.apiserver.k8s.io/v1 flowschemas                 FlowSchema                 cluster status gen
flowcontrol.apiserver.k8s.io/v1 prioritylevelconfigurations PriorityLevelConfiguration cluster status gen

admissionregistration.k8s.io/v1 mutatingwebhookconfigurations     MutatingWebhookConfiguration     cluster category=api-extensions gen
admissionregistration.k8s.io/v1 validatingwebhookconfigurations   ValidatingWebhookConfiguration   cluster category=api-extensions gen
admissionregistration.k8s.io/v1 validatingadmissionpolicies       ValidatingAdmissionPolicy        cluster category=api-extensions status gen
admissionregistration.k8s.io/v1 validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding cluster category=api-extensions gen

apiregistration.k8s.io/v1 apiservices APIService cluster category=api-extensions status store=apiregistration.k8s.io/apiservices

authentication.k8s.io/v1 tokenreviews               TokenReview              cluster create-only
authentication.k8s.io/v1 selfsubjectreviews         SelfSubjectReview        cluster create-only
authorization.k8s.io/v1  subjectaccessreviews       SubjectAccessReview      cluster create-only
authorization.k8s.io/v1  selfsubjectaccessreviews   SelfSubjectAccessReview  cluster create-only
authorization.k8s.io/v1  selfsubjectrulesreviews    SelfSubjectRulesReview   cluster create-only
authorization.k8s.io/v1  localsubjectaccessreviews  LocalSubjectAccessReview create-only
`;

const allVerbs: readonly Verb[] = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const partVerbs = ['get', 'patch', 'update'];

/** What one line says: a ResourceSchema without behaviour. */
export type ResourceLine = Omit<
  ResourceSchema,
  'message' | 'columns' | 'cells' | 'selectableFields' | 'applyDefaults' | 'validate'
>;

export function parseResourceLines(): ResourceLine[] {
  return lines
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map(parseLine);
}

function splitGroupVersion(text: string): { group: string; version: string } {
  const slash = text.indexOf('/');
  return { group: slash < 0 ? '' : text.slice(0, slash), version: text.slice(slash + 1) };
}

function parseLine(line: string): ResourceLine {
  const [groupVersion, resource, kind, ...words] = line.split(/\s+/);
  assert(
    groupVersion !== undefined && resource !== undefined && kind !== undefined,
    () => `a resource line needs group version, resource and kind: ${line}`,
  );
  const { group, version } = splitGroupVersion(groupVersion);
  const valuesOf = (word: string) =>
    words.filter((candidate) => candidate.startsWith(`${word}=`)).map((found) => found.slice(word.length + 1));
  const has = (word: string) => words.includes(word);
  const subresources = valuesOf('sub').map((text) => parseSubresource(text, group, version));
  if (has('status')) subresources.push({ name: 'status', kind, group, version, verbs: partVerbs });
  if (has('scale')) {
    subresources.push({ name: 'scale', kind: 'Scale', group: 'autoscaling', version: 'v1', verbs: partVerbs });
  }
  const [verbs] = valuesOf('verbs');
  return {
    group,
    version,
    resource,
    kind,
    listKind: `${kind}List`,
    singular: kind.toLowerCase(),
    shortNames: valuesOf('short'),
    categories: [...(has('all') ? ['all'] : []), ...valuesOf('category')],
    isNamespaced: !has('cluster'),
    // The words after `verbs=` are verbs: the table above is the only place that they come from.
    verbs: has('create-only') ? ['create'] : verbs === undefined ? allVerbs : (verbs.split(',') as Verb[]),
    hasStatus: has('status'),
    subresources: subresources.sort((a, b) => (a.name < b.name ? -1 : 1)),
    bumpsGeneration: has('gen'),
    storagePrefix: valuesOf('store')[0] ?? resource,
  };
}

function parseSubresource(text: string, group: string, version: string): ResourceLine['subresources'][number] {
  const [name, kindText, verbs] = text.split(':');
  assert(
    name !== undefined && kindText !== undefined && verbs !== undefined,
    `a subresource needs a kind and verbs: ${text}`,
  );
  const [kind = '', otherGroupVersion] = kindText.split('@');
  const place = otherGroupVersion === undefined ? { group, version } : splitGroupVersion(otherGroupVersion);
  return { name, kind, ...place, verbs: verbs.split('+') };
}
