/**
 * Between the contract's values (cri.ts) and CRI v1 messages. Pure. Messages are plain objects with camelCase fields,
 * enums as numbers and 64-bit fields as Long when decoded.
 */
import type {
  Container,
  ContainerConfig,
  ContainerSecurityContext,
  ContainerState,
  ContainerStats,
  ContainerStatus,
  FilesystemUsage,
  Image,
  NamespaceMode,
  NamespaceOptions,
  PodSandbox,
  PodSandboxConfig,
  PodSandboxStatus,
  SecurityProfile,
} from './cri.ts';

// biome-ignore lint: decoded messages are known only to their descriptor
type Message = Record<string, any>;

const namespaceModes: Readonly<Record<NamespaceMode, number>> = { pod: 0, container: 1, node: 2, target: 3 };
const protocols = { TCP: 0, UDP: 1, SCTP: 2 } as const;
const propagations = { private: 0, hostToContainer: 1, bidirectional: 2 } as const;
const profileTypes = { runtimeDefault: 0, unconfined: 1, localhost: 2 } as const;
const containerStates: readonly ContainerState[] = ['created', 'running', 'exited', 'unknown'];

/** A 64-bit field as a number; nanosecond stamps lose less than a microsecond. */
function number64(value: unknown): number {
  if (value === null || value === undefined) return 0;
  if (typeof value === 'number') return value;
  return Number(String(value));
}

function msFromNanoseconds(value: unknown): number {
  return Math.max(0, number64(value) / 1e6);
}

function namespacesToWire(options: NamespaceOptions): Message {
  return {
    network: namespaceModes[options.network],
    pid: namespaceModes[options.pid],
    ipc: namespaceModes[options.ipc],
    targetId: options.targetId ?? '',
  };
}

function seccompToWire(profile: SecurityProfile | undefined): Message {
  if (profile === undefined) return {};
  return { seccomp: { profileType: profileTypes[profile.type], localhostRef: profile.localhostRef ?? '' } };
}

function userToWire(context: { readonly runAsUser?: number; readonly runAsGroup?: number }): Message {
  return {
    ...(context.runAsUser === undefined ? {} : { runAsUser: { value: context.runAsUser } }),
    ...(context.runAsGroup === undefined ? {} : { runAsGroup: { value: context.runAsGroup } }),
  };
}

export function sandboxConfigToWire(config: PodSandboxConfig): Message {
  const context = config.securityContext;
  return {
    metadata: { ...config.metadata },
    hostname: config.hostname,
    logDirectory: config.logDirectory,
    ...(config.dns === undefined
      ? {}
      : {
          dnsConfig: {
            servers: [...config.dns.servers],
            searches: [...config.dns.searches],
            options: [...config.dns.options],
          },
        }),
    portMappings: config.portMappings.map((mapping) => ({ ...mapping, protocol: protocols[mapping.protocol] })),
    labels: { ...config.labels },
    annotations: { ...config.annotations },
    linux: {
      cgroupParent: config.cgroupParent,
      sysctls: { ...config.sysctls },
      securityContext: {
        namespaceOptions: namespacesToWire(context.namespaces),
        ...userToWire(context),
        supplementalGroups: [...context.supplementalGroups],
        readonlyRootfs: context.readonlyRootfs,
        privileged: context.privileged,
        ...seccompToWire(context.seccomp),
      },
    },
  };
}

function containerContextToWire(context: ContainerSecurityContext): Message {
  return {
    namespaceOptions: namespacesToWire(context.namespaces),
    capabilities: { addCapabilities: [...context.capabilitiesAdd], dropCapabilities: [...context.capabilitiesDrop] },
    privileged: context.privileged,
    ...userToWire(context),
    readonlyRootfs: context.readonlyRootfs,
    supplementalGroups: [...context.supplementalGroups],
    noNewPrivs: context.noNewPrivileges,
    maskedPaths: [...context.maskedPaths],
    readonlyPaths: [...context.readonlyPaths],
    ...seccompToWire(context.seccomp),
  };
}

export function containerConfigToWire(config: ContainerConfig): Message {
  const resources = config.resources;
  return {
    metadata: { name: config.name, attempt: config.attempt },
    image: { image: config.image, userSpecifiedImage: config.userImage },
    command: [...config.command],
    args: [...config.args],
    workingDir: config.workingDirectory,
    envs: config.env.map(({ name, value }) => ({ key: name, value })),
    mounts: config.mounts.map((mount) => ({ ...mount, propagation: propagations[mount.propagation] })),
    devices: config.devices.map((device) => ({ ...device })),
    labels: { ...config.labels },
    annotations: { ...config.annotations },
    logPath: config.logPath,
    stdin: config.stdin,
    stdinOnce: config.stdinOnce,
    tty: config.tty,
    linux: {
      resources: {
        cpuPeriod: resources.cpuPeriod ?? 0,
        cpuQuota: resources.cpuQuota ?? 0,
        cpuShares: resources.cpuShares ?? 0,
        memoryLimitInBytes: resources.memoryLimitBytes ?? 0,
        oomScoreAdj: resources.oomScoreAdj ?? 0,
      },
      securityContext: containerContextToWire(config.securityContext),
    },
  };
}

export function sandboxFromWire(message: Message): PodSandbox {
  return {
    id: message.id,
    metadata: {
      name: message.metadata?.name ?? '',
      uid: message.metadata?.uid ?? '',
      namespace: message.metadata?.namespace ?? '',
      attempt: message.metadata?.attempt ?? 0,
    },
    isReady: message.state === 0,
    createdAtMs: msFromNanoseconds(message.createdAt),
    labels: message.labels ?? {},
    annotations: message.annotations ?? {},
  };
}

export function sandboxStatusFromWire(message: Message): PodSandboxStatus {
  const additional: readonly Message[] = message.network?.additionalIps ?? [];
  const ips = [message.network?.ip ?? '', ...additional.map((each) => each.ip)].filter((ip) => ip !== '');
  return { ...sandboxFromWire(message), ips };
}

export function containerFromWire(message: Message): Container {
  return {
    id: message.id,
    sandboxId: message.podSandboxId,
    name: message.metadata?.name ?? '',
    attempt: message.metadata?.attempt ?? 0,
    image: message.image?.image ?? '',
    imageRef: message.imageRef,
    state: containerStates[message.state] ?? 'unknown',
    createdAtMs: msFromNanoseconds(message.createdAt),
    labels: message.labels ?? {},
    annotations: message.annotations ?? {},
  };
}

export function containerStatusFromWire(message: Message): ContainerStatus {
  const { sandboxId: _, ...common } = containerFromWire(message);
  return {
    ...common,
    startedAtMs: msFromNanoseconds(message.startedAt),
    finishedAtMs: msFromNanoseconds(message.finishedAt),
    exitCode: message.exitCode,
    reason: message.reason,
    message: message.message,
    logPath: message.logPath,
  };
}

export function imageFromWire(message: Message): Image {
  return {
    id: message.id,
    repoTags: message.repoTags ?? [],
    repoDigests: message.repoDigests ?? [],
    sizeBytes: number64(message.size),
    uid: message.uid === null || message.uid === undefined ? undefined : number64(message.uid.value),
    username: message.username,
  };
}

export function statsFromWire(message: Message): ContainerStats {
  return {
    id: message.attributes?.id ?? '',
    name: message.attributes?.metadata?.name ?? '',
    labels: message.attributes?.labels ?? {},
    timestampMs: msFromNanoseconds(message.cpu?.timestamp),
    cpuUsageCoreNanoseconds: number64(message.cpu?.usageCoreNanoSeconds?.value),
    memoryWorkingSetBytes: number64(message.memory?.workingSetBytes?.value),
    writableLayerUsedBytes: number64(message.writableLayer?.usedBytes?.value),
  };
}

export function filesystemFromWire(message: Message): FilesystemUsage {
  return { mountpoint: message.fsId?.mountpoint ?? '', usedBytes: number64(message.usedBytes?.value) };
}
