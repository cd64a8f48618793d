/**
 * Carries out the actions of a plan (plan-pod.ts) for one pod: calls the runtime, makes volumes, runs hooks, records
 * events. What cannot be done now becomes a start failure with a time to try again; it never ends the worker.
 */
import type { JsonObject, KubeObject } from '../../control/api/contract.ts';
import type { EventRecorder } from '../../control/client/index.ts';
import type { Clock } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import { type Cri, CriError, type Mount, type PodSandboxConfig } from '../cri/cri.ts';
import type { HostFiles } from '../volumes/host-files.ts';
import type { ObjectCache } from '../volumes/object-cache.ts';
import type { VolumeManager } from '../volumes/volume-manager.ts';
import { containerConfig, type NodeSettings, sandboxConfig } from './container-config.ts';
import { ContainerConfigError, containerEnvironment, environmentReferences } from './environment.ts';
import { containerField, podSubject } from './event-subject.ts';
import type { HandlerResult } from './handler-network.ts';
import type { HandlerTarget } from './handlers.ts';
import { hostsFile } from './hosts-file.ts';
import { ImageError, type ImageManager, pullPolicy } from './images.ts';
import type { Kill, PodAction, RuntimePod, StartFailure } from './plan-pod-contract.ts';
import { findContainer, type SpecContainer, usesHostNetwork } from './pod.ts';
import { containerResources } from './resources.ts';
import { resolveSubPath } from './sub-path.ts';

export interface SyncWorld {
  readonly cri: Cri;
  readonly clock: Clock;
  readonly log: Log;
  readonly files: HostFiles;
  readonly volumes: VolumeManager;
  readonly objects: ObjectCache;
  readonly images: ImageManager;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly settings: NodeSettings;
  readonly hostIps: readonly string[];
  readonly capacity: { readonly cpuMilli: number; readonly memoryBytes: number };
  /** Takes the pod's empty cgroups away. */
  readonly removeCgroup: (pod: KubeObject) => Promise<void>;
  readonly services: (namespace: string) => readonly KubeObject[];
  readonly runHandler: (target: HandlerTarget, handler: JsonObject, seconds: number) => Promise<HandlerResult>;
}

/** What outlives one pass over a pod. */
export interface SyncMemory {
  readonly startFailures: Map<string, StartFailure>;
  /** Set when no sandbox or no volumes could be made: nothing is tried before this time. */
  retryAtMs: number;
  /** Aborted when the pod is to end: what waits for an image or a hook stops waiting. */
  cancel: AbortController;
}

class Cancelled extends Error {
  override readonly name = 'Cancelled';
}

/** Waits no longer than until `signal` aborts; what was waited for goes on by itself. */
function unlessCancelled<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new Cancelled('the pod is to end'));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

type StartAction = Extract<PodAction, { kind: 'startContainer' }>;

const retryMs = 10_000;
const sandboxRetryMs = 2_000;
const hookTimeoutSeconds = 60;

/** Carries out `actions` in order; true when the world has changed and must be looked at again. */
export async function carryOut(
  world: SyncWorld,
  pod: KubeObject,
  runtime: RuntimePod,
  actions: readonly PodAction[],
  memory: SyncMemory,
): Promise<boolean> {
  let hasChanged = false;
  for (const action of actions) {
    if (memory.cancel.signal.aborted) return true;
    switch (action.kind) {
      case 'createSandbox':
        hasChanged = (await createSandbox(world, pod, action.attempt, memory)) || hasChanged;
        break;
      case 'stopSandbox':
        await world.cri.stopPodSandbox(action.sandboxId);
        hasChanged = true;
        break;
      case 'removeSandbox':
        await world.cri.removePodSandbox(action.sandboxId);
        hasChanged = true;
        break;
      case 'removeContainer':
        await world.cri.removeContainer(action.containerId);
        hasChanged = true;
        break;
      case 'killContainers':
        await Promise.all(action.kills.map((kill) => killContainer(world, pod, runtime, kill)));
        hasChanged = true;
        break;
      case 'startContainer':
        hasChanged = (await startContainer(world, pod, runtime, action, memory)) || hasChanged;
        break;
    }
  }
  return hasChanged;
}

async function createSandbox(world: SyncWorld, pod: KubeObject, attempt: number, memory: SyncMemory): Promise<boolean> {
  const { cri, events, files, volumes } = world;
  // Volumes come first: a pod whose ConfigMap is missing needs no address yet.
  try {
    await volumes.setUp(pod, volumeContext(world, []));
  } catch (error) {
    events.record(podSubject(pod), 'Warning', 'FailedMount', `MountVolume.SetUp failed: ${errorText(error)}`);
    memory.retryAtMs = world.clock.wallMs() + sandboxRetryMs;
    return false;
  }
  const config = sandboxConfig(pod, attempt, world.settings);
  await files.makeDirectory(config.logDirectory, 0o755);
  try {
    await cri.runPodSandbox(config);
    return true;
  } catch (error) {
    if (!(error instanceof CriError)) throw error;
    const message = `Failed to create pod sandbox: ${error.detail}`;
    events.record(podSubject(pod), 'Warning', 'FailedCreatePodSandBox', message);
    world.log.warn('sandbox not made', {
      pod: pod.metadata.name,
      namespace: pod.metadata.namespace,
      error: error.detail,
    });
    memory.retryAtMs = world.clock.wallMs() + sandboxRetryMs;
    return false;
  }
}

export function volumeContext(world: SyncWorld, podIps: readonly string[]) {
  return { podIps, hostIps: world.hostIps, allocatable: world.capacity };
}

async function startContainer(
  world: SyncWorld,
  pod: KubeObject,
  runtime: RuntimePod,
  action: StartAction,
  memory: SyncMemory,
): Promise<boolean> {
  const { container } = action;
  const subject = podSubject(pod, containerField(pod, container.name));
  const failed = (reason: string, message: string, retryAtMs = world.clock.wallMs() + retryMs): false => {
    memory.startFailures.set(container.name, { reason, message, retryAtMs });
    if (reason === 'ImagePullBackOff') world.events.record(subject, 'Normal', 'BackOff', message);
    else world.events.record(subject, 'Warning', 'Failed', `Error: ${reason === 'ErrImagePull' ? reason : message}`);
    return false;
  };
  let containerId: string;
  try {
    containerId = await createContainer(world, pod, runtime, action, memory.cancel.signal);
  } catch (error) {
    if (error instanceof ImageError) {
      // Looked at again soon, when the image's own back-off is what the container waits for.
      const soonMs = world.clock.wallMs() + 1000;
      return failed(error.reason, error.message, error.reason === 'ErrImagePull' ? soonMs : error.retryAtMs);
    }
    if (error instanceof Cancelled) return false;
    if (error instanceof ContainerConfigError) return failed(error.reason, error.message);
    return failed('CreateContainerError', error instanceof CriError ? error.detail : errorText(error));
  }
  world.events.record(subject, 'Normal', 'Created', `Created container: ${container.name}`);
  try {
    await world.cri.startContainer(containerId);
  } catch (error) {
    // The runtime keeps it as an ended container with the reason: from here on it counts as a crash.
    const detail = error instanceof CriError ? error.detail : errorText(error);
    memory.startFailures.delete(container.name);
    world.events.record(subject, 'Warning', 'Failed', `Error: ${detail}`);
    return true;
  }
  memory.startFailures.delete(container.name);
  world.events.record(subject, 'Normal', 'Started', `Started container ${container.name}`);
  await runPostStart(world, pod, runtime, container, containerId, memory.cancel.signal);
  return true;
}

async function runPostStart(
  world: SyncWorld,
  pod: KubeObject,
  runtime: RuntimePod,
  container: SpecContainer,
  containerId: string,
  cancel: AbortSignal,
): Promise<void> {
  const hook = container.spec.lifecycle?.postStart as JsonObject | undefined;
  if (hook === undefined || hook === null) return;
  const target = { containerId, podIp: podIp(world, pod, runtime), spec: container.spec };
  const result = await unlessCancelled(world.runHandler(target, hook, hookTimeoutSeconds), cancel).catch((error) => {
    if (error instanceof Cancelled) return undefined;
    throw error;
  });
  if (result === undefined || result.isSuccess) return;
  const subject = podSubject(pod, containerField(pod, container.name));
  world.events.record(subject, 'Warning', 'FailedPostStartHook', `PostStartHook failed: ${result.message}`);
  await killContainer(world, pod, runtime, {
    containerId,
    name: container.name,
    graceSeconds: 2,
    message: `FailedPostStartHook`,
  });
}

function podIp(world: SyncWorld, pod: KubeObject, runtime: RuntimePod): string {
  if (usesHostNetwork(pod)) return world.hostIps[0] ?? '';
  return runtime.sandboxes.find((sandbox) => sandbox.isReady)?.ips[0] ?? '';
}

async function createContainer(
  world: SyncWorld,
  pod: KubeObject,
  runtime: RuntimePod,
  action: StartAction,
  cancel: AbortSignal,
): Promise<string> {
  const { container } = action;
  const sandboxStatus = runtime.sandboxes.find((sandbox) => sandbox.id === action.sandboxId);
  const sandbox = sandboxConfig(pod, sandboxStatus?.metadata.attempt ?? 0, world.settings);
  const { image } = await unlessCancelled(ensureImage(world, pod, container, sandbox), cancel);
  const podIps = usesHostNetwork(pod) ? world.hostIps : (sandboxStatus?.ips ?? []);
  const env = await environment(world, pod, container, podIps);
  const terminationFile = `${world.volumes.podDirectory(pod.metadata.uid)}/containers/${container.name}/${action.attempt}`;
  const { mounts, devices } = await containerMounts(world, pod, container, podIps, terminationFile, env);
  const target = container.spec.targetContainerName as string | undefined;
  const targetId = runtime.containers.find((run) => run.name === target && run.state === 'running')?.id;
  await world.files.makeDirectory(`${sandbox.logDirectory}/${container.name}`, 0o755);
  const config = containerConfig({
    pod,
    container,
    attempt: action.attempt,
    restartDelayMs: action.restartDelayMs,
    image,
    env,
    mounts,
    devices,
    resources: containerResources(pod, container.spec, world.capacity.memoryBytes),
    terminationFile,
    targetId,
  });
  return world.cri.createContainer(action.sandboxId, config, sandbox);
}

async function ensureImage(world: SyncWorld, pod: KubeObject, container: SpecContainer, sandbox: PodSandboxConfig) {
  const image = container.spec.image as string;
  const subject = podSubject(pod, containerField(pod, container.name));
  const names = ((pod.spec?.imagePullSecrets ?? []) as { name: string }[]).map((reference) => reference.name);
  const secrets = await world.objects.secrets(pod.metadata.namespace ?? '', names);
  const policy = pullPolicy(container.spec.imagePullPolicy, image);
  const request = { image, policy, secrets: [...secrets.values()], sandbox };
  try {
    const result = await world.images.ensure(request, () => {
      world.events.record(subject, 'Normal', 'Pulling', `Pulling image "${image}"`);
    });
    const message = result.wasPulled
      ? `Successfully pulled image "${image}" in ${Math.round(result.pullMs)}ms. Image size: ${result.image.sizeBytes} bytes.`
      : `Container image "${image}" already present on machine`;
    world.events.record(subject, 'Normal', 'Pulled', message);
    return result;
  } catch (error) {
    if (error instanceof ImageError && error.reason === 'ErrImagePull') {
      world.events.record(subject, 'Warning', 'Failed', `Failed to pull image "${image}": ${error.message}`);
    }
    throw error;
  }
}

async function environment(
  world: SyncWorld,
  pod: KubeObject,
  container: SpecContainer,
  podIps: readonly string[],
): Promise<{ name: string; value: string }[]> {
  const references = environmentReferences(container.spec);
  const namespace = pod.metadata.namespace ?? '';
  const [configMaps, secrets] = await Promise.all([
    world.objects.configMaps(namespace, references.configMaps),
    world.objects.secrets(namespace, references.secrets),
  ]);
  const services = world.services(namespace).filter((service) => {
    const isMaster = service.metadata.namespace === 'default' && service.metadata.name === 'kubernetes';
    return isMaster || pod.spec?.enableServiceLinks !== false;
  });
  return containerEnvironment(
    { pod, container: container.spec, podIps, hostIps: world.hostIps, allocatable: world.capacity },
    { configMap: (name) => configMaps.get(name), secret: (name) => secrets.get(name), services },
  );
}

async function containerMounts(
  world: SyncWorld,
  pod: KubeObject,
  container: SpecContainer,
  podIps: readonly string[],
  terminationFile: string,
  env: readonly { readonly name: string; readonly value: string }[],
) {
  const { files, volumes } = world;
  const paths = await volumes.setUp(pod, volumeContext(world, podIps));
  const mounts: Mount[] = [];
  for (const mount of (container.spec.volumeMounts ?? []) as JsonObject[]) {
    const base = paths.get(mount.name);
    if (base === undefined)
      throw new ContainerConfigError(`volume "${mount.name}" of the mount ${mount.mountPath} is not in the pod`);
    mounts.push({
      containerPath: mount.mountPath,
      hostPath: await resolveSubPath(files, base, mount, env),
      readonly: mount.readOnly === true,
      propagation:
        mount.mountPropagation === 'Bidirectional'
          ? 'bidirectional'
          : mount.mountPropagation === 'HostToContainer'
            ? 'hostToContainer'
            : 'private',
    });
  }
  const isTaken = (path: string) => mounts.some((mount) => mount.containerPath === path);
  if (!usesHostNetwork(pod) && !isTaken('/etc/hosts')) {
    const hostPath = `${volumes.podDirectory(pod.metadata.uid)}/etc-hosts`;
    await files.writeFile(hostPath, hostsFile(pod, podIps, world.settings.clusterDomain), 0o644);
    mounts.push({ containerPath: '/etc/hosts', hostPath, readonly: false, propagation: 'private' });
  }
  const terminationPath = (container.spec.terminationMessagePath as string | undefined) ?? '/dev/termination-log';
  await files.makeDirectory(terminationFile.slice(0, terminationFile.lastIndexOf('/')), 0o755);
  // Any user inside may write it.
  await files.writeFile(terminationFile, '', 0o666);
  mounts.push({ containerPath: terminationPath, hostPath: terminationFile, readonly: false, propagation: 'private' });
  return { mounts, devices: [] };
}

/** preStop, then the stop signal, all within the grace. */
async function killContainer(world: SyncWorld, pod: KubeObject, runtime: RuntimePod, kill: Kill): Promise<void> {
  const container = findContainer(pod, kill.name);
  const subject = podSubject(pod, container === undefined ? undefined : containerField(pod, kill.name));
  world.events.record(subject, 'Normal', 'Killing', kill.message);
  const beganAtMs = world.clock.monotonicMs();
  const hook = container?.spec.lifecycle?.preStop as JsonObject | undefined;
  if (hook && kill.graceSeconds > 0) {
    const target = { containerId: kill.containerId, podIp: podIp(world, pod, runtime), spec: container?.spec ?? {} };
    let cancelLimit = () => {};
    const limit = new Promise<undefined>((resolve) => {
      cancelLimit = world.clock.after(kill.graceSeconds * 1000, () => resolve(undefined));
    });
    const result = await Promise.race([world.runHandler(target, hook, kill.graceSeconds), limit]);
    cancelLimit();
    if (result !== undefined && !result.isSuccess) {
      world.events.record(subject, 'Warning', 'FailedPreStopHook', `PreStopHook failed: ${result.message}`);
    }
  }
  const usedSeconds = (world.clock.monotonicMs() - beganAtMs) / 1000;
  // A hook that used the grace up leaves the container two seconds, as upstream does.
  const left = Math.max(kill.graceSeconds - usedSeconds, Math.min(2, kill.graceSeconds));
  await world.cri.stopContainer(kill.containerId, left);
}
