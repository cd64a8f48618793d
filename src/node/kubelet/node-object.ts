/** The Node object and its status: pure. From what was read of the machine and the runtime. */
import type { JsonObject, KubeObject } from '../../control/api/contract.ts';
import { timeFromMs } from '../../control/api/time-text.ts';
import type { RuntimeStatus, RuntimeVersion } from '../cri/cri.ts';

export interface MachineFacts {
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly memoryAvailableBytes: number;
  readonly storageBytes: number;
  readonly storageFreeBytes: number;
  readonly machineId: string;
  readonly systemUuid: string;
  readonly bootId: string;
  readonly kernelVersion: string;
  readonly osImage: string;
  /** As images call it: amd64, arm64. */
  readonly architecture: string;
}

export interface NodeIdentity {
  readonly nodeName: string;
  readonly nodeIp: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  readonly kubeletPort: number;
  readonly kubeletVersion: string;
  readonly podsMax: number;
}

export interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
}

export interface StatusFacts {
  readonly machine: MachineFacts;
  readonly runtimeVersion: RuntimeVersion | undefined;
  /** undefined when the runtime did not answer; `runtimeError` says why. */
  readonly runtime: RuntimeStatus | undefined;
  readonly runtimeError: string;
  readonly images: readonly { readonly names: readonly string[]; readonly sizeBytes: number }[];
  readonly nowMs: number;
}

// Upstream's hard eviction thresholds.
const memoryPressureBytes = 100 * 2 ** 20;
const diskPressureShare = 0.1;
// As upstream: the scheduler looks at the largest only.
const imagesMax = 50;
const imageNamesMax = 5;

/** The Node as it is first registered. */
export function newNode(identity: NodeIdentity, facts: StatusFacts): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: identity.nodeName, labels: nodeLabels(identity, facts.machine) },
    spec: identity.taints.length === 0 ? {} : { taints: identity.taints.map((taint) => ({ ...taint })) },
    status: nodeStatus(identity, facts, undefined),
  };
}

/** Labels that the agent keeps as they should be; those of others are left alone. */
export function nodeLabels(identity: NodeIdentity, machine: MachineFacts): Record<string, string> {
  return {
    'kubernetes.io/hostname': identity.nodeName,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': machine.architecture,
    'beta.kubernetes.io/os': 'linux',
    'beta.kubernetes.io/arch': machine.architecture,
    ...identity.labels,
  };
}

export function nodeStatus(identity: NodeIdentity, facts: StatusFacts, old: KubeObject | undefined): JsonObject {
  const { machine } = facts;
  const capacity = {
    cpu: String(machine.cpuCount),
    memory: `${Math.floor(machine.memoryBytes / 1024)}Ki`,
    'ephemeral-storage': `${Math.floor(machine.storageBytes / 1024)}Ki`,
    pods: String(identity.podsMax),
  };
  const runtime = facts.runtimeVersion;
  return {
    capacity,
    allocatable: {
      ...capacity,
      'ephemeral-storage': String(Math.floor(machine.storageBytes * (1 - diskPressureShare))),
      memory: `${Math.max(0, Math.floor((machine.memoryBytes - memoryPressureBytes) / 1024))}Ki`,
    },
    conditions: nodeConditions(facts, old),
    addresses: [
      { type: 'InternalIP', address: identity.nodeIp },
      { type: 'Hostname', address: identity.nodeName },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: identity.kubeletPort } },
    nodeInfo: {
      machineID: machine.machineId,
      systemUUID: machine.systemUuid,
      bootID: machine.bootId,
      kernelVersion: machine.kernelVersion,
      osImage: machine.osImage,
      containerRuntimeVersion: runtime === undefined ? '' : `${runtime.runtimeName}://${runtime.runtimeVersion}`,
      kubeletVersion: identity.kubeletVersion,
      kubeProxyVersion: '',
      operatingSystem: 'linux',
      architecture: machine.architecture,
    },
    images: [...facts.images]
      .sort((a, b) => b.sizeBytes - a.sizeBytes)
      .slice(0, imagesMax)
      .map((image) => ({ names: image.names.slice(0, imageNamesMax), sizeBytes: image.sizeBytes })),
  };
}

function nodeConditions(facts: StatusFacts, old: KubeObject | undefined): JsonObject[] {
  const { machine } = facts;
  const isMemoryShort = machine.memoryAvailableBytes < memoryPressureBytes;
  const isDiskShort = machine.storageFreeBytes < machine.storageBytes * diskPressureShare;
  const ready = readyCondition(facts);
  const all = [
    pressure('MemoryPressure', isMemoryShort, 'KubeletHasInsufficientMemory', 'KubeletHasSufficientMemory', 'memory'),
    pressure('DiskPressure', isDiskShort, 'KubeletHasDiskPressure', 'KubeletHasNoDiskPressure', 'disk'),
    pressure('PIDPressure', false, 'KubeletHasInsufficientPID', 'KubeletHasSufficientPID', 'PID'),
    ready,
  ];
  const now = timeFromMs(facts.nowMs);
  const known = (old?.status?.conditions ?? []) as JsonObject[];
  return all.map((condition) => {
    const before = known.find((each) => each.type === condition.type);
    const isSame = before?.status === condition.status;
    return { ...condition, lastHeartbeatTime: now, lastTransitionTime: (isSame && before?.lastTransitionTime) || now };
  });
}

function pressure(type: string, isShort: boolean, badReason: string, goodReason: string, what: string): JsonObject {
  const text = { memory: 'sufficient memory available', disk: 'no disk pressure', PID: 'sufficient PID available' };
  const bad = { memory: 'insufficient memory available', disk: 'disk pressure', PID: 'insufficient PID available' };
  return {
    type,
    status: isShort ? 'True' : 'False',
    reason: isShort ? badReason : goodReason,
    message: `kubelet has ${(isShort ? bad : text)[what as keyof typeof text]}`,
  };
}

function readyCondition(facts: StatusFacts): JsonObject {
  const problems: string[] = [];
  if (facts.runtime === undefined) problems.push(`container runtime is down: ${facts.runtimeError}`);
  for (const condition of facts.runtime?.conditions ?? []) {
    if (condition.status) continue;
    if (condition.type === 'RuntimeReady' || condition.type === 'NetworkReady') {
      const what = condition.type === 'NetworkReady' ? 'container runtime network' : 'container runtime';
      const why = `${condition.type}=false reason:${condition.reason} message:${condition.message}`;
      problems.push(`${what} not ready: ${why}`);
    }
  }
  if (problems.length > 0) {
    return { type: 'Ready', status: 'False', reason: 'KubeletNotReady', message: `[${problems.join(', ')}]` };
  }
  return { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' };
}

/** Whether two statuses differ in anything but the heartbeat. */
export function hasStatusChanged(before: JsonObject | undefined, after: JsonObject): boolean {
  const withoutHeartbeat = (status: JsonObject | undefined) =>
    JSON.stringify({
      ...status,
      conditions: ((status?.conditions ?? []) as JsonObject[]).map(({ lastHeartbeatTime: _, ...rest }) => rest),
    });
  return withoutHeartbeat(before) !== withoutHeartbeat(after);
}

/** `key=value:Effect`, `key:Effect` and `key=:Effect`. undefined when it is neither. */
export function parseTaint(text: string): Taint | undefined {
  const match = /^([^=:]+)(?:=([^:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)$/.exec(text);
  if (match === null) return undefined;
  const [, key, value, effect] = match as unknown as [string, string, string | undefined, string];
  return { key, ...(value === undefined || value === '' ? {} : { value }), effect };
}
