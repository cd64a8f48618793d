/**
 * The contract of cri.ts over CRI v1 gRPC on a unix socket (adapter: the one file of the node agent that opens it).
 *
 * Every call has a deadline. Calls that may rightly take long (image pull, waiting for a container to stop, commands)
 * get theirs from what they wait for. The connection is made when first needed and again when it was lost: a call made
 * while the runtime is down rejects with UNAVAILABLE at once instead of waiting for it.
 */
import * as grpc from '@grpc/grpc-js';
import descriptor from '../../../proto/gen/cri.json' with { type: 'json' };
import { assert } from '../../env/assert.ts';
import { loadService } from '../../proto/grpc-service.ts';
import type {
  AttachRequest,
  Container,
  ContainerConfig,
  ContainerStats,
  ContainerStatus,
  Cri,
  ExecRequest,
  ExecResult,
  FilesystemUsage,
  Image,
  ImageAuth,
  LabelFilter,
  PodSandbox,
  PodSandboxConfig,
  PodSandboxStatus,
  RuntimeStatus,
  RuntimeVersion,
} from './cri.ts';
import { CriError } from './cri.ts';
import {
  containerConfigToWire,
  containerFromWire,
  containerStatusFromWire,
  filesystemFromWire,
  imageFromWire,
  sandboxConfigToWire,
  sandboxFromWire,
  sandboxStatusFromWire,
  statsFromWire,
} from './cri-wire.ts';

export interface GrpcCriOptions {
  /** `unix:///run/containerd/containerd.sock`, or the path alone. */
  readonly endpoint: string;
  readonly nowMs: () => number;
}

// Reads are a few milliseconds; what changes a sandbox runs CNI plugins, which may wait for a lock of another sandbox.
const readTimeoutMs = 10_000;
const changeTimeoutMs = 240_000;
// A registry may be far away and an image large; a pull that stalls is cut by the runtime's own progress timeout.
const pullTimeoutMs = 900_000;
// A List of a full node (110 pods) is far below; the limit keeps a broken runtime from filling the memory.
const messageBytesMax = 16 * 1024 * 1024;

// biome-ignore lint: decoded messages are known only to their descriptor
type Message = Record<string, any>;
type UnaryCall = (
  request: Message,
  options: { deadline: number },
  done: (error: grpc.ServiceError | null, response: Message) => void,
) => void;
type ServiceClient = grpc.Client & Record<string, UnaryCall>;

function connect(address: string, service: string): ServiceClient {
  const Constructor = grpc.makeGenericClientConstructor(loadService(descriptor, service), service);
  return new Constructor(address, grpc.credentials.createInsecure(), {
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.max_send_message_length': messageBytesMax,
    'grpc.default_authority': 'localhost',
    'grpc.initial_reconnect_backoff_ms': 200,
    'grpc.max_reconnect_backoff_ms': 2000,
  }) as unknown as ServiceClient;
}

export class GrpcCri implements Cri {
  readonly #runtime: ServiceClient;
  readonly #images: ServiceClient;
  readonly #nowMs: () => number;

  constructor(options: GrpcCriOptions) {
    const path = options.endpoint.replace(/^unix:(\/\/)?/, '');
    assert(path.startsWith('/'), () => `the runtime endpoint must be an absolute socket path, not ${options.endpoint}`);
    this.#runtime = connect(`unix:${path}`, 'runtime.v1.RuntimeService');
    this.#images = connect(`unix:${path}`, 'runtime.v1.ImageService');
    this.#nowMs = options.nowMs;
  }

  async version(): Promise<RuntimeVersion> {
    const answer = await this.#call('Version', { version: '0.1.0' });
    return { runtimeName: answer.runtimeName, runtimeVersion: answer.runtimeVersion };
  }

  async status(): Promise<RuntimeStatus> {
    const answer = await this.#call('Status', {});
    const conditions: readonly Message[] = answer.status?.conditions ?? [];
    return {
      conditions: conditions.map(({ type, status, reason, message }) => ({ type, status, reason, message })),
    };
  }

  async runPodSandbox(config: PodSandboxConfig, runtimeHandler = ''): Promise<string> {
    const request = { config: sandboxConfigToWire(config), runtimeHandler };
    return (await this.#call('RunPodSandbox', request, changeTimeoutMs)).podSandboxId;
  }

  async stopPodSandbox(sandboxId: string): Promise<void> {
    await this.#callUnlessGone('StopPodSandbox', { podSandboxId: sandboxId }, changeTimeoutMs);
  }

  async removePodSandbox(sandboxId: string): Promise<void> {
    await this.#callUnlessGone('RemovePodSandbox', { podSandboxId: sandboxId }, changeTimeoutMs);
  }

  async podSandboxStatus(sandboxId: string): Promise<PodSandboxStatus | undefined> {
    const answer = await this.#callUnlessGone('PodSandboxStatus', { podSandboxId: sandboxId });
    return answer?.status ? sandboxStatusFromWire(answer.status) : undefined;
  }

  async listPodSandboxes(filter: LabelFilter = {}): Promise<readonly PodSandbox[]> {
    const answer = await this.#call('ListPodSandbox', { filter: { labelSelector: { ...filter.labels } } });
    return (answer.items as Message[]).map(sandboxFromWire);
  }

  async createContainer(sandboxId: string, config: ContainerConfig, sandbox: PodSandboxConfig): Promise<string> {
    const request = {
      podSandboxId: sandboxId,
      config: containerConfigToWire(config),
      sandboxConfig: sandboxConfigToWire(sandbox),
    };
    return (await this.#call('CreateContainer', request, changeTimeoutMs)).containerId;
  }

  async startContainer(containerId: string): Promise<void> {
    await this.#call('StartContainer', { containerId }, changeTimeoutMs);
  }

  async stopContainer(containerId: string, timeoutSeconds: number): Promise<void> {
    const request = { containerId, timeout: Math.ceil(timeoutSeconds) };
    await this.#callUnlessGone('StopContainer', request, timeoutSeconds * 1000 + changeTimeoutMs);
  }

  async removeContainer(containerId: string): Promise<void> {
    await this.#callUnlessGone('RemoveContainer', { containerId }, changeTimeoutMs);
  }

  async containerStatus(containerId: string): Promise<ContainerStatus | undefined> {
    const answer = await this.#callUnlessGone('ContainerStatus', { containerId });
    return answer?.status ? containerStatusFromWire(answer.status) : undefined;
  }

  async listContainers(filter: LabelFilter & { readonly sandboxId?: string } = {}): Promise<readonly Container[]> {
    const answer = await this.#call('ListContainers', {
      filter: { labelSelector: { ...filter.labels }, podSandboxId: filter.sandboxId ?? '' },
    });
    return (answer.containers as Message[]).map(containerFromWire);
  }

  async reopenContainerLog(containerId: string): Promise<void> {
    await this.#call('ReopenContainerLog', { containerId });
  }

  async execSync(containerId: string, command: readonly string[], timeoutSeconds: number): Promise<ExecResult> {
    const limitMs = timeoutSeconds === 0 ? changeTimeoutMs : timeoutSeconds * 1000 + readTimeoutMs;
    const request = { containerId, cmd: [...command], timeout: timeoutSeconds };
    const answer = await this.#call('ExecSync', request, limitMs);
    return { stdout: answer.stdout, stderr: answer.stderr, exitCode: answer.exitCode };
  }

  async exec(request: ExecRequest): Promise<string> {
    const { command, ...rest } = request;
    return (await this.#call('Exec', { ...rest, cmd: [...command] })).url;
  }

  async attach(request: AttachRequest): Promise<string> {
    return (await this.#call('Attach', { ...request })).url;
  }

  async portForward(sandboxId: string, ports: readonly number[]): Promise<string> {
    return (await this.#call('PortForward', { podSandboxId: sandboxId, port: [...ports] })).url;
  }

  async listContainerStats(filter: LabelFilter = {}): Promise<readonly ContainerStats[]> {
    const answer = await this.#call('ListContainerStats', { filter: { labelSelector: { ...filter.labels } } });
    return (answer.stats as Message[]).map(statsFromWire);
  }

  async listImages(): Promise<readonly Image[]> {
    const answer = await this.#call('ListImages', {});
    return (answer.images as Message[]).map(imageFromWire);
  }

  async imageStatus(image: string): Promise<Image | undefined> {
    const answer = await this.#callUnlessGone('ImageStatus', { image: { image } });
    return answer?.image ? imageFromWire(answer.image) : undefined;
  }

  async pullImage(image: string, auth: ImageAuth | undefined, sandbox: PodSandboxConfig | undefined): Promise<string> {
    const request = {
      image: { image },
      ...(auth === undefined ? {} : { auth: { ...auth } }),
      ...(sandbox === undefined ? {} : { sandboxConfig: sandboxConfigToWire(sandbox) }),
    };
    return (await this.#call('PullImage', request, pullTimeoutMs)).imageRef;
  }

  async removeImage(image: string): Promise<void> {
    await this.#callUnlessGone('RemoveImage', { image: { image } }, changeTimeoutMs);
  }

  async imageFsInfo(): Promise<readonly FilesystemUsage[]> {
    return ((await this.#call('ImageFsInfo', {})).imageFilesystems as Message[]).map(filesystemFromWire);
  }

  close(): void {
    this.#runtime.close();
    this.#images.close();
  }

  #call(method: string, request: Message, timeoutMs = readTimeoutMs): Promise<Message> {
    const client = imageMethods.has(method) ? this.#images : this.#runtime;
    const call = client[method];
    assert(typeof call === 'function', () => `the CRI service has no method ${method}`);
    return new Promise((resolve, reject) => {
      call.call(client, request, { deadline: this.#nowMs() + timeoutMs }, (error, response) => {
        if (error === null) resolve(response);
        else
          reject(new CriError(grpc.status[error.code] ?? String(error.code), method, error.details, { cause: error }));
      });
    });
  }

  /** NOT_FOUND counts as done: undefined. */
  async #callUnlessGone(method: string, request: Message, timeoutMs?: number): Promise<Message | undefined> {
    try {
      return await this.#call(method, request, timeoutMs);
    } catch (error) {
      if (error instanceof CriError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }
}

const imageMethods: ReadonlySet<string> = new Set([
  'ListImages',
  'ImageStatus',
  'PullImage',
  'RemoveImage',
  'ImageFsInfo',
]);
