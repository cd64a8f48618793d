/**
 * What the members of a live world tell each other passes here: every connection is taken at the face of whom it is for and
 * made anew from the face of who called, so that both see the right address. Streams stay streams: what can be done to
 * them is to be late, slow, stuck, changed, reset, or forgotten by one end; the network's own faults (loss, cuts) are the
 * packet filter's. Nothing can be duplicated or reordered in a stream: TCP would undo it.
 *
 * A connection is accepted before its other half stands: towards a member that is down the caller sees a reset, not a refusal.
 */
import net, { type Server, type Socket } from 'node:net';
import type { Clock } from '../../src/env/clock.ts';
import { present } from '../../src/env/assert.ts';
import type { Link } from './contract.ts';
import { type LaneCounts, LinkLane } from './link-lane.ts';
import { clearLink, type ConditionsOfLink, type LinkConditions } from './link-pacing.ts';

export interface ProxiedMember {
  readonly address: string;
  readonly face: string;
}

interface Connection {
  readonly caller: number;
  readonly called: number;
  /** Towards the caller, and towards the called. */
  readonly near: Socket;
  readonly far: Socket;
  readonly lanes: readonly LinkLane[];
}

/** Members hold a handful of connections to each other; a caller in a loop must not take all descriptors. */
const connectionsMax = 2_000;

export class LinkProxy {
  readonly #members: readonly ProxiedMember[];
  readonly #port: number;
  readonly #clock: Clock;
  readonly #draw: () => number;
  readonly #servers: Server[] = [];
  readonly #connections = new Set<Connection>();
  #conditions = new Map<string, LinkConditions>();
  readonly counts: LaneCounts & { connections: number } = { bytes: 0, flips: 0, connections: 0 };

  constructor(options: {
    readonly members: readonly ProxiedMember[];
    readonly port: number;
    readonly clock: Clock;
    readonly draw: () => number;
  }) {
    this.#members = options.members;
    this.#port = options.port;
    this.#clock = options.clock;
    this.#draw = options.draw;
  }

  async start(): Promise<void> {
    for (const [called, { face }] of this.#members.entries()) {
      const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (near) => this.#accept(called, near));
      this.#servers.push(server);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(this.#port, face, resolve);
      });
    }
  }

  #accept(called: number, near: Socket): void {
    const caller = this.#members.findIndex(({ address }) => address === near.remoteAddress);
    if (caller < 0 || caller === called || this.#connections.size >= connectionsMax) {
      near.on('error', () => undefined);
      near.resetAndDestroy();
      return;
    }
    this.counts.connections += 1;
    const far = net.connect({
      host: present(this.#members[called], 'who is called').address,
      port: this.#port,
      localAddress: present(this.#members[caller], 'who calls').face,
      allowHalfOpen: true,
      noDelay: true,
    });
    const lane = (from: number, to: number, [source, target]: readonly [Socket, Socket]) =>
      new LinkLane({
        from: source,
        to: target,
        clock: this.#clock,
        draw: this.#draw,
        conditions: () => this.#conditionsOf({ from, to }),
        counts: this.counts,
      });
    const lanes = [lane(caller, called, [near, far]), lane(called, caller, [far, near])];
    const connection = { caller, called, near, far, lanes };
    this.#connections.add(connection);
    const forget = () => {
      if (near.closed && far.closed) this.#connections.delete(connection);
    };
    near.on('close', forget);
    far.on('close', forget);
  }

  #conditionsOf({ from, to }: Link): LinkConditions {
    return this.#conditions.get(`${from}>${to}`) ?? clearLink;
  }

  /** From now on; links that are not named are clear. */
  setConditions(links: readonly ConditionsOfLink[]): void {
    this.#conditions = new Map(links.map(({ from, to, conditions }) => [`${from}>${to}`, conditions]));
    for (const { lanes } of this.#connections) for (const lane of lanes) lane.pump();
  }

  /** Resets every connection between the two, at both ends; tells how many. */
  reset(a: number, b: number): number {
    const hit = this.#between(a, b);
    for (const { near, far } of hit) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
    return hit.length;
  }

  /**
   * `from` has its connections with `to` reset, and `to` is never told: to it they stand, and nothing comes. Tells how many.
   * The ends that were left are reset by `endForgotten`.
   */
  forget(from: number, to: number): number {
    const hit = this.#between(from, to);
    for (const { caller, near, far, lanes } of hit) {
      for (const lane of lanes) lane.cutOff();
      const [lost, kept] = caller === from ? [near, far] : [far, near];
      lost.resetAndDestroy();
      // Bytes are still taken and thrown away: the kernel on this side knows nothing either.
      kept.resume();
    }
    return hit.length;
  }

  endForgotten(links: readonly Link[]): void {
    for (const { near, far } of links.flatMap(({ from, to }) => this.#between(from, to))) {
      if (near.destroyed !== far.destroyed) (near.destroyed ? far : near).resetAndDestroy();
    }
  }

  #between(a: number, b: number): readonly Connection[] {
    return [...this.#connections].filter(
      ({ caller, called }) => (caller === a && called === b) || (caller === b && called === a),
    );
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const { near, far } of this.#connections) {
      near.destroy();
      far.destroy();
    }
  }
}
