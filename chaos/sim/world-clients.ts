/**
 * Everybody who asks something of a simulated store: clients of single keys and of whole transactions, holders of leases,
 * watchers. And what must be true of all that they were told, held against what was committed.
 */
import { KeelsonError } from '../../src/env/errors.ts';
import { rangeRequest } from '../../src/kv/api.ts';
import type { StoreServer } from '../../src/kv/server/server.ts';
import { checkAnswers } from '../check/answers.ts';
import type { History } from '../check/history.ts';
import { checkLeases, type LeaseCall } from '../check/leases.ts';
import { checkWatches, type WatchRecord } from '../check/watch.ts';
import { Violation } from '../check/violation.ts';
import type { CommitLog } from './commit-log.ts';
import { LeaseClient } from './lease-client.ts';
import { perform } from './perform.ts';
import type { WorldPlan } from './plan.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimMember } from './sim-member.ts';
import { WatchClient } from './watch-client.ts';
import { toModelKey } from './wire-events.ts';
import { Client } from './workload.ts';

/** The slowest clock, the longest lease, a look at all leases every half second, and a commitment. */
const leaseEndMs = 2_000;
/** Where leases are held, no fault makes a clock run faster. */
const faultyClockRateMax = 1.1;
/** Beyond the numbers of clients. */
const onceClient = 999;

export interface WorkloadOptions {
  readonly plan: WorldPlan;
  readonly scheduler: Scheduler;
  readonly members: readonly SimMember[];
  readonly history: History;
  readonly commits: CommitLog;
  readonly random: SeededRandom;
}

export class Workload {
  readonly #options: WorkloadOptions;
  readonly #clients: (Client | LeaseClient)[] = [];
  readonly #watchers: WatchClient[] = [];
  readonly #leaseCalls: LeaseCall[] = [];
  readonly #watches: WatchRecord[] = [];
  readonly #states: { readonly name: string; readonly revision: number; readonly text: string }[] = [];
  calmSinceMs = 0;
  #writesOnce = 0;

  constructor(options: WorkloadOptions) {
    this.#options = options;
    const { plan, scheduler, members, history, random } = options;
    const shared = { scheduler, members, history, thinkMs: plan.thinkMs, from: undefined };
    for (let number = 0; number < plan.clients; number++) {
      const own = random.fork(`client-${number}`);
      this.#clients.push(
        number < plan.leaseClients
          ? new LeaseClient({ ...shared, calls: this.#leaseCalls, random: own }, number)
          : new Client({ ...shared, keys: plan.keys, wideShare: plan.wideShare }, number, own),
      );
    }
    for (let number = 0; number < plan.watchClients; number++) {
      const own = random.fork(`watcher-${number}`);
      const { watchSlowness: slowness } = plan;
      const watcher = { scheduler, members, records: this.#watches, slowness, from: undefined, random: own };
      this.#watchers.push(new WatchClient(watcher, String(number)));
    }
  }

  start(): void {
    for (const client of this.#clients) client.start();
    for (const watcher of this.#watchers) watcher.start();
  }

  /** By somebody who does not wait for the answer. */
  writeOnce(member: SimMember): void {
    const operation = { kind: 'put', key: 'once', value: `once ${this.#writesOnce++}` } as const;
    this.#options.history.invoke(onceClient, operation);
    member
      .call((server) => perform(server, operation, undefined))
      .catch((error: unknown) => {
        // That it was not taken is the member's good right, and the history knows no outcome; a broken assertion is not.
        if (!(error instanceof KeelsonError)) throw error;
      });
  }

  /** Faults have ended: nobody asks any more, watchers listen on. */
  stop(): void {
    for (const client of this.#clients) client.stop();
    for (const watcher of this.#watchers) watcher.calm();
  }

  memberCrashed(member: SimMember): void {
    for (const client of this.#clients) client.memberCrashed(member);
    for (const watcher of this.#watchers) watcher.memberCrashed(member);
  }

  /** After that much calm no lease may be left. */
  endWithinMs(): number {
    const longest = [...this.#options.commits.model.leases.values()].map((lease) => lease.ttlSeconds);
    return longest.length === 0 ? 0 : Math.max(...longest) * 1_000 + leaseEndMs + 100;
  }

  isLeaseless(): boolean {
    return this.#options.commits.model.leases.size === 0;
  }

  /** Takes down all that a member holds. */
  checkState(server: StoreServer, name: string): void {
    const all = rangeRequest({ key: new Uint8Array(1), rangeEnd: new Uint8Array(1), serializable: true });
    server.range(all).then(
      ({ kvs, revision }) => this.#states.push({ name, revision, text: JSON.stringify(kvs.map(toModelKey)) }),
      (error: unknown) => this.#states.push({ name, revision: 0, text: String(error) }),
    );
  }

  /** Throws Violation. */
  check(): 'kept' | 'unknown' {
    const { commits, history, scheduler } = this.#options;
    // Nobody saw some of the entries before they were compacted away.
    if (commits.hasGap) return 'unknown';
    const { model } = commits;
    const expected = JSON.stringify(model.list(model.revision));
    for (const { name, revision, text } of this.#states) {
      if (revision !== model.revision || text !== expected)
        throw new Violation(
          'every member holds what was committed',
          `${name} at ${revision}: ${text}, want ${model.revision}: ${expected}`,
        );
    }
    checkAnswers(history.entries, model);
    checkWatches(this.#watches, model);
    const { calmSinceMs } = this;
    const clockRateMax = Math.max(...this.#options.plan.clockRates, faultyClockRateMax);
    const nowMs = scheduler.nowUs / 1000;
    checkLeases(this.#leaseCalls, commits.lives(), { clockRateMax, nowMs, endWithinMs: leaseEndMs, calmSinceMs });
    return 'kept';
  }

  /** All that leaseholders and watchers were told, for the trace. */
  told(): unknown {
    return [this.#leaseCalls, this.#watches, this.#states];
  }
}
