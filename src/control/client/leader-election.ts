/**
 * Leader election by a Lease object, so that of several equal processes one works.
 *
 * Promises: `lead` runs only while this candidate holds the Lease, with a signal that aborts as soon as it could not
 * be renewed for `renewDeadlineMs` on the monotonic clock or someone else holds it. Losing the Lease ends that run,
 * never the process: the candidate stands again. On stop the Lease is released so that the next leader need not wait.
 * Expiry is judged by how long *this* process saw the Lease unchanged; the clocks of other machines do not matter.
 */
import { assert } from '../../env/assert.ts';
import { type Clock, pause } from '../../env/clock.ts';
import { errorText } from '../../env/errors.ts';
import type { Log } from '../../env/log.ts';
import type { Random } from '../../env/random.ts';
import type { KubeObject } from '../api/contract.ts';
import { microTimeFromMs } from '../api/time-text.ts';
import { isNotFound } from './api-error.ts';
import type { ApiClient } from './contract.ts';
import { resources } from './resources.ts';

export interface LeaderElectionOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly namespace: string;
  readonly leaseName: string;
  /** Unique among all candidates ever, e.g. host name and a UUID. */
  readonly identity: string;
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
  /** What the leader does, until `signal` aborts. A rejection ends the candidate's run with it. */
  readonly lead: (signal: AbortSignal) => Promise<void>;
  /** Told at each change. */
  readonly onLeadingChange?: (isLeading: boolean) => void;
}

export const leaderElectionDefaults = {
  leaseDurationMs: 15_000,
  renewDeadlineMs: 10_000,
  retryPeriodMs: 2000,
} as const;

export class LeaderElector {
  readonly #options: LeaderElectionOptions;
  /** The Lease as last seen, and since when it has looked like that. */
  #observed: KubeObject | undefined;
  #observedAtMs = 0;
  #isLeading = false;

  constructor(options: LeaderElectionOptions) {
    assert(options.leaseDurationMs > options.renewDeadlineMs, 'the lease must last longer than the renew deadline');
    assert(options.renewDeadlineMs > options.retryPeriodMs, 'the renew deadline must be longer than the retry period');
    this.#options = options;
  }

  isLeading(): boolean {
    return this.#isLeading;
  }

  /** Who holds the Lease as far as this candidate knows. */
  holder(): string {
    return this.#observed?.spec?.holderIdentity ?? '';
  }

  /** Stands for election, leads, and stands again, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, retryPeriodMs, log, leaseName } = this.#options;
    while (!signal.aborted) {
      if (!(await this.#tryHold(signal, retryPeriodMs * 2))) {
        await pause(clock, retryPeriodMs * (1 + 0.2 * random.next()), signal);
        continue;
      }
      if (signal.aborted) break;
      log.info('became leader', { lease: leaseName, identity: this.#options.identity });
      await this.#leadWhileHeld(signal);
      log.info('stopped leading', { lease: leaseName, identity: this.#options.identity });
    }
    await this.#release();
  }

  async #leadWhileHeld(signal: AbortSignal): Promise<void> {
    const { clock, renewDeadlineMs, retryPeriodMs, lead, onLeadingChange, log, leaseName } = this.#options;
    const term = new AbortController();
    const onAbort = () => term.abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#isLeading = true;
    onLeadingChange?.(true);
    let renewedAtMs = clock.monotonicMs();
    let cancelDeadline = () => {};
    const armDeadline = () => {
      cancelDeadline();
      const leftMs = renewedAtMs + renewDeadlineMs - clock.monotonicMs();
      cancelDeadline = clock.after(Math.max(0, leftMs), () => {
        term.abort(new Error(`lease ${leaseName} could not be renewed in ${renewDeadlineMs} ms`));
      });
    };
    armDeadline();
    const work = lead(term.signal).finally(() => term.abort(new Error('the leader stopped by itself')));
    // The failure is reported by `await work` below; until then it only ends the term.
    work.catch(() => undefined);
    while (!term.signal.aborted) {
      await pause(clock, retryPeriodMs, term.signal);
      if (term.signal.aborted) break;
      const beforeMs = clock.monotonicMs();
      if (await this.#tryHold(term.signal, retryPeriodMs * 2)) {
        renewedAtMs = beforeMs;
        armDeadline();
      } else if (this.holder() !== this.#options.identity) {
        log.warn('another candidate holds the lease', { lease: leaseName, holder: this.holder() });
        term.abort(new Error(`lease ${leaseName} was taken by ${this.holder()}`));
      }
    }
    cancelDeadline();
    signal.removeEventListener('abort', onAbort);
    this.#isLeading = false;
    onLeadingChange?.(false);
    await work;
  }

  /** Takes or renews the Lease. False when it is someone else's or the server did not agree in time. */
  async #tryHold(signal: AbortSignal, timeoutMs: number): Promise<boolean> {
    const { client, clock, namespace, leaseName, identity, leaseDurationMs } = this.#options;
    const request = { signal, timeoutMs };
    const nowText = microTimeFromMs(clock.wallMs());
    const leaseDurationSeconds = Math.ceil(leaseDurationMs / 1000);
    try {
      const lease = await this.#read(request);
      if (lease === undefined) {
        this.#observe(
          await client.create(
            resources.leases,
            {
              apiVersion: 'coordination.k8s.io/v1',
              kind: 'Lease',
              metadata: { name: leaseName, namespace },
              spec: {
                holderIdentity: identity,
                leaseDurationSeconds,
                acquireTime: nowText,
                renewTime: nowText,
                leaseTransitions: 0,
              },
            },
            request,
          ),
        );
        return true;
      }
      const spec = lease.spec ?? {};
      const isOurs = spec.holderIdentity === identity;
      const durationMs = (spec.leaseDurationSeconds ?? leaseDurationSeconds) * 1000;
      if (!isOurs && spec.holderIdentity && clock.monotonicMs() < this.#observedAtMs + durationMs) return false;
      this.#observe(
        await client.update(
          resources.leases,
          {
            ...lease,
            spec: {
              ...spec,
              holderIdentity: identity,
              leaseDurationSeconds,
              acquireTime: isOurs ? spec.acquireTime : nowText,
              renewTime: nowText,
              leaseTransitions: (spec.leaseTransitions ?? 0) + (isOurs ? 0 : 1),
            },
          },
          request,
        ),
      );
      return true;
    } catch (error) {
      if (!signal.aborted) {
        this.#options.log.warn('cannot take or renew the lease', { lease: leaseName, error: errorText(error) });
      }
      return false;
    }
  }

  async #read(request: { signal: AbortSignal; timeoutMs: number }): Promise<KubeObject | undefined> {
    const { client, namespace, leaseName } = this.#options;
    try {
      const lease = await client.get(resources.leases, namespace, leaseName, request);
      this.#observe(lease);
      return lease;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  #observe(lease: KubeObject): void {
    if (lease.metadata.resourceVersion === this.#observed?.metadata.resourceVersion) return;
    this.#observed = lease;
    this.#observedAtMs = this.#options.clock.monotonicMs();
  }

  async #release(): Promise<void> {
    const { client, clock, identity, retryPeriodMs } = this.#options;
    const lease = this.#observed;
    if (lease === undefined || lease.spec?.holderIdentity !== identity) return;
    const nowText = microTimeFromMs(clock.wallMs());
    const spec = {
      ...lease.spec,
      holderIdentity: '',
      leaseDurationSeconds: 1,
      renewTime: nowText,
      acquireTime: nowText,
    };
    try {
      this.#observe(await client.update(resources.leases, { ...lease, spec }, { timeoutMs: retryPeriodMs }));
    } catch (error) {
      this.#options.log.warn('cannot release the lease, it will expire', { error: errorText(error) });
    }
  }
}
