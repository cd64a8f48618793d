/**
 * How a pod ends: pure. App containers together, then sidecars in reverse, then the sandbox; what a deleted pod leaves in
 * the runtime goes last. Every plan is one step of it.
 */
import type { KubeObject } from '../../control/api/contract.ts';
import {
  isAlive,
  type Kill,
  type PlanInput,
  type PodAction,
  type PodContainer,
  type PodEnd,
  type PodPlan,
} from './plan-pod-contract.ts';
import { graceSeconds, podContainers } from './pod.ts';

// A container gets this long even when its grace is used up, so that it may at least see the signal.
const graceSecondsMin = 2;

/** When the pod's own deadline ends it; undefined when it has none or has not started. */
export function activeDeadlineMs(pod: KubeObject): number | undefined {
  const seconds = pod.spec?.activeDeadlineSeconds as number | undefined;
  const start = pod.status?.startTime as string | undefined;
  return seconds === undefined || start === undefined ? undefined : Date.parse(start) + seconds * 1000;
}

/** The next step for a pod that was told to end. */
export function planEnd(input: PlanInput, end: PodEnd): PodPlan {
  const rest = planShutDown(input, end.startedAtMs + end.graceSeconds * 1000, end.graceSeconds);
  if (rest.outcome === 'live' || end.kind === 'fail') return rest;
  // Deleted: what is left in the runtime goes too. Removing a sandbox removes its containers.
  const actions: PodAction[] = input.runtime.sandboxes.map((sandbox) => ({
    kind: 'removeSandbox',
    sandboxId: sandbox.id,
  }));
  const known = new Set(input.runtime.sandboxes.map((sandbox) => sandbox.id));
  for (const container of input.runtime.containers) {
    if (!known.has(container.sandboxId)) actions.push({ kind: 'removeContainer', containerId: container.id });
  }
  return { ...rest, actions, outcome: actions.length === 0 ? 'gone' : 'ended' };
}

/** A pod that has ended but stays: its containers are kept for their logs. */
export function planRest(input: PlanInput): PodPlan {
  const grace = graceSeconds(input.pod);
  return planShutDown(input, input.nowMs + grace * 1000, grace);
}

function planShutDown(input: PlanInput, deadlineMs: number, grace: number): PodPlan {
  const nothing = { waiting: new Map(), nextAtMs: undefined };
  const remaining = Math.ceil((deadlineMs - input.nowMs) / 1000);
  const seconds = Math.min(Math.max(remaining, Math.min(graceSecondsMin, grace)), Math.max(grace, 1));
  const kill = (container: PodContainer): Kill => ({
    containerId: container.id,
    name: container.name,
    graceSeconds: seconds,
    message: `Stopping container ${container.name}`,
  });
  const alive = input.runtime.containers.filter(isAlive);
  const sidecars = podContainers(input.pod).filter((container) => container.role === 'sidecar');
  const sidecarNames = new Set(sidecars.map((sidecar) => sidecar.name));
  const first = alive.filter((container) => !sidecarNames.has(container.name));
  if (first.length > 0) {
    return { ...nothing, actions: [{ kind: 'killContainers', kills: first.map(kill) }], outcome: 'live' };
  }
  for (const sidecar of [...sidecars].reverse()) {
    const runs = alive.filter((container) => container.name === sidecar.name);
    if (runs.length > 0) {
      return { ...nothing, actions: [{ kind: 'killContainers', kills: runs.map(kill) }], outcome: 'live' };
    }
  }
  const halfMade = input.runtime.containers.filter((container) => container.state === 'created');
  const actions: PodAction[] = [
    ...halfMade.map((container): PodAction => ({ kind: 'removeContainer', containerId: container.id })),
    ...input.runtime.sandboxes
      .filter((sandbox) => sandbox.isReady)
      .map((sandbox): PodAction => ({ kind: 'stopSandbox', sandboxId: sandbox.id })),
  ];
  return { ...nothing, actions, outcome: actions.length === 0 ? 'ended' : 'live' };
}
