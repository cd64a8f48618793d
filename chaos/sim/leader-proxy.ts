/** How a simulated follower asks the leader about leases and promotions: over the same lines as everything else, and back. */
import type { Clock } from '../../src/env/clock.ts';
import type { LeaderProxy } from '../../src/kv/server/lease-keeper.ts';
import type { StoreServer } from '../../src/kv/server/server.ts';
import type { ReplicaId } from '../../src/raft/index.ts';
import type { SimNetwork } from './network.ts';

/** As the real one: one attempt. */
const timeoutMs = 2_000;

export interface ProxyEnd {
  readonly id: ReplicaId;
  readonly peerUrl: string;
  run(callback: () => void): void;
  call<T>(work: (server: StoreServer) => Promise<T>): Promise<T>;
}

export interface SimProxyOptions {
  readonly clock: Clock;
  readonly network: SimNetwork;
  readonly self: ProxyEnd;
  readonly members: () => readonly ProxyEnd[];
}

export function createSimProxy({ clock, network, self, members }: SimProxyOptions): LeaderProxy {
  const ask = <T>(peerUrls: readonly string[], signal: AbortSignal, question: (server: StoreServer) => Promise<T>) =>
    new Promise<T>((resolve, reject) => {
      const leader = members().find((member) => peerUrls.includes(member.peerUrl));
      if (leader === undefined) return reject(new Error('nobody has this address'));
      const over = (settle: () => void) => {
        cancel();
        // A signal that is made of others lives as long as anybody listens to it, and the world with it.
        signal.removeEventListener('abort', onAbort);
        settle();
      };
      const cancel = clock.after(timeoutMs, () => over(() => reject(new Error('the leader did not answer in time'))));
      const onAbort = () => over(() => reject(signal.reason as Error));
      signal.addEventListener('abort', onAbort);
      const back = (settle: () => void) => network.carry(leader.id, self.id, () => self.run(() => over(settle)));
      network.carry(self.id, leader.id, () => {
        void leader.call(question).then(
          (answer) => back(() => resolve(answer)),
          (error: unknown) => back(() => reject(error as Error)),
        );
      });
    });
  return {
    keepAlive: (urls, id, signal) => ask(urls, signal, (server) => server.leaseKeepAlive(id, signal, 'member')),
    timeToLive: (urls, id, withKeys, signal) =>
      ask(urls, signal, (server) => server.leaseTimeToLive(id, withKeys, signal, 'member')),
    promote: (urls, memberId, signal) =>
      ask(urls, signal, async (server) => {
        await server.memberPromote(memberId, signal);
      }),
    close: () => undefined,
  };
}
