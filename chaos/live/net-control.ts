/**
 * What disturbs the members' network at the moment, brought to packet filter and proxy. Disturbances overlap freely: a link
 * is cut while anything cuts it, and delays add up.
 */
import type { Env } from '../../src/env/env.ts';
import type { ClientCut, Link } from './contract.ts';
import { applyRules } from './lan.ts';
import { mergeConditions, type LinkConditions } from './link-pacing.ts';
import type { LinkProxyClient } from './link-proxy-client.ts';
import { allLinks, type WorldPlan } from './world-plan.ts';
import { Turns } from './turns.ts';

export interface Disturbance {
  readonly cut?: readonly Link[];
  readonly clientCuts?: readonly ClientCut[];
  /** Share of packets, on every link. */
  readonly loss?: number;
  readonly conditions?: { readonly links: readonly Link[]; readonly change: Partial<LinkConditions> };
}

export class NetControl {
  readonly #env: Pick<Env, 'processes' | 'disk'>;
  readonly #plan: WorldPlan;
  readonly proxy: LinkProxyClient;
  readonly #active = new Set<Disturbance>();
  #weather: Disturbance = {};
  readonly #turns = new Turns();

  constructor(env: Pick<Env, 'processes' | 'disk'>, plan: WorldPlan, proxy: LinkProxyClient) {
    this.#env = env;
    this.#plan = plan;
    this.proxy = proxy;
  }

  async begin(disturbance: Disturbance): Promise<void> {
    this.#active.add(disturbance);
    await this.#apply();
  }

  /** Until it is set again. */
  async setWeather(weather: Disturbance): Promise<void> {
    this.#active.delete(this.#weather);
    this.#weather = weather;
    await this.begin(weather);
  }

  /** Fine when it has ended already. */
  async end(disturbance: Disturbance): Promise<void> {
    if (this.#active.delete(disturbance)) await this.#apply();
  }

  async endAll(): Promise<void> {
    this.#active.clear();
    await this.#apply();
    await this.proxy.ask({ kind: 'endForgotten', links: allLinks(this.#plan.members.length) });
  }

  /** Resolves when nothing is being changed any more. */
  async settled(): Promise<void> {
    await this.#turns.settled();
  }

  /** Brings everything to what holds when its turn comes. */
  async #apply(): Promise<void> {
    await this.#turns.take(async () => {
      const active = [...this.#active];
      await applyRules(this.#env, this.#plan, {
        cut: active.flatMap(({ cut }) => cut ?? []),
        clientCuts: active.flatMap(({ clientCuts }) => clientCuts ?? []),
        // Independent losses on one line.
        loss: 1 - active.reduce((kept, { loss }) => kept * (1 - (loss ?? 0)), 1),
      });
      await this.proxy.ask({ kind: 'conditions', links: mergeConditions(active.map(({ conditions }) => conditions)) });
    });
  }
}
