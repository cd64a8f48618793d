/** Pods and containers as the runtime's configuration: pure. */
import { createHash } from 'node:crypto';
import type { JsonObject, KubeObject } from '../../control/api/contract.ts';
import type {
  ContainerConfig,
  ContainerSecurityContext,
  DnsConfig,
  Image,
  LinuxResources,
  Mount,
  NamespaceOptions,
  PodSandboxConfig,
  PortMapping,
  SecurityProfile,
} from '../cri/cri.ts';
import { restartDelayAnnotation } from './crash-back-off.ts';
import { ContainerConfigError, expand } from './environment.ts';
import { containerHashAnnotation } from './plan-pod-contract.ts';
import { graceSeconds, podContainers, type SpecContainer, usesHostNetwork } from './pod.ts';
import { podCgroupParent } from './resources.ts';

export interface NodeSettings {
  readonly cgroupRoot: string;
  readonly podLogDirectory: string;
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  /** The node's own resolver configuration, for `dnsPolicy: Default`. */
  readonly hostDns: DnsConfig;
}

/** Labels by which pods and containers are found again; tools that read the runtime know them too. */
export const labels = {
  podName: 'io.kubernetes.pod.name',
  podNamespace: 'io.kubernetes.pod.namespace',
  podUid: 'io.kubernetes.pod.uid',
  containerName: 'io.kubernetes.container.name',
} as const;
export const terminationPathAnnotation = 'io.kubernetes.container.terminationMessagePath';
export const terminationPolicyAnnotation = 'io.kubernetes.container.terminationMessagePolicy';
export const terminationFileAnnotation = 'keelson.io/termination-file';
export const graceAnnotation = 'io.kubernetes.pod.terminationGracePeriod';

// The kernel keeps a host name within 63 bytes.
const hostnameBytesMax = 63;
const maskedPathsDefault = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const readonlyPathsDefault = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

export function podLabels(pod: KubeObject): Record<string, string> {
  return {
    ...pod.metadata.labels,
    [labels.podName]: pod.metadata.name,
    [labels.podNamespace]: pod.metadata.namespace ?? '',
    [labels.podUid]: pod.metadata.uid,
  };
}

export function podHostname(pod: KubeObject): string {
  if (pod.spec?.hostnameOverride) return pod.spec.hostnameOverride;
  const name = ((pod.spec?.hostname as string | undefined) || pod.metadata.name).slice(0, hostnameBytesMax);
  return name.replace(/[-.]+$/, '');
}

export function podLogDirectory(root: string, pod: KubeObject): string {
  return `${root}/${pod.metadata.namespace}_${pod.metadata.name}_${pod.metadata.uid}`;
}

export function sandboxConfig(pod: KubeObject, attempt: number, settings: NodeSettings): PodSandboxConfig {
  const isHostNetwork = usesHostNetwork(pod);
  const context = (pod.spec?.securityContext ?? {}) as JsonObject;
  return {
    metadata: {
      name: pod.metadata.name,
      uid: pod.metadata.uid,
      namespace: pod.metadata.namespace ?? '',
      attempt,
    },
    // A pod on the node's network has the node's name.
    hostname: isHostNetwork ? '' : podHostname(pod),
    logDirectory: podLogDirectory(settings.podLogDirectory, pod),
    dns: podDns(pod, settings),
    portMappings: isHostNetwork ? [] : portMappings(pod),
    labels: podLabels(pod),
    annotations: { ...pod.metadata.annotations },
    cgroupParent: podCgroupParent(settings.cgroupRoot, pod),
    sysctls: Object.fromEntries(
      ((context.sysctls ?? []) as JsonObject[]).map(({ name, value }) => [name as string, value as string]),
    ),
    securityContext: {
      namespaces: namespaces(pod, undefined),
      ...optionalNumber('runAsUser', context.runAsUser),
      ...optionalNumber('runAsGroup', context.runAsGroup),
      supplementalGroups: supplementalGroups(context),
      readonlyRootfs: false,
      privileged: podContainers(pod).some(({ spec }) => spec.securityContext?.privileged === true),
      seccomp: seccomp(context.seccompProfile),
    },
  };
}

function optionalNumber<K extends string>(key: K, value: unknown): { [P in K]?: number } {
  return (typeof value === 'number' ? { [key]: value } : {}) as { [P in K]?: number };
}

function supplementalGroups(context: JsonObject): number[] {
  const groups = [...((context.supplementalGroups ?? []) as number[])];
  if (typeof context.fsGroup === 'number') groups.push(context.fsGroup);
  return groups;
}

function namespaces(pod: KubeObject, targetId: string | undefined): NamespaceOptions {
  return {
    network: usesHostNetwork(pod) ? 'node' : 'pod',
    ipc: pod.spec?.hostIPC === true ? 'node' : 'pod',
    pid:
      targetId !== undefined
        ? 'target'
        : pod.spec?.hostPID === true
          ? 'node'
          : pod.spec?.shareProcessNamespace === true
            ? 'pod'
            : 'container',
    ...(targetId === undefined ? {} : { targetId }),
  };
}

/** Without a profile containers run unconfined, as upstream's default is. */
function seccomp(profile: JsonObject | undefined): SecurityProfile {
  if (profile?.type === 'RuntimeDefault') return { type: 'runtimeDefault' };
  if (profile?.type === 'Localhost') return { type: 'localhost', localhostRef: profile.localhostProfile ?? '' };
  return { type: 'unconfined' };
}

function portMappings(pod: KubeObject): PortMapping[] {
  const out: PortMapping[] = [];
  for (const { spec } of podContainers(pod)) {
    for (const port of (spec.ports ?? []) as JsonObject[]) {
      if (!port.hostPort) continue;
      out.push({
        protocol: (port.protocol as PortMapping['protocol'] | undefined) ?? 'TCP',
        containerPort: port.containerPort,
        hostPort: port.hostPort,
        hostIp: port.hostIP ?? '',
      });
    }
  }
  return out;
}

/** resolv.conf by the pod's dnsPolicy, with dnsConfig merged in. */
export function podDns(pod: KubeObject, settings: NodeSettings): DnsConfig {
  const policy = (pod.spec?.dnsPolicy as string | undefined) ?? 'ClusterFirst';
  const isCluster = policy === 'ClusterFirstWithHostNet' || (policy === 'ClusterFirst' && !usesHostNetwork(pod));
  const domain = settings.clusterDomain;
  const base: DnsConfig =
    policy === 'None'
      ? { servers: [], searches: [], options: [] }
      : isCluster && settings.clusterDns.length > 0
        ? {
            servers: settings.clusterDns,
            searches: [
              `${pod.metadata.namespace}.svc.${domain}`,
              `svc.${domain}`,
              domain,
              ...settings.hostDns.searches,
            ],
            options: ['ndots:5'],
          }
        : settings.hostDns;
  const own = (pod.spec?.dnsConfig ?? {}) as JsonObject;
  const options = new Map(base.options.map((option) => [option.split(':')[0] as string, option]));
  for (const { name, value } of (own.options ?? []) as { name: string; value?: string }[]) {
    options.set(name, value === undefined || value === '' ? name : `${name}:${value}`);
  }
  return {
    servers: [...new Set([...base.servers, ...((own.nameservers ?? []) as string[])])],
    searches: [...new Set([...base.searches, ...((own.searches ?? []) as string[])])],
    options: [...options.values()],
  };
}

/** Only what makes another container necessary when it changes. */
export function containerHash(container: SpecContainer): string {
  const text = JSON.stringify([container.name, container.spec.image]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

export interface ContainerConfigInput {
  readonly pod: KubeObject;
  readonly container: SpecContainer;
  readonly attempt: number;
  readonly restartDelayMs: number;
  readonly image: Image;
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly mounts: readonly Mount[];
  readonly devices: ContainerConfig['devices'];
  readonly resources: LinuxResources;
  readonly terminationFile: string;
  /** For an ephemeral container that looks into another one. */
  readonly targetId: string | undefined;
}

export function containerConfig(input: ContainerConfigInput): ContainerConfig {
  const { pod, container, env } = input;
  const { spec } = container;
  const variables = new Map(env.map(({ name, value }) => [name, value]));
  const expandAll = (list: readonly string[] | undefined) => (list ?? []).map((text) => expand(text, variables));
  return {
    name: container.name,
    attempt: input.attempt,
    image: input.image.id,
    userImage: spec.image as string,
    command: expandAll(spec.command),
    args: expandAll(spec.args),
    workingDirectory: (spec.workingDir as string | undefined) ?? '',
    env,
    mounts: input.mounts,
    devices: input.devices,
    labels: {
      [labels.podName]: pod.metadata.name,
      [labels.podNamespace]: pod.metadata.namespace ?? '',
      [labels.podUid]: pod.metadata.uid,
      [labels.containerName]: container.name,
    },
    annotations: {
      [containerHashAnnotation]: containerHash(container),
      [restartDelayAnnotation]: String(input.restartDelayMs),
      [graceAnnotation]: String(graceSeconds(pod)),
      [terminationPathAnnotation]: (spec.terminationMessagePath as string | undefined) ?? '/dev/termination-log',
      [terminationPolicyAnnotation]: (spec.terminationMessagePolicy as string | undefined) ?? 'File',
      [terminationFileAnnotation]: input.terminationFile,
      'io.kubernetes.container.restartCount': String(input.attempt),
    },
    logPath: `${container.name}/${input.attempt}.log`,
    stdin: spec.stdin === true,
    stdinOnce: spec.stdinOnce === true,
    tty: spec.tty === true,
    resources: input.resources,
    securityContext: securityContext(pod, spec, input.image, input.targetId),
  };
}

function securityContext(
  pod: KubeObject,
  spec: JsonObject,
  image: Image,
  targetId: string | undefined,
): ContainerSecurityContext {
  const ofPod = (pod.spec?.securityContext ?? {}) as JsonObject;
  const own = (spec.securityContext ?? {}) as JsonObject;
  const runAsUser = (own.runAsUser ?? ofPod.runAsUser ?? image.uid) as number | undefined;
  const runAsGroup = (own.runAsGroup ?? ofPod.runAsGroup) as number | undefined;
  if ((own.runAsNonRoot ?? ofPod.runAsNonRoot) === true) requireNonRoot(spec, runAsUser, image);
  const isPrivileged = own.privileged === true;
  const hidesProc = !isPrivileged && own.procMount !== 'Unmasked';
  return {
    namespaces: namespaces(pod, targetId),
    capabilitiesAdd: (own.capabilities?.add ?? []) as string[],
    capabilitiesDrop: (own.capabilities?.drop ?? []) as string[],
    privileged: isPrivileged,
    ...optionalNumber('runAsUser', runAsUser),
    // A group may only be given together with a user.
    ...(runAsUser === undefined ? {} : optionalNumber('runAsGroup', runAsGroup)),
    readonlyRootfs: own.readOnlyRootFilesystem === true,
    supplementalGroups: supplementalGroups(ofPod),
    noNewPrivileges: own.allowPrivilegeEscalation === false,
    maskedPaths: hidesProc ? maskedPathsDefault : [],
    readonlyPaths: hidesProc ? readonlyPathsDefault : [],
    seccomp: isPrivileged ? { type: 'unconfined' } : seccomp(own.seccompProfile ?? ofPod.seccompProfile),
  };
}

function requireNonRoot(spec: JsonObject, user: number | undefined, image: Image): void {
  if (user === 0) {
    throw new ContainerConfigError(
      `container has runAsNonRoot and image will run as root (container: ${spec.name}, image: ${spec.image})`,
    );
  }
  if (user !== undefined) return;
  if (image.username !== '') {
    throw new ContainerConfigError(
      `container has runAsNonRoot and image has non-numeric user (${image.username}), cannot verify user is non-root`,
    );
  }
  throw new ContainerConfigError('container has runAsNonRoot and image will run as root');
}
