/**
 * The container runtime as the node agent sees it: contract. One implementation speaks CRI v1 gRPC (grpc-cri.ts);
 * test/contract/cri.test.ts tells what every implementation must do.
 *
 * Promises: stop and remove calls succeed when there is nothing left to stop or remove. Calls that cannot reach the
 * runtime, time out, or are refused reject with a CriError. Times are milliseconds since the Unix epoch, 0 for "never".
 */
import { KeelsonError } from '../../env/errors.ts';

export interface Cri {
  version(): Promise<RuntimeVersion>;
  status(): Promise<RuntimeStatus>;

  /** Makes the sandbox and its network; resolves with its id when the network is there. */
  runPodSandbox(config: PodSandboxConfig, runtimeHandler?: string): Promise<string>;
  /** Kills what runs inside and takes the network away. */
  stopPodSandbox(sandboxId: string): Promise<void>;
  /** Stops it first when it is not stopped; its containers go too. */
  removePodSandbox(sandboxId: string): Promise<void>;
  /** undefined when there is no such sandbox. */
  podSandboxStatus(sandboxId: string): Promise<PodSandboxStatus | undefined>;
  listPodSandboxes(filter?: LabelFilter): Promise<readonly PodSandbox[]>;

  createContainer(sandboxId: string, config: ContainerConfig, sandbox: PodSandboxConfig): Promise<string>;
  startContainer(containerId: string): Promise<void>;
  /** Sends the stop signal, waits up to `timeoutSeconds`, then kills; resolves when the container has ended. */
  stopContainer(containerId: string, timeoutSeconds: number): Promise<void>;
  removeContainer(containerId: string): Promise<void>;
  /** undefined when there is no such container. */
  containerStatus(containerId: string): Promise<ContainerStatus | undefined>;
  listContainers(filter?: LabelFilter & { readonly sandboxId?: string }): Promise<readonly Container[]>;
  /** Opens the log file anew after it was renamed. */
  reopenContainerLog(containerId: string): Promise<void>;

  /** A command that runs to its end inside the container. `timeoutSeconds` 0 = no limit. */
  execSync(containerId: string, command: readonly string[], timeoutSeconds: number): Promise<ExecResult>;
  /** One-time URLs of the runtime's streaming server, which speaks SPDY/3.1. */
  exec(request: ExecRequest): Promise<string>;
  attach(request: AttachRequest): Promise<string>;
  portForward(sandboxId: string, ports: readonly number[]): Promise<string>;

  listContainerStats(filter?: LabelFilter): Promise<readonly ContainerStats[]>;

  listImages(): Promise<readonly Image[]>;
  /** undefined when the image is not there. */
  imageStatus(image: string): Promise<Image | undefined>;
  /** Resolves with the image's reference. */
  pullImage(image: string, auth: ImageAuth | undefined, sandbox: PodSandboxConfig | undefined): Promise<string>;
  removeImage(image: string): Promise<void>;
  imageFsInfo(): Promise<readonly FilesystemUsage[]>;

  close(): void;
}

/** `code` is the gRPC status name (`UNAVAILABLE`, `NOT_FOUND`, `DEADLINE_EXCEEDED`, …). */
export class CriError extends KeelsonError {
  override readonly name = 'CriError';
  /** What the runtime said, without our prefix. */
  readonly detail: string;
  constructor(code: string, call: string, detail: string, options?: { cause?: unknown }) {
    super(code, `the container runtime refused ${call}: ${code}: ${detail}`, options);
    this.detail = detail;
  }
}

export interface RuntimeVersion {
  readonly runtimeName: string;
  readonly runtimeVersion: string;
}

export interface RuntimeCondition {
  readonly type: string;
  readonly status: boolean;
  readonly reason: string;
  readonly message: string;
}

/** `RuntimeReady` and `NetworkReady` are always among the conditions. */
export interface RuntimeStatus {
  readonly conditions: readonly RuntimeCondition[];
}

export interface LabelFilter {
  readonly labels?: Readonly<Record<string, string>>;
}

export interface PodSandboxMetadata {
  readonly name: string;
  readonly uid: string;
  readonly namespace: string;
  readonly attempt: number;
}

export type NamespaceMode = 'pod' | 'container' | 'node' | 'target';

export interface NamespaceOptions {
  readonly network: NamespaceMode;
  readonly pid: NamespaceMode;
  readonly ipc: NamespaceMode;
  /** Container whose process namespace is shared, for `target`. */
  readonly targetId?: string;
}

export interface SecurityProfile {
  readonly type: 'runtimeDefault' | 'unconfined' | 'localhost';
  readonly localhostRef?: string;
}

export interface SandboxSecurityContext {
  readonly namespaces: NamespaceOptions;
  readonly runAsUser?: number;
  readonly runAsGroup?: number;
  readonly supplementalGroups: readonly number[];
  readonly readonlyRootfs: boolean;
  readonly privileged: boolean;
  readonly seccomp?: SecurityProfile;
}

export interface PortMapping {
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly containerPort: number;
  readonly hostPort: number;
  readonly hostIp: string;
}

export interface DnsConfig {
  readonly servers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

export interface PodSandboxConfig {
  readonly metadata: PodSandboxMetadata;
  readonly hostname: string;
  readonly logDirectory: string;
  readonly dns: DnsConfig | undefined;
  readonly portMappings: readonly PortMapping[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly cgroupParent: string;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly securityContext: SandboxSecurityContext;
}

export interface PodSandbox {
  readonly id: string;
  readonly metadata: PodSandboxMetadata;
  readonly isReady: boolean;
  readonly createdAtMs: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface PodSandboxStatus extends PodSandbox {
  /** Empty when the sandbox uses the node's network or has none yet. */
  readonly ips: readonly string[];
}

export interface LinuxResources {
  readonly cpuPeriod?: number;
  readonly cpuQuota?: number;
  readonly cpuShares?: number;
  readonly memoryLimitBytes?: number;
  readonly oomScoreAdj?: number;
}

export interface ContainerSecurityContext {
  readonly namespaces: NamespaceOptions;
  readonly capabilitiesAdd: readonly string[];
  readonly capabilitiesDrop: readonly string[];
  readonly privileged: boolean;
  readonly runAsUser?: number;
  readonly runAsGroup?: number;
  readonly readonlyRootfs: boolean;
  readonly supplementalGroups: readonly number[];
  readonly noNewPrivileges: boolean;
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  readonly seccomp?: SecurityProfile;
}

export interface Mount {
  readonly containerPath: string;
  readonly hostPath: string;
  readonly readonly: boolean;
  readonly propagation: 'private' | 'hostToContainer' | 'bidirectional';
}

export interface ContainerConfig {
  readonly name: string;
  readonly attempt: number;
  /** What ImageStatus or PullImage gave. */
  readonly image: string;
  readonly userImage: string;
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly workingDirectory: string;
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly mounts: readonly Mount[];
  readonly devices: readonly {
    readonly containerPath: string;
    readonly hostPath: string;
    readonly permissions: string;
  }[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Below the sandbox's log directory. */
  readonly logPath: string;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  readonly tty: boolean;
  readonly resources: LinuxResources;
  readonly securityContext: ContainerSecurityContext;
}

export type ContainerState = 'created' | 'running' | 'exited' | 'unknown';

export interface Container {
  readonly id: string;
  readonly sandboxId: string;
  readonly name: string;
  readonly attempt: number;
  readonly image: string;
  readonly imageRef: string;
  readonly state: ContainerState;
  readonly createdAtMs: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ContainerStatus extends Omit<Container, 'sandboxId'> {
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly exitCode: number;
  readonly reason: string;
  readonly message: string;
  /** Absolute path on the node. */
  readonly logPath: string;
}

export interface ExecResult {
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  readonly exitCode: number;
}

export interface AttachRequest {
  readonly containerId: string;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

export interface ExecRequest extends AttachRequest {
  readonly command: readonly string[];
}

export interface ContainerStats {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly timestampMs: number;
  readonly cpuUsageCoreNanoseconds: number;
  readonly memoryWorkingSetBytes: number;
  readonly writableLayerUsedBytes: number;
}

export interface Image {
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  readonly sizeBytes: number;
  /** The user the image asks for: a number, or a name that only the image's own passwd file resolves. */
  readonly uid: number | undefined;
  readonly username: string;
}

export interface ImageAuth {
  readonly username: string;
  readonly password: string;
  readonly serverAddress: string;
  readonly identityToken: string;
}

export interface FilesystemUsage {
  readonly mountpoint: string;
  readonly usedBytes: number;
}
