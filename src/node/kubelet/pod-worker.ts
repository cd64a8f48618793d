/**
 * One pod's loop: look at the runtime, plan, publish the status, carry out, again until there is nothing to do; then wait
 * to be woken (the pod changed, the runtime changed, a probe's verdict changed, a time has come). One worker per pod uid,
 * so nothing else touches the pod's containers.
 *
 * It ends when nothing of the pod is left on the node and the API server knows the pod no more.
 */
import type { JsonObject, KubeObject } from '../../control/api/contract.ts';
import { type ApiClient, hasReason, isConflict, isNotFound, resources } from '../../control/client/index.ts';
import { InvariantViolation } from '../../env/assert.ts';
import { errorText } from '../../env/errors.ts';
import { containerHash, podLogDirectory } from './container-config.ts';
import { containerField, podSubject } from './event-subject.ts';
import { inspectPod, terminationMessage } from './inspect.ts';
import { planPod } from './plan-pod.ts';
import { latestRun, type PlanInput, type PodEnd, type PodPlan, type RuntimePod } from './plan-pod-contract.ts';
import { activeDeadlineMs } from './plan-pod-end.ts';
import { findContainer, graceSeconds, isTerminalPhase, podKey, usesHostNetwork } from './pod.ts';
import { podStatus } from './pod-status.ts';
import type { ProbeManager } from './probes.ts';
import type { StatusManager } from './status-manager.ts';
import { carryOut, type SyncMemory, type SyncWorld, volumeContext } from './sync-pod.ts';

export interface PodWorkerWorld {
  readonly sync: SyncWorld;
  readonly client: ApiClient;
  readonly statuses: StatusManager;
  readonly probes: ProbeManager;
  /** First time the pod's containers all run. */
  readonly onStarted: (pod: KubeObject) => void;
  readonly onDone: (podUid: string) => void;
}

// Looks even when nothing calls: volumes are brought up to date, and a lost wake-up costs no more than this.
const resyncMs = 20_000;
const errorRetryMs = 3_000;
// Init containers tend to be short, and the next one waits for the end: the runtime is asked more often for a while.
const initPollMs = 250;
const initPollForMs = 15_000;
// A plan whose actions change nothing is a bug; the loop must not spin on it.
const passesMax = 50;

export class PodWorker {
  readonly uid: string;
  readonly #world: PodWorkerWorld;
  readonly #memory: SyncMemory = { startFailures: new Map(), retryAtMs: 0, cancel: new AbortController() };
  readonly #messages = new Map<string, string>();
  #pod: KubeObject;
  /** Not in the API (any more): nothing is reported, only cleaned up. */
  #isOrphan = false;
  #isCleaned = false;
  #end: PodEnd | undefined;
  #lastStatus: JsonObject | undefined;
  #hasStarted = false;
  /** Container ids whose back-off has been told in an event. */
  readonly #toldBackOff = new Set<string>();
  #wake: (() => void) | undefined;
  #isWoken = false;

  constructor(world: PodWorkerWorld, pod: KubeObject, isOrphan: boolean) {
    this.#world = world;
    this.#pod = pod;
    this.#isOrphan = isOrphan;
    this.uid = pod.metadata.uid;
    this.#hasStarted = pod.status?.phase !== undefined && pod.status.phase !== 'Pending';
  }

  get pod(): KubeObject {
    return this.#pod;
  }

  update(pod: KubeObject): void {
    this.#pod = pod;
    this.#isOrphan = false;
    this.#noticeEnd();
    this.wake();
  }

  /** The API server knows the pod no more. */
  removed(): void {
    this.#isOrphan = true;
    this.#noticeEnd();
    this.wake();
  }

  wake(): void {
    this.#isWoken = true;
    this.#wake?.();
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#noticeEnd();
    while (!signal.aborted) {
      this.#isWoken = false;
      let nextMs: number;
      try {
        const result = await this.#passes(signal);
        if (result === 'done') return;
        nextMs = result;
      } catch (error) {
        // A broken belief ends the process; everything else is tried again.
        if (error instanceof InvariantViolation) throw error;
        this.#log('pod not synchronized', error);
        nextMs = errorRetryMs;
      }
      await this.#wait(nextMs, signal);
    }
  }

  /** Sees that the pod must end; what the worker waits for meanwhile is cut short. */
  #noticeEnd(): void {
    const { metadata } = this.#pod;
    if (!this.#isOrphan && metadata.deletionTimestamp === undefined) return;
    const grace = graceSeconds(this.#pod);
    const before = this.#end;
    if (before?.kind === 'delete' && before.graceSeconds <= grace) return;
    this.#end = { kind: 'delete', graceSeconds: grace, startedAtMs: this.#world.sync.clock.wallMs() };
    this.#memory.cancel.abort();
    if (before?.kind === 'delete') {
      void this.#hurry(grace).catch((error) => this.#log('containers not hurried', error));
    }
  }

  /** The grace became shorter while containers were being stopped. */
  async #hurry(grace: number): Promise<void> {
    const { cri } = this.#world.sync;
    const runtime = await inspectPod(cri, this.uid);
    const running = runtime.containers.filter((run) => run.state === 'running');
    await Promise.all(running.map((run) => cri.stopContainer(run.id, grace)));
  }

  /** Milliseconds until the next look, or `done`. */
  async #passes(signal: AbortSignal): Promise<number | 'done'> {
    for (let pass = 0; pass < passesMax && !signal.aborted; pass++) {
      if (this.#isCleaned) return this.#isOrphan ? this.#done() : resyncMs;
      if (this.#end !== undefined && this.#memory.cancel.signal.aborted) this.#memory.cancel = new AbortController();
      const input = await this.#observe();
      const plan = planPod(input);
      this.#publish(input, plan);
      if (plan.outcome === 'gone') {
        await this.#cleanUp();
        continue;
      }
      const nowMs = this.#world.sync.clock.wallMs();
      const isHeldBack = nowMs < this.#memory.retryAtMs && plan.actions.some((each) => each.kind === 'createSandbox');
      if (isHeldBack) return this.#memory.retryAtMs - nowMs;
      const pod = input.pod;
      const hasChanged = await carryOut(this.#world.sync, pod, input.runtime, plan.actions, this.#memory);
      if (hasChanged) continue;
      if (plan.outcome === 'live' && this.#end === undefined) await this.#refreshVolumes(input);
      return this.#nextLookMs(plan, input);
    }
    return errorRetryMs;
  }

  #nextLookMs(plan: PodPlan, input: PlanInput): number {
    const nowMs = this.#world.sync.clock.wallMs();
    let atMs = nowMs + resyncMs;
    if (plan.nextAtMs !== undefined) atMs = Math.min(atMs, plan.nextAtMs);
    for (const failure of this.#memory.startFailures.values()) {
      if (failure.retryAtMs > nowMs) atMs = Math.min(atMs, failure.retryAtMs);
    }
    if (this.#memory.retryAtMs > nowMs) atMs = Math.min(atMs, this.#memory.retryAtMs);
    const deadlineMs = activeDeadlineMs(this.#pod);
    if (deadlineMs !== undefined && plan.outcome === 'live') atMs = Math.min(atMs, deadlineMs);
    const isInitializing = input.runtime.containers.some((run) => {
      const isYoung = run.state === 'running' && nowMs - run.startedAtMs < initPollForMs;
      return isYoung && findContainer(input.pod, run.name)?.role === 'init';
    });
    if (isInitializing) atMs = Math.min(atMs, nowMs + initPollMs);
    // A time that has just passed is looked at again in a moment, not in a spin.
    return Math.max(atMs - nowMs, 50);
  }

  async #observe(): Promise<PlanInput> {
    const { sync, probes } = this.#world;
    const runtime = await inspectPod(sync.cri, this.uid);
    const pod = this.#currentPod();
    const nowMs = sync.clock.wallMs();
    this.#noticeDeadline(pod, nowMs);
    const sandbox = runtime.sandboxes.find((each) => each.isReady);
    const podIp = usesHostNetwork(pod) ? sync.hostIps[0] : sandbox?.ips[0];
    const running = runtime.containers.filter((run) => run.state === 'running');
    probes.update(pod, podIp === undefined ? [] : running, podIp ?? '');
    await this.#readMessages(runtime);
    return {
      pod,
      runtime,
      probes: probes.verdicts(this.uid),
      startFailures: this.#memory.startFailures,
      end: this.#end,
      nowMs,
      containerHash,
    };
  }

  /** The pod with the status we wrote last, which the watch may not have brought back yet. */
  #currentPod(): KubeObject {
    if (this.#lastStatus === undefined) return this.#pod;
    const own = (this.#lastStatus.conditions ?? []) as JsonObject[];
    const foreign = ((this.#pod.status?.conditions ?? []) as JsonObject[]).filter(
      (condition) => !own.some((each) => each.type === condition.type),
    );
    return { ...this.#pod, status: { ...this.#pod.status, ...this.#lastStatus, conditions: [...own, ...foreign] } };
  }

  #noticeDeadline(pod: KubeObject, nowMs: number): void {
    const deadlineMs = activeDeadlineMs(pod);
    if (this.#end !== undefined || deadlineMs === undefined || nowMs < deadlineMs || isTerminalPhase(pod)) return;
    this.#end = {
      kind: 'fail',
      graceSeconds: graceSeconds(pod),
      startedAtMs: nowMs,
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    };
  }

  async #readMessages(runtime: RuntimePod): Promise<void> {
    for (const run of runtime.containers) {
      if (run.state !== 'exited' || this.#messages.has(run.id)) continue;
      this.#messages.set(run.id, await terminationMessage(this.#world.sync.files, run));
    }
    const ids = new Set(runtime.containers.map((run) => run.id));
    for (const id of this.#messages.keys()) if (!ids.has(id)) this.#messages.delete(id);
  }

  #publish(input: PlanInput, plan: PodPlan): void {
    if (this.#isOrphan) return;
    // Once the containers are taken away there is nothing to read the last status from; it has been published before.
    if (plan.outcome === 'gone' && this.#lastStatus !== undefined) return;
    const status = podStatus({
      pod: input.pod,
      runtime: input.runtime,
      plan,
      probes: input.probes,
      end: input.end,
      terminationMessages: this.#messages,
      hostIps: this.#world.sync.hostIps,
      nowMs: input.nowMs,
    });
    this.#lastStatus = status;
    this.#world.statuses.set(this.#pod, status);
    this.#tellBackOff(input, plan);
    if (!this.#hasStarted && status.phase === 'Running') {
      this.#hasStarted = true;
      this.#world.onStarted(this.#pod);
    }
  }

  #tellBackOff(input: PlanInput, plan: PodPlan): void {
    for (const [name, { reason }] of plan.waiting) {
      const run = latestRun(input.runtime.containers.filter((each) => each.name === name));
      if (reason !== 'CrashLoopBackOff' || run === undefined || this.#toldBackOff.has(run.id)) continue;
      this.#toldBackOff.add(run.id);
      const { metadata } = this.#pod;
      const where = `${metadata.name}_${metadata.namespace}(${metadata.uid})`;
      const message = `Back-off restarting failed container ${name} in pod ${where}`;
      this.#world.sync.events.record(
        podSubject(this.#pod, containerField(this.#pod, name)),
        'Warning',
        'BackOff',
        message,
      );
    }
    const ids = new Set(input.runtime.containers.map((run) => run.id));
    for (const id of this.#toldBackOff) if (!ids.has(id)) this.#toldBackOff.delete(id);
  }

  async #refreshVolumes(input: PlanInput): Promise<void> {
    if (input.runtime.containers.length === 0) return;
    const ips = input.runtime.sandboxes.find((sandbox) => sandbox.isReady)?.ips ?? [];
    const podIps = usesHostNetwork(input.pod) ? this.#world.sync.hostIps : ips;
    try {
      await this.#world.sync.volumes.refresh(this.#pod, volumeContext(this.#world.sync, podIps));
    } catch (error) {
      this.#log('volumes not refreshed', error);
    }
  }

  /** Nothing runs and nothing is left in the runtime: the files go, then the pod's object. */
  async #cleanUp(): Promise<void> {
    const { sync, statuses, probes } = this.#world;
    probes.remove(this.uid);
    await sync.volumes.tearDown(this.uid);
    await sync.files.removeAll(podLogDirectory(sync.settings.podLogDirectory, this.#pod));
    await sync.removeCgroup(this.#pod);
    if (!this.#isOrphan) {
      await statuses.flush(this.uid);
      await this.#deleteObject();
    }
    this.#isCleaned = true;
  }

  async #deleteObject(): Promise<void> {
    const { namespace = '', name, uid } = this.#pod.metadata;
    try {
      await this.#world.client.delete(resources.pods, namespace, name, {
        gracePeriodSeconds: 0,
        preconditions: { uid },
      });
    } catch (error) {
      // Gone already, or the name belongs to another pod by now.
      if (!isNotFound(error) && !isConflict(error) && !hasReason(error, 'Gone')) throw error;
    }
  }

  #done(): 'done' {
    this.#world.statuses.remove(this.uid);
    this.#world.probes.remove(this.uid);
    this.#world.onDone(this.uid);
    return 'done';
  }

  #wait(delayMs: number, signal: AbortSignal): Promise<void> {
    if (this.#isWoken || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = () => {
        cancel();
        signal.removeEventListener('abort', finish);
        this.#wake = undefined;
        resolve();
      };
      const cancel = this.#world.sync.clock.after(delayMs, finish);
      signal.addEventListener('abort', finish, { once: true });
      this.#wake = finish;
    });
  }

  #log(message: string, error: unknown): void {
    this.#world.sync.log.warn(message, { pod: podKey(this.#pod), uid: this.uid, error: errorText(error) });
  }
}
