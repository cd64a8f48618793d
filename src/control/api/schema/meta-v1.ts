/** Types that all groups share (meta/v1). One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const metaV1: MessageTable = {
  prefix: 'io.k8s.apimachinery.pkg.apis.meta.v1',
  group: '',
  version: 'v1',
  messages: `
APIGroup kind
  name 1 string required
  versions 2 []GroupVersionForDiscovery required atomic
  preferredVersion 3 GroupVersionForDiscovery
  serverAddressByClientCIDRs 4 []ServerAddressByClientCIDR atomic

APIGroupList kind
  groups 1 []APIGroup required atomic

APIResource
  name 1 string required
  singularName 6 string required
  namespaced 2 bool required
  group 8 string
  version 9 string
  kind 3 string required
  verbs 4 stringList required
  shortNames 5 []string atomic
  categories 7 []string atomic
  storageVersionHash 10 string

APIResourceList kind
  groupVersion 1 string required
  resources 2 []APIResource required atomic

APIVersions kind
  versions 1 []string required atomic
  serverAddressByClientCIDRs 2 []ServerAddressByClientCIDR required atomic

Condition
  type 1 string required
  status 2 string required
  observedGeneration 3 int64
  lastTransitionTime 4 time required
  reason 5 string required
  message 6 string required

DeleteOptions kind
  gracePeriodSeconds 1 *int64
  preconditions 2 *Preconditions
  orphanDependents 3 *bool
  propagationPolicy 4 *string
  dryRun 5 []string atomic
  ignoreStoreReadErrorWithClusterBreakingPotential 6 *bool

FieldSelectorRequirement
  key 1 string required
  operator 2 string required
  values 3 []string atomic

GroupVersionForDiscovery
  groupVersion 1 string required
  version 2 string required

LabelSelector atomic  # Selects objects by their labels; all requirements must hold.
  matchLabels 1 map[string]  # Labels that must be there with these values.
  matchExpressions 2 []LabelSelectorRequirement atomic  # Requirements with an operator.

LabelSelectorRequirement
  key 1 string required
  operator 2 string required
  values 3 []string atomic

List kind
  metadata 1 ListMeta
  items 2 []json keep

ListMeta
  selfLink 1 string
  resourceVersion 2 string
  continue 3 string
  remainingItemCount 4 *int64

ManagedFieldsEntry
  manager 1 string
  operation 2 string
  apiVersion 3 string
  time 4 *time
  fieldsType 6 string
  fieldsV1 7 *json
  subresource 8 string

ObjectMeta  # What all objects have in common: name, labels, owners and the like.
  name 1 string  # Name, unique among objects of this kind in the namespace.
  generateName 2 string  # Beginning of a name that the server completes.
  namespace 3 string  # Namespace of the object.
  selfLink 4 string
  uid 5 string  # Identity of the object in time and space.
  resourceVersion 6 string  # State of the object, for optimistic locking and watches.
  generation 7 int64  # Number of the wanted state.
  creationTimestamp 8 time omitzero  # When the object was created.
  deletionTimestamp 9 *time  # When the object goes; set once it is being deleted.
  deletionGracePeriodSeconds 10 *int64
  labels 11 map[string]  # Keys and values to select objects by.
  annotations 12 map[string]  # Keys and values for tools; not to select by.
  ownerReferences 13 []OwnerReference merge=uid map=uid  # Objects with which this one goes.
  finalizers 14 []string merge set  # Names of those who must agree before the object goes.
  managedFields 17 []ManagedFieldsEntry atomic  # Who set which field.

OwnerReference atomic
  apiVersion 5 string required
  kind 1 string required
  name 3 string required
  uid 4 string required
  controller 6 *bool
  blockOwnerDeletion 7 *bool

PartialObjectMetadata kind
  metadata 1 ObjectMeta

PartialObjectMetadataList kind
  metadata 1 ListMeta
  items 2 []PartialObjectMetadata keep

Preconditions
  uid 1 *string
  resourceVersion 2 *string

ServerAddressByClientCIDR
  clientCIDR 1 string required
  serverAddress 2 string required

Status kind
  metadata 1 ListMeta
  status 2 string
  message 3 string
  reason 4 string
  details 5 *StatusDetails atomic
  code 6 int32

StatusCause
  reason 1 string
  message 2 string
  field 3 string

StatusDetails
  name 1 string
  group 2 string
  kind 3 string
  uid 6 string
  causes 4 []StatusCause atomic
  retryAfterSeconds 5 int32

Table kind
  metadata - ListMeta
  columnDefinitions - []TableColumnDefinition keep
  rows - []TableRow keep

TableColumnDefinition
  name - string keep
  type - string keep
  format - string keep
  description - string keep
  priority - int32 keep

TableRow
  cells - []json keep
  conditions - []TableRowCondition
  object - json

TableRowCondition
  type - string keep
  status - string keep
  reason - string
  message - string

WatchEvent
  type 1 string required
  object 2 json required
`,
};
