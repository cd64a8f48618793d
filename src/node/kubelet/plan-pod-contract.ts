/** What a plan for a pod is made from and what it says: data, and the smallest questions about it. */
import type { KubeObject } from '../../control/api/contract.ts';
import type { ContainerStatus, PodSandboxStatus } from '../cri/cri.ts';
import type { SpecContainer } from './pod.ts';

/** On a container in the runtime: what of its specification it was made from. */
export const containerHashAnnotation = 'keelson.io/container-hash';

export interface PodContainer extends ContainerStatus {
  readonly sandboxId: string;
}

/** Everything the runtime has of one pod. */
export interface RuntimePod {
  readonly sandboxes: readonly PodSandboxStatus[];
  readonly containers: readonly PodContainer[];
}

/** What the probes say of one container, by container id. */
export interface ProbeVerdict {
  readonly isStarted: boolean;
  readonly isReady: boolean;
  /** Set when a liveness or startup probe failed for good. */
  readonly failed?: 'liveness' | 'startup';
}

/** A start that failed before there was a container that could crash (image, configuration, hook). */
export interface StartFailure {
  readonly reason: string;
  readonly message: string;
  readonly retryAtMs: number;
}

/** Why a pod must end, other than by itself. */
export type PodEnd =
  | { readonly kind: 'delete'; readonly graceSeconds: number; readonly startedAtMs: number }
  | {
      readonly kind: 'fail';
      readonly graceSeconds: number;
      readonly startedAtMs: number;
      readonly reason: string;
      readonly message: string;
    };

export interface PlanInput {
  readonly pod: KubeObject;
  readonly runtime: RuntimePod;
  readonly probes: ReadonlyMap<string, ProbeVerdict>;
  readonly startFailures: ReadonlyMap<string, StartFailure>;
  readonly end: PodEnd | undefined;
  readonly nowMs: number;
  readonly containerHash: (container: SpecContainer) => string;
}

export interface Kill {
  readonly containerId: string;
  readonly name: string;
  readonly graceSeconds: number;
  readonly message: string;
}

export type PodAction =
  | { readonly kind: 'createSandbox'; readonly attempt: number }
  | { readonly kind: 'stopSandbox'; readonly sandboxId: string }
  | { readonly kind: 'removeSandbox'; readonly sandboxId: string }
  | ({ readonly kind: 'startContainer'; readonly container: SpecContainer; readonly sandboxId: string } & NewRun)
  | { readonly kind: 'removeContainer'; readonly containerId: string }
  /** All at once; done when all have ended. */
  | { readonly kind: 'killContainers'; readonly kills: readonly Kill[] };

export interface NewRun {
  readonly attempt: number;
  readonly restartDelayMs: number;
}

export interface PodPlan {
  readonly actions: readonly PodAction[];
  /** Why a container does not run, by name. */
  readonly waiting: ReadonlyMap<string, { readonly reason: string; readonly message: string }>;
  /** live: runs or will; ended: nothing runs any more and nothing will; gone: nothing is left in the runtime either. */
  readonly outcome: 'live' | 'ended' | 'gone';
  /** When to plan again although nothing changed. */
  readonly nextAtMs: number | undefined;
}

export function isAlive(container: PodContainer): boolean {
  return container.state === 'running' || container.state === 'unknown';
}

/** The last of a container's runs. */
export function latestRun(runs: readonly PodContainer[]): PodContainer | undefined {
  let latest: PodContainer | undefined;
  for (const run of runs) {
    if (latest === undefined || run.attempt > latest.attempt) latest = run;
    else if (run.attempt === latest.attempt && run.createdAtMs > latest.createdAtMs) latest = run;
  }
  return latest;
}
