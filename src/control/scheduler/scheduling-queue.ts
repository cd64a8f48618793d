/**
 * Pods that wait for a node: active (to be tried now, by priority, then by age), backoff (failed; tried again after 1 to
 * 10 s) and unschedulable (nothing can be done until the cluster changes). Pure but for the clock's timers.
 *
 * Promises: a pod is in at most one of the three; a change of the cluster moves every unschedulable pod on; nothing
 * stays unschedulable for more than five minutes, in case an event was missed. Bounded by the number of pending pods.
 */
import type { Cancel, Clock } from '../../env/clock.ts';

interface Waiting {
  readonly key: string;
  readonly priority: number;
  readonly order: number;
}

const backoffBaseMs = 1000;
const backoffMaxMs = 10_000;
export const unschedulableMaxMs = 300_000;

export class SchedulingQueue {
  readonly #clock: Clock;
  readonly #active = new Map<string, Waiting>();
  readonly #backoff = new Map<string, { readonly pod: Waiting; readonly cancel: Cancel }>();
  readonly #unschedulable = new Map<
    string,
    { readonly pod: Waiting; readonly sinceMs: number; readonly cancel: Cancel }
  >();
  readonly #attempts = new Map<string, number>();
  #wake: (() => void) | undefined;
  #order = 0;
  /** Counts changes of the cluster, so that one that comes while a pod is being tried is not missed. */
  #moves = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A pod that is new or has changed is tried now. */
  add(key: string, priority: number): void {
    const before = this.#take(key);
    this.#activate(before === undefined ? { key, priority, order: this.#order++ } : { ...before, priority });
  }

  remove(key: string): void {
    this.#take(key);
    this.#attempts.delete(key);
  }

  /** The next pod; undefined when none is active. `moves` goes back into `addUnschedulable`. */
  pop(): { readonly key: string; readonly priority: number; readonly moves: number } | undefined {
    let best: Waiting | undefined;
    for (const pod of this.#active.values()) {
      if (
        best === undefined ||
        pod.priority > best.priority ||
        (pod.priority === best.priority && pod.order < best.order)
      ) {
        best = pod;
      }
    }
    if (best === undefined) return undefined;
    this.#active.delete(best.key);
    return { key: best.key, priority: best.priority, moves: this.#moves };
  }

  /** No node could take it. When the cluster changed since `moves`, it backs off instead of waiting for a change. */
  addUnschedulable(key: string, priority: number, moves: number): void {
    if (this.has(key)) return;
    this.#attempts.set(key, (this.#attempts.get(key) ?? 0) + 1);
    const pod = { key, priority, order: this.#order++ };
    if (moves !== this.#moves) return this.#backOff(pod, this.#clock.monotonicMs());
    const cancel = this.#clock.after(unschedulableMaxMs, () => {
      this.#unschedulable.delete(key);
      this.#activate(pod);
    });
    this.#unschedulable.set(key, { pod, sinceMs: this.#clock.monotonicMs(), cancel });
  }

  /** Something failed that may work the next time. */
  addBackoff(key: string, priority: number): void {
    if (this.has(key)) return;
    this.#attempts.set(key, (this.#attempts.get(key) ?? 0) + 1);
    this.#backOff({ key, priority, order: this.#order++ }, this.#clock.monotonicMs());
  }

  /** The pod has a node: its failures are forgotten. */
  forget(key: string): void {
    this.#attempts.delete(key);
  }

  /** The cluster changed in a way that may help. */
  moveAll(): void {
    this.#moves++;
    for (const { pod, sinceMs, cancel } of this.#unschedulable.values()) {
      cancel();
      this.#unschedulable.delete(pod.key);
      this.#backOff(pod, sinceMs);
    }
  }

  has(key: string): boolean {
    return this.#active.has(key) || this.#backoff.has(key) || this.#unschedulable.has(key);
  }

  lengths(): { readonly active: number; readonly backoff: number; readonly unschedulable: number } {
    return { active: this.#active.size, backoff: this.#backoff.size, unschedulable: this.#unschedulable.size };
  }

  /** Resolves when a pod is active or `signal` aborts. */
  async waitForActive(signal: AbortSignal): Promise<void> {
    if (this.#active.size > 0 || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        signal.removeEventListener('abort', done);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }

  clear(): void {
    for (const key of [...this.#active.keys(), ...this.#backoff.keys(), ...this.#unschedulable.keys()]) this.#take(key);
    this.#attempts.clear();
  }

  #activate(pod: Waiting): void {
    this.#active.set(pod.key, pod);
    this.#wake?.();
  }

  #backOff(pod: Waiting, sinceMs: number): void {
    const attempts = this.#attempts.get(pod.key) ?? 1;
    const waitMs = Math.min(backoffBaseMs * 2 ** Math.min(attempts - 1, 10), backoffMaxMs);
    const leftMs = sinceMs + waitMs - this.#clock.monotonicMs();
    if (leftMs <= 0) return this.#activate(pod);
    const cancel = this.#clock.after(leftMs, () => {
      this.#backoff.delete(pod.key);
      this.#activate(pod);
    });
    this.#backoff.set(pod.key, { pod, cancel });
  }

  #take(key: string): Waiting | undefined {
    const waiting = this.#backoff.get(key) ?? this.#unschedulable.get(key);
    waiting?.cancel();
    const pod = this.#active.get(key) ?? waiting?.pod;
    this.#active.delete(key);
    this.#backoff.delete(key);
    this.#unschedulable.delete(key);
    return pod;
  }
}
