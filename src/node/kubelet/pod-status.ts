/**
 * The status of a pod as the API server shall know it: pure. From the pod, what the runtime has, why containers wait and
 * what the probes say. Transition times are kept from the status before while a condition stays as it was.
 */
import type { JsonObject, KubeObject } from '../../control/api/contract.ts';
import { timeFromMs } from '../../control/api/time-text.ts';
import type { PodContainer, PodEnd, PodPlan, ProbeVerdict, RuntimePod } from './plan-pod-contract.ts';
import { latestRun } from './plan-pod-contract.ts';
import {
  apiContainerStatus,
  isTerminalPhase,
  podContainers,
  restartPolicy,
  type SpecContainer,
  usesHostNetwork,
} from './pod.ts';

export interface StatusInput {
  readonly pod: KubeObject;
  readonly runtime: RuntimePod;
  readonly plan: Pick<PodPlan, 'waiting' | 'outcome'>;
  readonly probes: ReadonlyMap<string, ProbeVerdict>;
  readonly end: PodEnd | undefined;
  /** What containers wrote to their termination log, by container id. */
  readonly terminationMessages: ReadonlyMap<string, string>;
  readonly hostIps: readonly string[];
  readonly nowMs: number;
}

export function podStatus(input: StatusInput): JsonObject {
  const { pod } = input;
  const old = (pod.status ?? {}) as JsonObject;
  const statuses = podContainers(pod).map((container) => ({ container, status: containerStatus(input, container) }));
  const inits = statuses.filter(({ container }) => container.role === 'init' || container.role === 'sidecar');
  const apps = statuses.filter(({ container }) => container.role === 'app');
  const ephemeral = statuses.filter(({ container }) => container.role === 'ephemeral');
  const phase = podPhase(input, inits, apps);
  const ips = podIps(input);
  const failed = input.end?.kind === 'fail' ? input.end : undefined;
  const generation = pod.metadata.generation;
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    phase,
    conditions: conditions(input, phase, inits, apps),
    message: failed?.message ?? old.message ?? null,
    reason: failed?.reason ?? old.reason ?? null,
    hostIP: input.hostIps[0] ?? null,
    hostIPs: input.hostIps.map((ip) => ({ ip })),
    podIP: ips[0] ?? null,
    podIPs: ips.length === 0 ? null : ips.map((ip) => ({ ip })),
    startTime: old.startTime ?? timeFromMs(input.nowMs),
    ...(inits.length === 0 ? {} : { initContainerStatuses: inits.map(({ status }) => status) }),
    containerStatuses: apps.map(({ status }) => status),
    ...(ephemeral.length === 0 ? {} : { ephemeralContainerStatuses: ephemeral.map(({ status }) => status) }),
    qosClass: old.qosClass ?? qosClass(pod),
  };
}

interface NamedStatus {
  readonly container: SpecContainer;
  readonly status: JsonObject;
}

function podIps(input: StatusInput): readonly string[] {
  if (usesHostNetwork(input.pod)) return input.hostIps;
  const sandbox = [...input.runtime.sandboxes].sort((a, b) => b.metadata.attempt - a.metadata.attempt)[0];
  if (sandbox?.isReady && sandbox.ips.length > 0) return sandbox.ips;
  // An ended pod keeps the address it had, as long as its object exists.
  return ((input.pod.status?.podIPs ?? []) as { ip: string }[]).map((each) => each.ip);
}

function containerStatus(input: StatusInput, container: SpecContainer): JsonObject {
  const runs = input.runtime.containers
    .filter((run) => run.name === container.name && run.state !== 'created')
    .sort((a, b) => b.attempt - a.attempt);
  const run = latestRun(runs);
  const known = apiContainerStatus(input.pod, container.name);
  const waiting = input.plan.waiting.get(container.name);
  const verdict = run === undefined ? undefined : input.probes.get(run.id);
  const isRunning = run?.state === 'running';
  const isStarted = isRunning && (verdict?.isStarted ?? false);
  const isDone = container.role === 'init' && run?.state === 'exited' && run.exitCode === 0;
  const isReady = container.role === 'init' ? isDone : isRunning && isStarted && (verdict?.isReady ?? false);
  return {
    name: container.name,
    ...states(input, run, runs, known, waiting),
    ready: isReady,
    restartCount: run?.attempt ?? (known?.restartCount as number | undefined) ?? 0,
    image: run?.image || (container.spec.image as string),
    imageID: run?.imageRef ?? known?.imageID ?? '',
    ...(run === undefined && known?.containerID === undefined
      ? {}
      : { containerID: run === undefined ? known?.containerID : `containerd://${run.id}` }),
    started: isStarted,
  };
}

function states(
  input: StatusInput,
  run: PodContainer | undefined,
  runs: readonly PodContainer[],
  known: JsonObject | undefined,
  waiting: { readonly reason: string; readonly message: string } | undefined,
): JsonObject {
  const before = runs.find((other) => other !== run && other.state === 'exited');
  const knownEnd = (known?.lastState as JsonObject | undefined)?.terminated as JsonObject | undefined;
  const lastState = (end: PodContainer | undefined): JsonObject => {
    if (end !== undefined) return { terminated: terminated(input, end) };
    return knownEnd === undefined ? {} : { terminated: knownEnd };
  };
  if (run?.state === 'running') {
    return { state: { running: { startedAt: timeFromMs(run.startedAtMs) } }, lastState: lastState(before) };
  }
  if (run !== undefined) {
    if (waiting !== undefined && input.plan.outcome === 'live') {
      return { state: { waiting: waitingState(waiting) }, lastState: lastState(run) };
    }
    return { state: { terminated: terminated(input, run) }, lastState: lastState(before) };
  }
  const state = (known?.state ?? {}) as JsonObject;
  if (state.terminated !== undefined && waiting === undefined) return { state, lastState: known?.lastState ?? {} };
  if (input.plan.outcome !== 'live' && state.running !== undefined) {
    const lost = {
      exitCode: 137,
      reason: 'ContainerStatusUnknown',
      message: 'The container could not be located when the pod was terminated',
      startedAt: null,
      finishedAt: null,
    };
    return { state: { terminated: lost }, lastState: known?.lastState ?? {} };
  }
  const endedBefore = (state.terminated ?? knownEnd) as JsonObject | undefined;
  return {
    state: { waiting: waitingState(waiting ?? { reason: 'ContainerCreating', message: '' }) },
    lastState: endedBefore === undefined ? {} : { terminated: endedBefore },
  };
}

function waitingState(waiting: { readonly reason: string; readonly message: string }): JsonObject {
  return { reason: waiting.reason, ...(waiting.message === '' ? {} : { message: waiting.message }) };
}

function terminated(input: StatusInput, run: PodContainer): JsonObject {
  const message = input.terminationMessages.get(run.id) || run.message;
  return {
    exitCode: run.exitCode,
    reason: run.reason || (run.exitCode === 0 ? 'Completed' : 'Error'),
    ...(message === '' ? {} : { message }),
    startedAt: run.startedAtMs === 0 ? null : timeFromMs(run.startedAtMs),
    finishedAt: run.finishedAtMs === 0 ? null : timeFromMs(run.finishedAtMs),
    containerID: `containerd://${run.id}`,
  };
}

function podPhase(input: StatusInput, inits: readonly NamedStatus[], apps: readonly NamedStatus[]): string {
  if (isTerminalPhase(input.pod)) return input.pod.status?.phase as string;
  if (input.end?.kind === 'fail') return 'Failed';
  const ended = apps.filter(({ status }) => status.state.terminated !== undefined);
  const policy = restartPolicy(input.pod);
  const initFailed =
    policy === 'Never' &&
    inits.some(({ container, status }) => container.role === 'init' && (status.state.terminated?.exitCode ?? 0) !== 0);
  if (input.plan.outcome !== 'live') {
    if (initFailed) return 'Failed';
    // Containers that never ran do not make a deleted pod a failure of its own; it ends as what did run ended.
    const isSuccess =
      ended.length === apps.length && ended.every(({ status }) => status.state.terminated.exitCode === 0);
    return isSuccess ? 'Succeeded' : 'Failed';
  }
  if (initFailed) return 'Failed';
  const begun = apps.filter(({ status }) => {
    return status.state.waiting === undefined || status.lastState?.terminated !== undefined;
  });
  return begun.length === apps.length ? 'Running' : 'Pending';
}

function conditions(
  input: StatusInput,
  phase: string,
  inits: readonly NamedStatus[],
  apps: readonly NamedStatus[],
): JsonObject[] {
  const { pod } = input;
  const isOver = phase === 'Succeeded' || phase === 'Failed';
  const done = phase === 'Succeeded' ? 'PodCompleted' : 'PodFailed';
  const names = (list: readonly NamedStatus[]) => `[${list.map(({ container }) => container.name).join(' ')}]`;
  const notInitialized = inits.filter(({ container, status }) =>
    container.role === 'sidecar' ? !status.started : status.state.terminated?.exitCode !== 0,
  );
  const appsBegun = apps.some(({ status }) => status.containerID !== undefined);
  const isInitialized = notInitialized.length === 0 || appsBegun || phase === 'Succeeded';
  const serving = [...inits.filter(({ container }) => container.role === 'sidecar'), ...apps];
  const notReady = serving.filter(({ status }) => !status.ready);
  const containersReady: Verdict = isOver
    ? { status: 'False', reason: done }
    : notReady.length === 0
      ? { status: 'True' }
      : {
          status: 'False',
          reason: 'ContainersNotReady',
          message: `containers with unready status: ${names(notReady)}`,
        };
  const sandboxReady = input.runtime.sandboxes.some(
    (sandbox) => sandbox.isReady && (usesHostNetwork(pod) || sandbox.ips.length > 0),
  );
  const initialized: Verdict = isInitialized
    ? { status: 'True', ...(phase === 'Succeeded' ? { reason: done } : {}) }
    : {
        status: 'False',
        reason: 'ContainersNotInitialized',
        message: `containers with incomplete status: ${names(notInitialized)}`,
      };
  return [
    condition(input, 'PodReadyToStartContainers', { status: sandboxReady ? 'True' : 'False' }),
    condition(input, 'Initialized', initialized),
    condition(input, 'Ready', readyVerdict(pod, containersReady)),
    condition(input, 'ContainersReady', containersReady),
    condition(input, 'PodScheduled', { status: 'True' }),
  ];
}

interface Verdict {
  readonly status: 'True' | 'False';
  readonly reason?: string;
  readonly message?: string;
}

/** Ready also asks the pod's own readiness gates. */
function readyVerdict(pod: KubeObject, containersReady: Verdict): Verdict {
  if (containersReady.status !== 'True') return containersReady;
  const gates = (pod.spec?.readinessGates ?? []) as { conditionType: string }[];
  const known = (pod.status?.conditions ?? []) as JsonObject[];
  const closed = gates.filter((gate) => {
    return known.find((each) => each.type === gate.conditionType)?.status !== 'True';
  });
  if (closed.length === 0) return containersReady;
  const message = closed
    .map((gate) => `the status of pod readiness gate "${gate.conditionType}" is not "True"`)
    .join(', ');
  return { status: 'False', reason: 'ReadinessGatesNotReady', message };
}

function condition(input: StatusInput, type: string, verdict: Verdict): JsonObject {
  const old = ((input.pod.status?.conditions ?? []) as JsonObject[]).find((each) => each.type === type);
  const generation = input.pod.metadata.generation;
  return {
    type,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    status: verdict.status,
    lastProbeTime: null,
    lastTransitionTime:
      old?.status === verdict.status && old.lastTransitionTime ? old.lastTransitionTime : timeFromMs(input.nowMs),
    reason: verdict.reason ?? null,
    message: verdict.message ?? null,
  };
}

/** Guaranteed: every container's limits are set and equal its requests; BestEffort: nothing is set anywhere. */
export function qosClass(pod: KubeObject): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const containers = podContainers(pod).filter((container) => container.role !== 'ephemeral');
  const amounts = containers.map(({ spec }) => ({
    requests: (spec.resources?.requests ?? {}) as Record<string, unknown>,
    limits: (spec.resources?.limits ?? {}) as Record<string, unknown>,
  }));
  const isCounted = (name: string) => name === 'cpu' || name === 'memory';
  const isAnySet = amounts.some(({ requests, limits }) => Object.keys({ ...requests, ...limits }).some(isCounted));
  if (!isAnySet) return 'BestEffort';
  const isGuaranteed = amounts.every(({ requests, limits }) =>
    ['cpu', 'memory'].every(
      (name) => limits[name] !== undefined && (requests[name] === undefined || requests[name] === limits[name]),
    ),
  );
  return isGuaranteed ? 'Guaranteed' : 'Burstable';
}
