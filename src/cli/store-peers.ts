/** The store's side towards other members: Raft's transport on the peer URLs, with the peer certificates as they are now. */
import type { Env } from '../env/env.ts';
import type { Names } from '../env/names.ts';
import type { KvClientTls } from '../kv/client/contract.ts';
import { leaderFace, leaderService } from '../kv/rpc/leader-face.ts';
import { createLateLeaderProxy } from '../kv/rpc/late-leader-proxy.ts';
import { peerFace, peerService } from '../kv/rpc/peer-face.ts';
import type { ClientTls } from '../rpc/tls/client-tls.ts';
import { openListener } from '../rpc/tls/listener.ts';
import type { ServerTls } from '../rpc/tls/server-tls.ts';
import type { KvServer } from '../kv/server/contract.ts';
import type { LeaderProxy } from '../kv/server/lease-keeper.ts';
import type { JoinInfo, MemberIdentity } from '../kv/server/member.ts';
import { GrpcPeerTransport } from '../raft/host/grpc-transport.ts';
import type { PeerTraffic } from '../raft/host/peer-traffic.ts';
import type { PeerTransport, ReplicaId } from '../raft/index.ts';
import { openClients } from './store-clients.ts';
import type { StoreConfig } from './store-config.ts';
import { openOutgoingTls, openSideTls } from './store-tls.ts';

export interface StorePeers {
  /** Listens on the peer URLs. */
  open(identity: MemberIdentity, server: () => KvServer | undefined): Promise<PeerTransport>;
  /** How a follower asks the leader. */
  readonly proxy: LeaderProxy;
  /** Asks the members at these peer URLs who belongs to the cluster. */
  join(peerUrls: readonly string[]): Promise<JoinInfo>;
  /** For any other question to members at their peer URLs. */
  tls(): KvClientTls | undefined;
  close(): void;
}

type PeersEnv = Pick<Env, 'clock' | 'disk' | 'log' | 'random'>;

/** Reads the certificates; rejects when they cannot be used. */
export async function connectPeers(
  env: PeersEnv,
  config: StoreConfig,
  names: Names,
  traffic?: PeerTraffic,
): Promise<StorePeers> {
  const { flags, peerTls } = config;
  const urls = flags['listen-peer-urls'];
  const serverTls: ServerTls | undefined =
    peerTls &&
    (await openSideTls(env, peerTls, {
      limits: config.tlsLimits,
      names,
      validYears: flags['self-signed-cert-validity'],
      urls: [...urls, ...flags['initial-advertise-peer-urls']],
    }));
  const clientTls: ClientTls | undefined = peerTls && (await openOutgoingTls(env, peerTls));
  const tls = () => clientTls?.current();
  return {
    open: ({ clusterId, memberId, ...key }, server) => {
      const transport = new GrpcPeerTransport({
        env,
        clusterId: clusterId.toString(16).padStart(16, '0'),
        selfId: memberId as ReplicaId,
        ...key,
        tls,
        ...(traffic ? { traffic } : {}),
        listener: async (onConnection) => {
          const { clock, disk, log } = env;
          const listener = await openListener({
            clock,
            disk,
            log,
            endpoint: 'peer',
            urls,
            ...(serverTls ? { tls: serverTls } : {}),
            reusePort: flags['socket-reuse-port'],
            onConnection,
          });
          return { addresses: listener.urls, close: () => listener.close() };
        },
        services: [
          [peerService, peerFace(server)],
          [leaderService, leaderFace(server)],
        ],
      });
      return listening(transport, env);
    },
    proxy: createLateLeaderProxy(async () => (await openClients()).createLeaderProxy(env.clock, tls)),
    join: async (peerUrls) => (await openClients()).askMembers(env.clock, peerUrls, tls()),
    tls,
    close: () => {
      serverTls?.close();
      clientTls?.close();
    },
  };
}

async function listening(transport: GrpcPeerTransport, { log }: PeersEnv): Promise<PeerTransport> {
  try {
    for (const address of await transport.listen())
      log.info('serving peer traffic', { address: address.replace(/^\w+:\/\//, '') });
  } catch (error) {
    await transport.close();
    throw error;
  }
  return transport;
}
