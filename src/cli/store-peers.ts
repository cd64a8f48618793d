/** The store's side towards other members: Raft's transport on the peer URLs, with the peer certificates. */
import type { Env } from '../env/env.ts';
import { leaderFace, leaderService } from '../kv/rpc/leader-face.ts';
import { createLeaderProxy } from '../kv/rpc/leader-proxy.ts';
import { askMembers, peerFace, peerService } from '../kv/rpc/peer-face.ts';
import type { KvServer } from '../kv/server/contract.ts';
import type { LeaderProxy } from '../kv/server/lease-keeper.ts';
import type { JoinInfo, MemberIdentity } from '../kv/server/member.ts';
import { GrpcPeerTransport, type PeerTls } from '../raft/host/grpc-transport.ts';
import type { PeerTransport, ReplicaId } from '../raft/index.ts';
import { UsageError } from './flags.ts';
import type { StoreConfig } from './store-config.ts';

export interface StorePeers {
  /** Listens on the peer URLs. */
  open(identity: MemberIdentity, server: () => KvServer | undefined): Promise<PeerTransport>;
  /** How a follower asks the leader. */
  readonly proxy: LeaderProxy;
  /** Asks the members at these peer URLs who belongs to the cluster. */
  join(peerUrls: readonly string[]): Promise<JoinInfo>;
}

export function connectPeers(env: Pick<Env, 'clock' | 'log' | 'random'>, config: StoreConfig): StorePeers {
  const listenUrls = config.flags['listen-peer-urls'];
  const tls = peerTlsOf(config);
  return {
    async open({ clusterId, memberId }, server) {
      const transport = new GrpcPeerTransport({
        env,
        clusterId: clusterId.toString(16).padStart(16, '0'),
        selfId: memberId as ReplicaId,
        ...(tls ? { tls } : {}),
        listenAddresses: listenUrls.map((url) => new URL(url).host),
        services: [
          [peerService, peerFace(server)],
          [leaderService, leaderFace(server)],
        ],
      });
      try {
        const addresses = await transport.listen();
        for (const address of addresses) env.log.info('serving peer traffic', { address });
      } catch (error) {
        await transport.close();
        throw error;
      }
      return transport;
    },
    proxy: createLeaderProxy(env.clock, () => tls),
    join: (urls) => askMembers(env.clock, urls, tls),
  };
}

/** Peers verify each other in both directions, so https needs an authority as well as a certificate. */
function peerTlsOf({ flags, peerTls }: StoreConfig): PeerTls | undefined {
  if (!flags['listen-peer-urls'].some((url) => url.startsWith('https:'))) return undefined;
  if (!peerTls?.ca) {
    throw new UsageError('keelson store: --listen-peer-urls has https: --peer-trusted-ca-file is needed as well');
  }
  return { ca: peerTls.ca, cert: peerTls.cert, key: peerTls.key };
}
