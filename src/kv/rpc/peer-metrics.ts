/** What goes between one member and its peers, by etcd's names. */
import type { PeerCounts, PeerTraffic } from '../../raft/host/peer-traffic.ts';
import type { KvServer } from '../server/contract.ts';
import { hexId } from '../server/upkeep.ts';
import { histogramValues } from './plain-metrics.ts';
import type { StoreRegistry, Value } from './store-registry.ts';

type PeerRow = readonly [
  name: string,
  help: string,
  type: 'counter' | 'gauge',
  label: 'To' | 'From' | 'Remote',
  read: (peer: PeerCounts) => number,
];

const peerRows: readonly PeerRow[] = [
  [
    'etcd_network_peer_sent_bytes_total',
    'The total number of bytes sent to peers.',
    'counter',
    'To',
    (p) => p.sentBytes,
  ],
  [
    'etcd_network_peer_received_bytes_total',
    'The total number of bytes received from peers.',
    'counter',
    'From',
    (p) => p.receivedBytes,
  ],
  [
    'etcd_network_peer_sent_failures_total',
    'The total number of send failures from peers.',
    'counter',
    'To',
    (p) => p.sendFailures,
  ],
  [
    'etcd_network_active_peers',
    'The current number of active peer connections.',
    'gauge',
    'Remote',
    (p) => (p.isConnected ? 1 : 0),
  ],
  [
    'etcd_network_disconnected_peers_total',
    'The total number of disconnected peers.',
    'counter',
    'Remote',
    (p) => p.disconnects,
  ],
];

/** Every member of the cluster, this one too, as etcd counts them; known once the member runs. */
export function registerKnownPeers(registry: StoreRegistry, server: Pick<KvServer, 'memberId' | 'members'>): void {
  registry.describe(
    { name: 'etcd_network_known_peers', help: 'The current number of known peers.', type: 'gauge' },
    async () => {
      const members = await server.members(false);
      return members.map(({ id }) => ({ labels: { Local: hexId(server.memberId), Remote: hexId(id) }, value: 1 }));
    },
  );
}

export function registerPeerMetrics(registry: StoreRegistry, traffic: PeerTraffic): void {
  const perPeer = (read: (id: string, peer: PeerCounts) => readonly Value[]) =>
    [...traffic.peers()].flatMap(([id, peer]) => read(hexId(id), peer));
  for (const [name, help, type, label, read] of peerRows) {
    registry.describe({ name, help, type }, () =>
      perPeer((id, peer) => [{ labels: { [label]: id }, value: read(peer) }]),
    );
  }
  const name = 'etcd_network_peer_round_trip_time_seconds';
  registry.describe({ name, help: 'Round-Trip-Time histogram between peers.', type: 'histogram' }, () =>
    perPeer((id, peer) => histogramValues(name, peer.roundTrips, { To: id })),
  );
  registry.describe(
    {
      name: 'etcd_server_heartbeat_send_failures_total',
      help: 'The total number of leader heartbeat send failures (likely overloaded from slow disk).',
      type: 'counter',
    },
    () => [{ labels: {}, value: [...traffic.peers().values()].reduce((sum, peer) => sum + peer.heartbeatFailures, 0) }],
  );
}
