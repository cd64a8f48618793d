/** Volumes, volume claims and their sources in the API group version v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const coreV1Volumes: MessageTable = {
  prefix: 'io.k8s.api.core.v1',
  group: '',
  version: 'v1',
  messages: `
AWSElasticBlockStoreVolumeSource
  volumeID 1 string required
  fsType 2 string
  partition 3 int32
  readOnly 4 bool

AzureDiskVolumeSource
  diskName 1 string required
  diskURI 2 string required
  cachingMode 3 *string enum=None,ReadOnly,ReadWrite default=ReadWrite
  fsType 4 *string default=ext4
  readOnly 5 *bool default=false
  kind 6 *string enum=Dedicated,Managed,Shared default=Shared

AzureFilePersistentVolumeSource
  secretName 1 string required
  shareName 2 string required
  readOnly 3 bool
  secretNamespace 4 *string keep

AzureFileVolumeSource
  secretName 1 string required
  shareName 2 string required
  readOnly 3 bool

CSIPersistentVolumeSource
  driver 1 string required
  volumeHandle 2 string required
  readOnly 3 bool
  fsType 4 string
  volumeAttributes 5 map[string]
  controllerPublishSecretRef 6 *SecretReference
  nodeStageSecretRef 7 *SecretReference
  nodePublishSecretRef 8 *SecretReference
  controllerExpandSecretRef 9 *SecretReference
  nodeExpandSecretRef 10 *SecretReference

CSIVolumeSource
  driver 1 string required
  readOnly 2 *bool
  fsType 3 *string
  volumeAttributes 4 map[string]
  nodePublishSecretRef 5 *LocalObjectReference

CephFSPersistentVolumeSource
  monitors 1 []string required atomic
  path 2 string
  user 3 string
  secretFile 4 string
  secretRef 5 *SecretReference
  readOnly 6 bool

CephFSVolumeSource
  monitors 1 []string required atomic
  path 2 string
  user 3 string
  secretFile 4 string
  secretRef 5 *LocalObjectReference
  readOnly 6 bool

CinderPersistentVolumeSource
  volumeID 1 string required
  fsType 2 string
  readOnly 3 bool
  secretRef 4 *SecretReference

CinderVolumeSource
  volumeID 1 string required
  fsType 2 string
  readOnly 3 bool
  secretRef 4 *LocalObjectReference

ClusterTrustBundleProjection
  name 1 *string
  signerName 2 *string
  labelSelector 3 *meta.LabelSelector
  optional 5 *bool
  path 4 string required

ConfigMapProjection
  localObjectReference 1 LocalObjectReference inline
  items 2 []KeyToPath atomic
  optional 4 *bool

ConfigMapVolumeSource
  localObjectReference 1 LocalObjectReference inline
  items 2 []KeyToPath atomic
  defaultMode 3 *int32
  optional 4 *bool

DownwardAPIProjection
  items 1 []DownwardAPIVolumeFile atomic

DownwardAPIVolumeFile
  path 1 string required
  fieldRef 2 *ObjectFieldSelector
  resourceFieldRef 3 *ResourceFieldSelector
  mode 4 *int32

DownwardAPIVolumeSource
  items 1 []DownwardAPIVolumeFile atomic
  defaultMode 2 *int32

EmptyDirVolumeSource
  medium 1 string
  sizeLimit 2 *quantity

EphemeralVolumeSource
  volumeClaimTemplate 1 *PersistentVolumeClaimTemplate

FCVolumeSource
  targetWWNs 1 []string atomic
  lun 2 *int32
  fsType 3 string
  readOnly 4 bool
  wwids 5 []string atomic

FlexPersistentVolumeSource
  driver 1 string required
  fsType 2 string
  secretRef 3 *SecretReference
  readOnly 4 bool
  options 5 map[string]

FlexVolumeSource
  driver 1 string required
  fsType 2 string
  secretRef 3 *LocalObjectReference
  readOnly 4 bool
  options 5 map[string]

FlockerVolumeSource
  datasetName 1 string
  datasetUUID 2 string

GCEPersistentDiskVolumeSource
  pdName 1 string required
  fsType 2 string
  partition 3 int32
  readOnly 4 bool

GitRepoVolumeSource
  repository 1 string required
  revision 2 string
  directory 3 string

GlusterfsPersistentVolumeSource
  endpoints 1 string required
  path 2 string required
  readOnly 3 bool
  endpointsNamespace 4 *string

GlusterfsVolumeSource
  endpoints 1 string required
  path 2 string required
  readOnly 3 bool

HostPathVolumeSource
  path 1 string required
  type 2 *string enum=,BlockDevice,CharDevice,Directory,DirectoryOrCreate,File,FileOrCreate,Socket

ISCSIPersistentVolumeSource
  targetPortal 1 string required
  iqn 2 string required
  lun 3 int32 required
  iscsiInterface 4 string default=default
  fsType 5 string
  readOnly 6 bool
  portals 7 []string atomic
  chapAuthDiscovery 8 bool
  chapAuthSession 11 bool
  secretRef 10 *SecretReference
  initiatorName 12 *string

ISCSIVolumeSource
  targetPortal 1 string required
  iqn 2 string required
  lun 3 int32 required
  iscsiInterface 4 string default=default
  fsType 5 string
  readOnly 6 bool
  portals 7 []string atomic
  chapAuthDiscovery 8 bool
  chapAuthSession 11 bool
  secretRef 10 *LocalObjectReference
  initiatorName 12 *string

ImageVolumeSource
  reference 1 string
  pullPolicy 2 string enum=Always,IfNotPresent,Never

KeyToPath
  key 1 string required
  path 2 string required
  mode 3 *int32

LocalVolumeSource
  path 1 string required
  fsType 2 *string

ModifyVolumeStatus
  targetVolumeAttributesClassName 1 string
  status 2 string required enum=InProgress,Infeasible,Pending

NFSVolumeSource
  server 1 string required
  path 2 string required
  readOnly 3 bool

ObjectFieldSelector atomic
  apiVersion 1 string
  fieldPath 2 string required

PersistentVolume kind  # A piece of storage.
  metadata 1 meta.ObjectMeta
  spec 2 PersistentVolumeSpec
  status 3 PersistentVolumeStatus

PersistentVolumeClaim kind  # A request for a piece of storage.
  metadata 1 meta.ObjectMeta
  spec 2 PersistentVolumeClaimSpec
  status 3 PersistentVolumeClaimStatus

PersistentVolumeClaimCondition
  type 1 string required
  status 2 string required
  lastProbeTime 3 time
  lastTransitionTime 4 time
  reason 5 string
  message 6 string

PersistentVolumeClaimList kind
  metadata 1 meta.ListMeta
  items 2 []PersistentVolumeClaim required

PersistentVolumeClaimSpec
  accessModes 1 []string atomic
  selector 4 *meta.LabelSelector
  resources 2 VolumeResourceRequirements
  volumeName 3 string
  storageClassName 5 *string
  volumeMode 6 *string enum=Block,Filesystem
  dataSource 7 *TypedLocalObjectReference
  dataSourceRef 8 *TypedObjectReference
  volumeAttributesClassName 9 *string

PersistentVolumeClaimStatus
  phase 1 string enum=Bound,Lost,Pending
  accessModes 2 []string atomic
  capacity 3 map[quantity]
  conditions 4 []PersistentVolumeClaimCondition merge=type map=type
  allocatedResources 5 map[quantity]
  allocatedResourceStatuses 7 map[string]
  currentVolumeAttributesClassName 8 *string
  modifyVolumeStatus 9 *ModifyVolumeStatus

PersistentVolumeClaimTemplate
  metadata 1 meta.ObjectMeta
  spec 2 PersistentVolumeClaimSpec required

PersistentVolumeClaimVolumeSource
  claimName 1 string required
  readOnly 2 bool

PersistentVolumeList kind
  metadata 1 meta.ListMeta
  items 2 []PersistentVolume required

PersistentVolumeSource
  gcePersistentDisk 1 *GCEPersistentDiskVolumeSource
  awsElasticBlockStore 2 *AWSElasticBlockStoreVolumeSource
  hostPath 3 *HostPathVolumeSource
  glusterfs 4 *GlusterfsPersistentVolumeSource
  nfs 5 *NFSVolumeSource
  rbd 6 *RBDPersistentVolumeSource
  iscsi 7 *ISCSIPersistentVolumeSource
  cinder 8 *CinderPersistentVolumeSource
  cephfs 9 *CephFSPersistentVolumeSource
  fc 10 *FCVolumeSource
  flocker 11 *FlockerVolumeSource
  flexVolume 12 *FlexPersistentVolumeSource
  azureFile 13 *AzureFilePersistentVolumeSource
  vsphereVolume 14 *VsphereVirtualDiskVolumeSource
  quobyte 15 *QuobyteVolumeSource
  azureDisk 16 *AzureDiskVolumeSource
  photonPersistentDisk 17 *PhotonPersistentDiskVolumeSource
  portworxVolume 18 *PortworxVolumeSource
  scaleIO 19 *ScaleIOPersistentVolumeSource
  local 20 *LocalVolumeSource
  storageos 21 *StorageOSPersistentVolumeSource
  csi 22 *CSIPersistentVolumeSource

PersistentVolumeSpec
  capacity 1 map[quantity]
  persistentVolumeSource 2 PersistentVolumeSource inline
  accessModes 3 []string atomic
  claimRef 4 *ObjectReference
  persistentVolumeReclaimPolicy 5 string enum=Delete,Recycle,Retain
  storageClassName 6 string
  mountOptions 7 []string atomic
  volumeMode 8 *string enum=Block,Filesystem
  nodeAffinity 9 *VolumeNodeAffinity
  volumeAttributesClassName 10 *string

PersistentVolumeStatus
  phase 1 string enum=Available,Bound,Failed,Pending,Released
  message 2 string
  reason 3 string
  lastPhaseTransitionTime 4 *time

PhotonPersistentDiskVolumeSource
  pdID 1 string required
  fsType 2 string

PodCertificateProjection
  signerName 1 string required omitempty
  keyType 2 string required omitempty
  maxExpirationSeconds 3 *int32
  credentialBundlePath 4 string
  keyPath 5 string
  certificateChainPath 6 string

PortworxVolumeSource
  volumeID 1 string required
  fsType 2 string
  readOnly 3 bool

ProjectedVolumeSource
  sources 1 []VolumeProjection keep atomic
  defaultMode 2 *int32

QuobyteVolumeSource
  registry 1 string required
  volume 2 string required
  readOnly 3 bool
  user 4 string
  group 5 string
  tenant 6 string

RBDPersistentVolumeSource
  monitors 1 []string required atomic
  image 2 string required
  fsType 3 string
  pool 4 string default=rbd
  user 5 string default=admin
  keyring 6 string default=/etc/ceph/keyring
  secretRef 7 *SecretReference
  readOnly 8 bool

RBDVolumeSource
  monitors 1 []string required atomic
  image 2 string required
  fsType 3 string
  pool 4 string default=rbd
  user 5 string default=admin
  keyring 6 string default=/etc/ceph/keyring
  secretRef 7 *LocalObjectReference
  readOnly 8 bool

ResourceFieldSelector atomic
  containerName 1 string
  resource 2 string required
  divisor 3 quantity

ScaleIOPersistentVolumeSource
  gateway 1 string required
  system 2 string required
  secretRef 3 *SecretReference required
  sslEnabled 4 bool
  protectionDomain 5 string
  storagePool 6 string
  storageMode 7 string default=ThinProvisioned
  volumeName 8 string
  fsType 9 string default=xfs
  readOnly 10 bool

ScaleIOVolumeSource
  gateway 1 string required
  system 2 string required
  secretRef 3 *LocalObjectReference required
  sslEnabled 4 bool
  protectionDomain 5 string
  storagePool 6 string
  storageMode 7 string default=ThinProvisioned
  volumeName 8 string
  fsType 9 string default=xfs
  readOnly 10 bool

SecretProjection
  localObjectReference 1 LocalObjectReference inline
  items 2 []KeyToPath atomic
  optional 4 *bool

SecretReference atomic
  name 1 string
  namespace 2 string

SecretVolumeSource
  secretName 1 string
  items 2 []KeyToPath atomic
  defaultMode 3 *int32
  optional 4 *bool

ServiceAccountTokenProjection
  audience 1 string
  expirationSeconds 2 *int64
  path 3 string required

StorageOSPersistentVolumeSource
  volumeName 1 string
  volumeNamespace 2 string
  fsType 3 string
  readOnly 4 bool
  secretRef 5 *ObjectReference

StorageOSVolumeSource
  volumeName 1 string
  volumeNamespace 2 string
  fsType 3 string
  readOnly 4 bool
  secretRef 5 *LocalObjectReference

TypedObjectReference
  apiGroup 1 *string keep
  kind 2 string required
  name 3 string required
  namespace 4 *string

Volume  # A volume that containers of the pod can mount.
  name 1 string required
  volumeSource 2 VolumeSource inline

VolumeNodeAffinity
  required 1 *NodeSelector

VolumeProjection
  secret 1 *SecretProjection
  downwardAPI 2 *DownwardAPIProjection
  configMap 3 *ConfigMapProjection
  serviceAccountToken 4 *ServiceAccountTokenProjection
  clusterTrustBundle 5 *ClusterTrustBundleProjection
  podCertificate 6 *PodCertificateProjection

VolumeResourceRequirements
  limits 1 map[quantity]
  requests 2 map[quantity]

VolumeSource
  hostPath 1 *HostPathVolumeSource
  emptyDir 2 *EmptyDirVolumeSource
  gcePersistentDisk 3 *GCEPersistentDiskVolumeSource
  awsElasticBlockStore 4 *AWSElasticBlockStoreVolumeSource
  gitRepo 5 *GitRepoVolumeSource
  secret 6 *SecretVolumeSource
  nfs 7 *NFSVolumeSource
  iscsi 8 *ISCSIVolumeSource
  glusterfs 9 *GlusterfsVolumeSource
  persistentVolumeClaim 10 *PersistentVolumeClaimVolumeSource
  rbd 11 *RBDVolumeSource
  flexVolume 12 *FlexVolumeSource
  cinder 13 *CinderVolumeSource
  cephfs 14 *CephFSVolumeSource
  flocker 15 *FlockerVolumeSource
  downwardAPI 16 *DownwardAPIVolumeSource
  fc 17 *FCVolumeSource
  azureFile 18 *AzureFileVolumeSource
  configMap 19 *ConfigMapVolumeSource
  vsphereVolume 20 *VsphereVirtualDiskVolumeSource
  quobyte 21 *QuobyteVolumeSource
  azureDisk 22 *AzureDiskVolumeSource
  photonPersistentDisk 23 *PhotonPersistentDiskVolumeSource
  projected 26 *ProjectedVolumeSource
  portworxVolume 24 *PortworxVolumeSource
  scaleIO 25 *ScaleIOVolumeSource
  storageos 27 *StorageOSVolumeSource
  csi 28 *CSIVolumeSource
  ephemeral 29 *EphemeralVolumeSource
  image 30 *ImageVolumeSource

VsphereVirtualDiskVolumeSource
  volumePath 1 string required
  fsType 2 string
  storagePolicyName 3 string
  storagePolicyID 4 string
`,
};
