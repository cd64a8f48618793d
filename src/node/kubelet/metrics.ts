/** The agent's metrics, by the kubelet's names. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { KubeObject } from '../../control/api/contract.ts';

export class KubeletMetrics {
  readonly #runningPods: Gauge;
  readonly #runningContainers: Gauge<'container_state'>;
  readonly #podStart: Histogram;
  readonly #relist: Histogram;
  readonly #probes: Counter<'probe_type' | 'result'>;
  readonly #leaseRenewed: Gauge;

  constructor(registry: Registry, nodeName: string) {
    const registers = [registry];
    const node = new Gauge({
      name: 'kubelet_node_name',
      help: 'The name of the node.',
      labelNames: ['node'],
      registers,
    });
    node.set({ node: nodeName }, 1);
    this.#runningPods = new Gauge({
      name: 'kubelet_running_pods',
      help: 'Number of pods that have a running pod sandbox.',
      registers,
    });
    this.#runningContainers = new Gauge({
      name: 'kubelet_running_containers',
      help: 'Number of containers by state.',
      labelNames: ['container_state'],
      registers,
    });
    this.#podStart = new Histogram({
      name: 'kubelet_pod_start_duration_seconds',
      help: 'Seconds from the pod being created to its containers running.',
      buckets: [0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600],
      registers,
    });
    this.#relist = new Histogram({
      name: 'kubelet_pleg_relist_duration_seconds',
      help: 'Seconds for listing the runtime.',
      buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    });
    this.#probes = new Counter({
      name: 'prober_probe_total',
      help: 'Probe results.',
      labelNames: ['probe_type', 'result'],
      registers,
    });
    this.#leaseRenewed = new Gauge({
      name: 'keelson_node_lease_renewed_timestamp_seconds',
      help: 'When the node lease was last renewed.',
      registers,
    });
  }

  counts(counts: { readonly pods: number; readonly containers: Readonly<Record<string, number>> }): void {
    this.#runningPods.set(counts.pods);
    for (const [state, count] of Object.entries(counts.containers)) {
      this.#runningContainers.set({ container_state: state }, count);
    }
  }

  podStarted(pod: KubeObject, nowMs: number): void {
    const createdAtMs = Date.parse(pod.metadata.creationTimestamp);
    if (!Number.isNaN(createdAtMs)) this.#podStart.observe(Math.max(0, nowMs - createdAtMs) / 1000);
  }

  relisted(seconds: number): void {
    this.#relist.observe(seconds);
  }

  probe(kind: string, isSuccess: boolean): void {
    const type = `${kind[0]?.toUpperCase()}${kind.slice(1)}`;
    this.#probes.inc({ probe_type: type, result: isSuccess ? 'successful' : 'failed' });
  }

  leaseRenewed(nowMs: number): void {
    this.#leaseRenewed.set(nowMs / 1000);
  }
}
