/** What both ends of a peer connection agree on: the service, its metadata, and every limit with its reason. */
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import descriptor from '../../../proto/gen/raft.json' with { type: 'json' };
import { KeelsonError } from '../../env/errors.ts';
import { loadService } from '../../proto/grpc-service.ts';
import type { ReplicaId } from '../core/types.ts';
import { withLeanStream } from './message-wire.ts';

export const peerService = withLeanStream(loadService(descriptor, 'keelson.raft.v1.RaftTransport'));
export const PeerClient = grpc.makeGenericClientConstructor(peerService, 'RaftTransport');

/** Raised when an older peer would misunderstand a message. */
export const peerProtocolVersion = 1;

export const peerLimits = {
  /** One gRPC message. Above the largest entry a store accepts, with room; a longer one is refused on both sides. */
  frameBytesMax: 32 * 1024 * 1024,
  /** Messages of one turn travel together up to this; more would keep a heartbeat waiting behind a long write. */
  batchBytesMax: 1024 * 1024,
  batchMessagesMax: 256,
  /** Per peer. Raft repeats what is lost, so a peer that is this far behind loses messages rather than our memory. */
  queueBytesMax: 32 * 1024 * 1024,
  queueMessagesMax: 4096,
  snapshotChunkBytesMax: 1024 * 1024,
  /** A snapshot stream that moves nothing for so long is given up. */
  snapshotStallMs: 30_000,
  connectTimeoutMs: 5_000,
  backoffFirstMs: 50,
  /** Well under an election timeout: a peer that is back hears the leader before it campaigns. */
  backoffLastMs: 500,
  /** A peer that refuses us (another cluster, another member) will not change its mind soon. */
  backoffRefusedMs: 5_000,
} as const;

const commonOptions: grpc.ChannelOptions = {
  'grpc.max_receive_message_length': peerLimits.frameBytesMax,
  'grpc.max_send_message_length': peerLimits.frameBytesMax,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  // Node's session limit of 10 MB is below one large frame; frameBytesMax is the limit that counts.
  'grpc-node.max_session_memory': Number.MAX_SAFE_INTEGER,
};

/** Channelz stays on: without it grpc-js forgets its sessions, and a forced shutdown leaves them open. */
export const serverOptions = commonOptions;

export const clientOptions: grpc.ChannelOptions = {
  ...commonOptions,
  // Connection attempts are ours to time, so no attempt may share a connection's state with an earlier one.
  'grpc.use_local_subchannel_pool': 1,
  // A retry would repeat messages that Raft repeats itself, and keep a copy of them until then.
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
};

export interface PeerHeader {
  readonly clusterId: string;
  readonly from: ReplicaId;
  readonly to: ReplicaId;
}

export interface PeerTls {
  /** PEM. Certificates of peers are verified against it, on both sides; without it by the authorities of the system. */
  readonly ca?: Uint8Array;
  readonly cert: Uint8Array;
  readonly key: Uint8Array;
  /** Name that peers' certificates carry, when they are not made out to addresses. */
  readonly serverName?: string;
  /** Peers made their certificates themselves: any is taken. */
  readonly isUnverified?: boolean;
  /** Why a certificate is not a peer's, beyond what TLS finds. */
  readonly check?: (certificate: PeerCertificate) => string | undefined;
}

export function encodeHeader(header: PeerHeader): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set('keelson-protocol', String(peerProtocolVersion));
  metadata.set('keelson-cluster-id', header.clusterId);
  metadata.set('keelson-from', String(header.from));
  metadata.set('keelson-to', String(header.to));
  return metadata;
}

/** The caller, or why it is refused. */
export function acceptHeader(metadata: grpc.Metadata, self: Omit<PeerHeader, 'from' | 'to'> & { id: ReplicaId }) {
  const text = (key: string) => String(metadata.get(key)[0] ?? '');
  const refused = (reason: string) => ({ reason, clusterId: text('keelson-cluster-id'), from: text('keelson-from') });
  if (text('keelson-protocol') !== String(peerProtocolVersion)) {
    return refused(`peer protocol "${text('keelson-protocol')}" is not ${peerProtocolVersion}: run the same version`);
  }
  if (text('keelson-cluster-id') !== self.clusterId) {
    return refused(
      `member ${text('keelson-from')} belongs to cluster ${text('keelson-cluster-id')}, this is cluster ` +
        `${self.clusterId}: check the peer addresses of both`,
    );
  }
  if (text('keelson-to') !== String(self.id)) {
    return refused(`the call is for member ${text('keelson-to')}, this is member ${self.id}: check the peer addresses`);
  }
  const from = Number(text('keelson-from'));
  if (!Number.isSafeInteger(from) || from <= 0 || from === self.id) {
    return refused(`"${text('keelson-from')}" is no other member's id`);
  }
  return { from: from as ReplicaId };
}

/** host:port of a peer URL; the port is 2380 when it has none. (URL drops a port that is its scheme's default.) */
export function addressOf(url: string): string {
  const unix = /^unixs?:\/\/(.+)$/.exec(url);
  if (unix) return `unix:${unix[1]}`;
  const match = /^https?:\/\/(\[[^\]]+\]|[^:/]+)(?::([0-9]+))?\/?$/.exec(url);
  if (!match) throw new KeelsonError('BAD_PEER_URL', `peer URL ${JSON.stringify(url)}: want http(s)://host:port`);
  return `${match[1]}:${match[2] ?? '2380'}`;
}

/** Name sent in the handshake with a peer that is addressed by IP, for which TLS has no name. */
const namelessServer = 'keelson-peer';

/** Credentials and options to connect to `url`. The peer's certificate must carry `serverName`, else the URL's host. */
export function clientSecurity(url: string, tls: PeerTls | undefined) {
  if (!tls || !/^(https|unixs):/.test(url)) {
    return { credentials: grpc.credentials.createInsecure(), options: clientOptions };
  }
  const host = url.startsWith('unixs:') ? 'localhost' : new URL(url).hostname.replace(/^\[|\]$/g, '');
  const isAddress = isIP(host) !== 0;
  const wanted = tls.serverName ?? host;
  const ca = tls.ca ? Buffer.from(tls.ca) : null;
  const [key, cert] = [Buffer.from(tls.key), Buffer.from(tls.cert)];
  // grpc-js would send the IP as server name, which TLS forbids, so the certificate's check is told the host instead.
  const credentials = grpc.credentials.createSsl(ca, key, cert, {
    rejectUnauthorized: tls.isUnverified !== true,
    checkServerIdentity: (_name, certificate) => {
      const reason = tls.check?.(certificate);
      if (reason !== undefined) return new Error(reason);
      return tls.isUnverified === true ? undefined : checkServerIdentity(wanted, certificate);
    },
  });
  const name = tls.serverName ?? (isAddress ? namelessServer : host);
  return { credentials, options: { ...clientOptions, 'grpc.ssl_target_name_override': name } };
}

export function serverCredentials(tls: PeerTls | undefined): grpc.ServerCredentials {
  if (!tls) return grpc.ServerCredentials.createInsecure();
  const pair = { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) };
  return grpc.ServerCredentials.createSsl(tls.ca ? Buffer.from(tls.ca) : null, [pair], true);
}
