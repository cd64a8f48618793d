/** Messages of the API group version storage.k8s.io/v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const storageV1: MessageTable = {
  prefix: 'io.k8s.api.storage.v1',
  group: 'storage.k8s.io',
  version: 'v1',
  messages: `
CSIDriver kind
  metadata 1 meta.ObjectMeta
  spec 2 CSIDriverSpec required

CSIDriverList kind
  metadata 1 meta.ListMeta
  items 2 []CSIDriver required

CSIDriverSpec
  attachRequired 1 *bool
  podInfoOnMount 2 *bool
  volumeLifecycleModes 3 []string set
  storageCapacity 4 *bool
  fsGroupPolicy 5 *string
  tokenRequests 6 []TokenRequest atomic
  requiresRepublish 7 *bool
  seLinuxMount 8 *bool
  nodeAllocatableUpdatePeriodSeconds 9 *int64

CSINode kind
  metadata 1 meta.ObjectMeta
  spec 2 CSINodeSpec required

CSINodeDriver
  name 1 string required
  nodeID 2 string required
  topologyKeys 3 []string keep atomic
  allocatable 4 *VolumeNodeResources

CSINodeList kind
  metadata 1 meta.ListMeta
  items 2 []CSINode required

CSINodeSpec
  drivers 1 []CSINodeDriver required merge=name map=name

CSIStorageCapacity kind
  metadata 1 meta.ObjectMeta
  nodeTopology 2 *meta.LabelSelector
  storageClassName 3 string required
  capacity 4 *quantity
  maximumVolumeSize 5 *quantity

CSIStorageCapacityList kind
  metadata 1 meta.ListMeta
  items 2 []CSIStorageCapacity required

StorageClass kind
  metadata 1 meta.ObjectMeta
  provisioner 2 string required
  parameters 3 map[string]
  reclaimPolicy 4 *string enum=Delete,Recycle,Retain
  mountOptions 5 []string atomic
  allowVolumeExpansion 6 *bool
  volumeBindingMode 7 *string enum=Immediate,WaitForFirstConsumer
  allowedTopologies 8 []core.TopologySelectorTerm atomic

StorageClassList kind
  metadata 1 meta.ListMeta
  items 2 []StorageClass required

TokenRequest
  audience 1 string required
  expirationSeconds 2 *int64

VolumeAttachment kind
  metadata 1 meta.ObjectMeta
  spec 2 VolumeAttachmentSpec required
  status 3 VolumeAttachmentStatus

VolumeAttachmentList kind
  metadata 1 meta.ListMeta
  items 2 []VolumeAttachment required

VolumeAttachmentSource
  persistentVolumeName 1 *string
  inlineVolumeSpec 2 *core.PersistentVolumeSpec

VolumeAttachmentSpec
  attacher 1 string required
  source 2 VolumeAttachmentSource required
  nodeName 3 string required

VolumeAttachmentStatus
  attached 1 bool required
  attachmentMetadata 2 map[string]
  attachError 3 *VolumeError
  detachError 4 *VolumeError

VolumeAttributesClass kind
  metadata 1 meta.ObjectMeta
  driverName 2 string required
  parameters 3 map[string]

VolumeAttributesClassList kind
  metadata 1 meta.ListMeta
  items 2 []VolumeAttributesClass required

VolumeError
  time 1 time
  message 2 string
  errorCode 3 *int32

VolumeNodeResources
  count 1 *int32
`,
};
