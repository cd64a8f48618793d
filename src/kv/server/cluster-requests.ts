/** Requests about who is a member: Membership decides, and every answer names the members as they are after it. */
import type { Member } from '../api.ts';
import { KvError } from '../errors.ts';
import type { LeaderProxy } from './lease-keeper.ts';
import type { Membership } from './membership.ts';
import type { LinearizableReader } from './reader.ts';

export interface ClusterRequestsOptions {
  readonly membership: Membership;
  readonly reader: LinearizableReader;
  readonly proxy: Pick<LeaderProxy, 'promote'>;
  readonly isLeader: () => boolean;
  /** Undefined while there is no leader. */
  readonly leaderUrls: () => readonly string[] | undefined;
}

export class ClusterRequests {
  readonly #options: ClusterRequestsOptions;

  constructor(options: ClusterRequestsOptions) {
    this.#options = options;
  }

  async list(isLinearizable: boolean): Promise<readonly Member[]> {
    if (isLinearizable) await this.#options.reader.point();
    return this.#options.membership.list();
  }

  async add(peerUrls: readonly string[], isLearner: boolean) {
    const { membership } = this.#options;
    const member = await membership.add(peerUrls, isLearner);
    return { member, members: membership.list() };
  }

  async remove(id: number): Promise<readonly Member[]> {
    const { membership } = this.#options;
    await membership.remove(id);
    return membership.list();
  }

  async update(id: number, peerUrls: readonly string[]): Promise<readonly Member[]> {
    const { membership } = this.#options;
    await membership.update(id, peerUrls);
    return membership.list();
  }

  /** Only the leader knows how far a learner is: anybody else asks it. */
  async promote(id: number, signal: AbortSignal): Promise<readonly Member[]> {
    const { membership, reader, proxy, isLeader, leaderUrls } = this.#options;
    if (isLeader()) await membership.promote(id);
    else {
      const urls = leaderUrls();
      if (!urls) throw new KvError('noLeader');
      await proxy.promote(urls, id, signal);
      await reader.point();
    }
    return membership.list();
  }
}
