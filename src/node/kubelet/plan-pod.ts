/**
 * What to do next for one pod: pure. The desired pod, what the runtime has of it, what the probes say and the time go
 * in; actions come out, in the order in which they are to be carried out. The worker carries them out, looks again and
 * plans again, until a plan has no actions; so a plan never needs to look further than the next step, and an agent that
 * restarts in the middle goes on from what it finds.
 *
 * Order: sandbox; init containers one after another, sidecars among them started and kept running; app containers
 * together. How a pod ends is in plan-pod-end.ts.
 */
import type { PodSandboxStatus } from '../cri/cri.ts';
import { crashDelayInitialMs, planRestart } from './crash-back-off.ts';
import {
  containerHashAnnotation,
  isAlive,
  type Kill,
  latestRun,
  type PlanInput,
  type PodAction,
  type PodContainer,
  type PodPlan,
} from './plan-pod-contract.ts';
import { planEnd, planRest } from './plan-pod-end.ts';
import {
  apiContainerStatus,
  graceSeconds,
  isTerminalPhase,
  podContainers,
  restartPolicy,
  type SpecContainer,
} from './pod.ts';

// Logs and exit codes of the run before are asked for (`kubectl logs --previous`); older ones are not.
const runsKept = 2;

/** The next step for a pod, whatever state it is in. */
export function planPod(input: PlanInput): PodPlan {
  if (input.end !== undefined) return planEnd(input, input.end);
  if (isTerminalPhase(input.pod)) return planRest(input);
  return new LivePlan(input).plan();
}

/** One pass over a pod that is meant to run. */
class LivePlan {
  readonly #input: PlanInput;
  readonly #actions: PodAction[] = [];
  readonly #waiting = new Map<string, { reason: string; message: string }>();
  readonly #sandbox: PodSandboxStatus | undefined;
  #nextAtMs: number | undefined;

  constructor(input: PlanInput) {
    this.#input = input;
    this.#sandbox = newest(input.runtime.sandboxes);
  }

  plan(): PodPlan {
    if (this.#isFinished()) return planRest(this.#input);
    if (this.#sandbox === undefined || !this.#sandbox.isReady) return this.#planSandbox(this.#sandbox);
    this.#planContainers(this.#sandbox);
    this.#planRemovals(this.#sandbox);
    return this.#result();
  }

  #result(): PodPlan {
    return { actions: this.#actions, waiting: this.#waiting, outcome: 'live', nextAtMs: this.#nextAtMs };
  }

  /** All app containers have ended and none may start again, or an init container has failed for good. */
  #isFinished(): boolean {
    const { pod, runtime } = this.#input;
    const policy = restartPolicy(pod);
    const containers = podContainers(pod);
    const latest = (name: string) => latestRun(runtime.containers.filter((run) => run.name === name));
    if (policy === 'Never') {
      const inits = containers.filter((container) => container.role === 'init');
      const failed = (run: PodContainer | undefined) => run?.state === 'exited' && run.exitCode !== 0;
      if (inits.some((container) => failed(latest(container.name)))) return true;
    }
    return containers
      .filter((container) => container.role === 'app')
      .every((container) => {
        const run = latest(container.name);
        return run?.state === 'exited' && !mayRestart(policy, container, run);
      });
  }

  #planSandbox(dead: PodSandboxStatus | undefined): PodPlan {
    const { pod, runtime } = this.#input;
    const kills = runtime.containers.filter(isAlive).map(
      (container): Kill => ({
        containerId: container.id,
        name: container.name,
        graceSeconds: graceSeconds(pod),
        message: 'Pod sandbox changed, it will be killed and re-created.',
      }),
    );
    if (kills.length > 0) this.#actions.push({ kind: 'killContainers', kills });
    // The network of a dead sandbox is given back before the next one asks for an address.
    if (dead !== undefined) this.#actions.push({ kind: 'stopSandbox', sandboxId: dead.id });
    this.#actions.push({ kind: 'createSandbox', attempt: dead === undefined ? 0 : dead.metadata.attempt + 1 });
    const reason = podContainers(pod).some((container) => container.role === 'init' || container.role === 'sidecar')
      ? 'PodInitializing'
      : 'ContainerCreating';
    for (const container of podContainers(pod)) {
      if (container.role !== 'ephemeral') this.#wait(container, container.role === 'app' ? reason : 'PodInitializing');
    }
    return this.#result();
  }

  #planContainers(sandbox: PodSandboxStatus): void {
    const containers = podContainers(this.#input.pod);
    const inits = containers.filter((container) => container.role === 'init' || container.role === 'sidecar');
    const apps = containers.filter((container) => container.role === 'app');
    const appsBegun = apps.some((container) => this.#current(sandbox, container.name) !== undefined);
    if (appsBegun) {
      for (const sidecar of inits.filter((container) => container.role === 'sidecar')) this.#keep(sandbox, sidecar);
    } else if (!this.#planInits(sandbox, inits)) {
      for (const app of apps) this.#wait(app, 'PodInitializing');
      return;
    }
    for (const app of apps) this.#keep(sandbox, app);
    for (const container of containers.filter((each) => each.role === 'ephemeral')) {
      if (this.#current(sandbox, container.name) === undefined) this.#start(sandbox, container, undefined);
    }
  }

  /** Goes as far as the init containers allow; true when the app containers may start. */
  #planInits(sandbox: PodSandboxStatus, inits: readonly SpecContainer[]): boolean {
    for (const [index, container] of inits.entries()) {
      const run = this.#current(sandbox, container.name);
      if (container.role === 'init' && run?.state === 'exited' && run.exitCode === 0) continue;
      this.#keep(sandbox, container);
      const isUp = container.role === 'sidecar' && run?.state === 'running' && this.#isStarted(run);
      if (isUp) continue;
      for (const later of inits.slice(index + 1)) this.#wait(later, 'PodInitializing');
      return false;
    }
    return true;
  }

  #isStarted(run: PodContainer): boolean {
    const verdict = this.#input.probes.get(run.id);
    return verdict !== undefined && verdict.isStarted && verdict.failed === undefined;
  }

  /** Brings one container to run, or leaves it when it runs as it should. */
  #keep(sandbox: PodSandboxStatus, container: SpecContainer): void {
    const run = this.#current(sandbox, container.name);
    if (run === undefined) {
      this.#start(sandbox, container, this.#latest(container.name));
      return;
    }
    switch (run.state) {
      case 'created':
        // Made by an agent that ended before it could start it; the name is free again once it is removed.
        this.#actions.push({ kind: 'removeContainer', containerId: run.id });
        this.#start(sandbox, container, undefined, run.attempt);
        return;
      case 'unknown':
        this.#kill(container, run, `Container ${run.name} is in an unknown state, it will be restarted`);
        return;
      case 'running':
        this.#keepRunning(container, run);
        return;
      case 'exited':
        if (mayRestart(restartPolicy(this.#input.pod), container, run)) this.#start(sandbox, container, run);
    }
  }

  #keepRunning(container: SpecContainer, run: PodContainer): void {
    const failed = this.#input.probes.get(run.id)?.failed;
    const writtenHash = run.annotations[containerHashAnnotation];
    const ending =
      restartPolicy(this.#input.pod) === 'Never' && container.role !== 'sidecar' ? '' : ', will be restarted';
    if (writtenHash !== undefined && writtenHash !== this.#input.containerHash(container)) {
      this.#kill(container, run, `Container ${run.name} definition changed${ending}`);
    } else if (failed !== undefined) {
      this.#kill(container, run, `Container ${run.name} failed ${failed} probe${ending}`);
    }
  }

  #kill(container: SpecContainer, run: PodContainer, message: string): void {
    const failed = this.#input.probes.get(run.id)?.failed;
    const probe = failed === undefined ? undefined : container.spec[`${failed}Probe`];
    const grace = (probe?.terminationGracePeriodSeconds as number | undefined) ?? graceSeconds(this.#input.pod);
    const kill: Kill = { containerId: run.id, name: run.name, graceSeconds: grace, message };
    this.#actions.push({ kind: 'killContainers', kills: [kill] });
  }

  /** Starts now, or says why it waits. `ended` is the run before, when there was one. */
  #start(
    sandbox: PodSandboxStatus,
    container: SpecContainer,
    ended: PodContainer | undefined,
    sameAttempt?: number,
  ): void {
    const { pod, nowMs } = this.#input;
    const failure = this.#input.startFailures.get(container.name);
    if (failure !== undefined && failure.retryAtMs > nowMs) {
      this.#waiting.set(container.name, { reason: failure.reason, message: failure.message });
      this.#planAgainAt(failure.retryAtMs);
      return;
    }
    let restartDelayMs = 0;
    if (ended !== undefined && ended.state === 'exited') {
      const restart = planRestart(ended);
      if (restart.atMs > nowMs) {
        const who = `${container.name} pod=${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`;
        const message = `back-off ${describeDelay(restart.delayMs)} restarting failed container=${who}`;
        this.#waiting.set(container.name, { reason: 'CrashLoopBackOff', message });
        this.#planAgainAt(restart.atMs);
        return;
      }
      restartDelayMs = restart.nextDelayMs;
    }
    const attempt = sameAttempt ?? this.#nextAttempt(container.name);
    if (attempt > 0 && restartDelayMs === 0) restartDelayMs = crashDelayInitialMs;
    this.#actions.push({ kind: 'startContainer', container, sandboxId: sandbox.id, attempt, restartDelayMs });
    this.#wait(container, container.role === 'app' ? 'ContainerCreating' : 'PodInitializing');
  }

  #nextAttempt(name: string): number {
    const inRuntime = this.#latest(name);
    if (inRuntime !== undefined) return inRuntime.attempt + 1;
    const known = apiContainerStatus(this.#input.pod, name);
    if (known?.containerID === undefined || known.containerID === '') return 0;
    return ((known.restartCount as number | undefined) ?? 0) + 1;
  }

  #current(sandbox: PodSandboxStatus, name: string): PodContainer | undefined {
    return latestRun(this.#input.runtime.containers.filter((run) => run.name === name && run.sandboxId === sandbox.id));
  }

  #latest(name: string): PodContainer | undefined {
    return latestRun(this.#input.runtime.containers.filter((run) => run.name === name));
  }

  /** Sandboxes and runs that nobody will ask for again. */
  #planRemovals(sandbox: PodSandboxStatus): void {
    const { runtime } = this.#input;
    for (const old of runtime.sandboxes) {
      if (old.id !== sandbox.id) this.#actions.push({ kind: 'removeSandbox', sandboxId: old.id });
    }
    const names = new Set(runtime.containers.map((run) => run.name));
    for (const name of names) {
      const runs = runtime.containers.filter((run) => run.name === name && run.sandboxId === sandbox.id);
      runs.sort((a, b) => b.attempt - a.attempt);
      for (const run of runs.slice(runsKept)) {
        if (run.state === 'exited') this.#actions.push({ kind: 'removeContainer', containerId: run.id });
      }
    }
  }

  #wait(container: SpecContainer, reason: string): void {
    if (!this.#waiting.has(container.name)) this.#waiting.set(container.name, { reason, message: '' });
  }

  #planAgainAt(atMs: number): void {
    this.#nextAtMs = Math.min(this.#nextAtMs ?? Number.POSITIVE_INFINITY, atMs);
  }
}

function newest(sandboxes: readonly PodSandboxStatus[]): PodSandboxStatus | undefined {
  return [...sandboxes].sort((a, b) => b.metadata.attempt - a.metadata.attempt || b.createdAtMs - a.createdAtMs)[0];
}

function mayRestart(policy: string, container: SpecContainer, run: PodContainer): boolean {
  switch (container.role) {
    case 'sidecar':
      return true;
    case 'ephemeral':
      return false;
    case 'init':
      return run.exitCode !== 0 && policy !== 'Never';
    case 'app':
      return policy === 'Always' || (policy === 'OnFailure' && run.exitCode !== 0);
  }
}

/** `10s`, `1m20s`, `5m0s`. */
export function describeDelay(delayMs: number): string {
  const seconds = Math.round(delayMs / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
