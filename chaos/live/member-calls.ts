/** What a world asks its members itself: how each one is, and to hand leadership on. One connection to each is kept. */
import { assert } from '../../src/env/assert.ts';
import { KeelsonError } from '../../src/env/errors.ts';
import type { Clock } from '../../src/env/clock.ts';
import { fromInt64, safeNumberFromInt64 } from '../../src/proto/int64.ts';
import { Caller } from '../../src/kv/client/calls.ts';
import { Connections } from '../../src/kv/client/connections.ts';
import type { KvClientOptions, KvClientTls } from '../../src/kv/client/contract.ts';
import { openRemoteSnapshot } from '../../src/kv/client/snapshot.ts';
import { clusterService, maintenanceService } from '../../src/kv/rpc/services.ts';
import type { WireStatusResponse } from '../../src/kv/rpc/wire.ts';

/** etcdserverpb.AlarmRequest.AlarmAction. */
const alarmAction = { get: 0, deactivate: 2 } as const;

export interface MemberWord {
  /** Decimal; etcd's need all 64 bits. */
  readonly memberId: string;
  /** 0: it knows none. */
  readonly leader: string;
  readonly term: number;
  readonly isLearner: boolean;
}

export class MemberCalls {
  readonly #options: Omit<KvClientOptions, 'endpoints'>;
  readonly #connections: Connections;
  readonly #caller: Caller;
  readonly #endpoints: readonly string[];

  constructor(clock: Clock, endpoints: readonly string[], tls: KvClientTls | undefined) {
    this.#options = { clock, ...(tls === undefined ? {} : { tls }) };
    this.#connections = new Connections({ ...this.#options, endpoints });
    this.#caller = new Caller(this.#connections, clock, 1_000);
    this.#endpoints = endpoints;
  }

  #endpoint(member: number): string {
    const endpoint = this.#endpoints[member];
    if (endpoint === undefined) throw new KeelsonError('CHAOS_NO_MEMBER', `no member ${member} in this world`);
    return endpoint;
  }

  /** Undefined when it does not answer in time. */
  async word(member: number, timeoutMs: number): Promise<MemberWord | undefined> {
    const endpoint = this.#endpoint(member);
    const call = { service: maintenanceService, method: 'Status', request: {}, isRead: true, endpoint };
    try {
      const { header, leader, raftTerm, isLearner } = await this.#caller.call<WireStatusResponse>(call, { timeoutMs });
      return {
        memberId: fromInt64(header?.memberId).toString(),
        leader: fromInt64(leader).toString(),
        term: safeNumberFromInt64(raftTerm),
        isLearner: isLearner === true,
      };
    } catch {
      // Down, paused, cut off, or not there yet: whoever asks wants to know no more.
      return undefined;
    }
  }

  async moveLeader(leader: number, targetId: string, timeoutMs: number): Promise<void> {
    const request = { targetID: targetId };
    const call = {
      service: maintenanceService,
      method: 'MoveLeader',
      request,
      isRead: false,
      endpoint: this.#endpoint(leader),
    };
    await this.#caller.call(call, { timeoutMs });
  }

  /** False while it is refused: a learner has to have caught up first. */
  async promote(memberId: string, timeoutMs: number): Promise<boolean> {
    const request = { ID: memberId };
    const call = { service: clusterService, method: 'MemberPromote', request, isRead: false };
    return this.#caller.call(call, { timeoutMs }).then(
      () => true,
      () => false,
    );
  }

  /** Every alarm of every member. */
  async disarmAlarms(timeoutMs: number): Promise<void> {
    const ask = <Answer extends object>(request: object) => {
      const call = { service: maintenanceService, method: 'Alarm', request, isRead: false };
      return this.#caller.call<Answer>(call, { timeoutMs });
    };
    const { alarms } = await ask<{ readonly alarms: readonly object[] }>({ action: alarmAction.get });
    for (const alarm of alarms) await ask({ ...alarm, action: alarmAction.deactivate });
  }

  /** Asks for the work and waits for it; what comes of it is thrown away. */
  async maintain(member: number, what: 'defragment' | 'hash' | 'saveSnapshot', timeoutMs: number): Promise<void> {
    const endpoint = this.#endpoint(member);
    if (what === 'saveSnapshot') {
      const snapshot = await openRemoteSnapshot({ ...this.#options, endpoints: [endpoint], timeoutMs });
      // A snapshot is read to its end, as an operator would: its size is the store's.
      for await (const chunk of snapshot.chunks()) assert(chunk.length >= 0, 'a chunk has a length');
      return;
    }
    const method = what === 'hash' ? 'HashKV' : 'Defragment';
    const call = { service: maintenanceService, method, request: {}, isRead: false, endpoint };
    await this.#caller.call(call, { timeoutMs });
  }

  close(): void {
    this.#connections.close();
  }
}
