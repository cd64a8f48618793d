/**
 * Probes running containers and keeps the verdicts that planning and status read. One loop per probe; a container's
 * liveness and readiness begin once its startup probe has succeeded. `onChange` is called when a verdict changed.
 */
import type { JsonObject, KubeObject } from '../../control/api/contract.ts';
import type { EventRecorder } from '../../control/client/index.ts';
import { type Clock, sleep } from '../../env/clock.ts';
import { containerField, podSubject } from './event-subject.ts';
import type { HandlerResult } from './handler-network.ts';
import type { HandlerTarget } from './handlers.ts';
import type { PodContainer, ProbeVerdict } from './plan-pod-contract.ts';
import { apiContainerStatus, findContainer } from './pod.ts';
import { countProbe, noProbeYet } from './probe-count.ts';

export type ProbeKind = 'startup' | 'liveness' | 'readiness';

export interface ProbeManagerOptions {
  readonly clock: Clock;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly run: (target: HandlerTarget, probe: JsonObject, timeoutSeconds: number) => Promise<HandlerResult>;
  readonly onChange: (podUid: string) => void;
  readonly onResult?: (kind: ProbeKind, isSuccess: boolean) => void;
}

interface Probed {
  readonly podUid: string;
  readonly abort: AbortController;
  verdict: ProbeVerdict;
}

export class ProbeManager {
  readonly #options: ProbeManagerOptions;
  readonly #containers = new Map<string, Probed>();

  constructor(options: ProbeManagerOptions) {
    this.#options = options;
  }

  /** Takes up the pod's running containers and lets go of those that run no more. */
  update(pod: KubeObject, running: readonly PodContainer[], podIp: string): void {
    const ids = new Set(running.map((run) => run.id));
    for (const [id, probed] of this.#containers) {
      if (probed.podUid === pod.metadata.uid && !ids.has(id)) this.#forget(id, probed);
    }
    for (const run of running) {
      if (!this.#containers.has(run.id)) this.#begin(pod, run, podIp);
    }
  }

  verdicts(podUid: string): Map<string, ProbeVerdict> {
    const out = new Map<string, ProbeVerdict>();
    for (const [id, probed] of this.#containers) if (probed.podUid === podUid) out.set(id, probed.verdict);
    return out;
  }

  remove(podUid: string): void {
    for (const [id, probed] of this.#containers) if (probed.podUid === podUid) this.#forget(id, probed);
  }

  stop(): void {
    for (const [id, probed] of this.#containers) this.#forget(id, probed);
  }

  #forget(id: string, probed: Probed): void {
    probed.abort.abort();
    this.#containers.delete(id);
  }

  #begin(pod: KubeObject, run: PodContainer, podIp: string): void {
    const container = findContainer(pod, run.name);
    const spec = container?.spec ?? {};
    // A restarted agent takes over what was known of the same container: a healthy pod does not flap.
    const known = apiContainerStatus(pod, run.name);
    const isSame = typeof known?.containerID === 'string' && known.containerID.endsWith(run.id);
    const wasStarted = isSame && known?.started === true;
    const wasReady = isSame && known?.ready === true;
    const isStarted = spec.startupProbe === undefined || wasStarted;
    const probed: Probed = {
      podUid: pod.metadata.uid,
      abort: new AbortController(),
      verdict: { isStarted, isReady: isStarted && (spec.readinessProbe === undefined || wasReady) },
    };
    this.#containers.set(run.id, probed);
    const context: ProbeContext = { pod, run, podIp, spec, probed };
    if (!isStarted) {
      this.#loop(context, 'startup');
      return;
    }
    this.#beginSteady(context);
  }

  #beginSteady(context: ProbeContext): void {
    if (context.spec.livenessProbe !== undefined) this.#loop(context, 'liveness');
    if (context.spec.readinessProbe !== undefined) this.#loop(context, 'readiness');
  }

  #loop(context: ProbeContext, kind: ProbeKind): void {
    const { signal } = context.probed.abort;
    this.#probeUntilSettled(context, kind, signal).catch((error) => {
      // The only way out of the loop from outside is the abort.
      if (!signal.aborted) throw error;
    });
  }

  async #probeUntilSettled(context: ProbeContext, kind: ProbeKind, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const probe = context.spec[`${kind}Probe`] as JsonObject;
    const periodMs = Math.max((probe.periodSeconds as number | undefined) ?? 10, 1) * 1000;
    const thresholds = { success: probe.successThreshold ?? 1, failure: probe.failureThreshold ?? 3 };
    const sinceStartMs = clock.wallMs() - context.run.startedAtMs;
    const delayMs = ((probe.initialDelaySeconds as number | undefined) ?? 0) * 1000 - sinceStartMs;
    if (delayMs > 0) await sleep(clock, delayMs, signal);
    let count = noProbeYet;
    for (;;) {
      const beganAtMs = clock.monotonicMs();
      const result = await this.#probe(context, kind, probe);
      if (signal.aborted) return;
      count = countProbe(count, result.isSuccess, thresholds);
      if (this.#settle(context, kind, count.verdict)) return;
      await sleep(clock, Math.max(periodMs - (clock.monotonicMs() - beganAtMs), 0), signal);
    }
  }

  async #probe(context: ProbeContext, kind: ProbeKind, probe: JsonObject): Promise<HandlerResult> {
    const { pod, run, podIp, spec } = context;
    const result = await this.#options.run({ containerId: run.id, podIp, spec }, probe, probe.timeoutSeconds ?? 1);
    this.#options.onResult?.(kind, result.isSuccess);
    if (!result.isSuccess && !context.probed.abort.signal.aborted) {
      const name = `${kind[0]?.toUpperCase()}${kind.slice(1)}`;
      const field = containerField(pod, run.name);
      const message = `${name} probe failed: ${result.message}`;
      this.#options.events.record(podSubject(pod, field), 'Warning', 'Unhealthy', message);
    }
    return result;
  }

  /** Takes the verdict over; true when this probe has nothing more to say. */
  #settle(context: ProbeContext, kind: ProbeKind, verdict: boolean | undefined): boolean {
    if (verdict === undefined) return false;
    const { probed } = context;
    const before = probed.verdict;
    switch (kind) {
      case 'readiness':
        probed.verdict = { ...before, isReady: verdict };
        break;
      case 'liveness':
        if (!verdict) probed.verdict = { ...before, failed: 'liveness' };
        break;
      case 'startup':
        probed.verdict = verdict
          ? { isStarted: true, isReady: context.spec.readinessProbe === undefined }
          : { ...before, failed: 'startup' };
        if (verdict) this.#beginSteady(context);
        break;
    }
    const after = probed.verdict;
    if (before.isReady !== after.isReady || before.isStarted !== after.isStarted || before.failed !== after.failed) {
      this.#options.onChange(probed.podUid);
    }
    return kind === 'startup' || after.failed !== undefined;
  }
}

interface ProbeContext {
  readonly pod: KubeObject;
  readonly run: PodContainer;
  readonly podIp: string;
  readonly spec: JsonObject;
  readonly probed: Probed;
}
