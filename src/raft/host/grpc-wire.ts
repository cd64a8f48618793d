/** What both ends of a peer connection agree on: the service, its metadata, and every limit with its reason. */
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import descriptor from '../../../proto/gen/raft.json' with { type: 'json' };
import { present } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import { loadService } from '../../proto/grpc-service.ts';
import type { H2ClientOptions, ServerAddress } from '../../rpc/h2/client-host.ts';
import type { FieldPair } from '../../rpc/h2/stream.ts';
import type { ReplicaId } from '../core/types.ts';
import type { ReadField } from './grpc-words.ts';

export const peerService = loadService(descriptor, 'keelson.raft.v1.RaftTransport');

const pathOf = (method: string) => present(peerService[method], method).path;
export const streamPath = pathOf('Stream');
export const snapshotPath = pathOf('InstallSnapshot');

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
  /** Until a peer's machine answers: longer than any way there and back, and as long as the kernel waits to ask again. */
  reachTimeoutMs: 1_000,
  /**
   * A peer that is asked and says nothing for so long gets a new connection: on the old one, the kernel waits longer and longer
   * before it tries again, so that a line that is whole again stays silent for as long as it was broken.
   */
  silenceMs: 3_000,
  /** An answer may be behind all that was sent before it, on a line as slow as this. */
  slowestBytesPerMs: 256,
  /** A peer that says nothing for so long is asked, and given up when it does not answer in time. */
  keepaliveIntervalMs: 10_000,
  keepaliveTimeoutMs: 5_000,
  /** Calls of one peer at a time: a stream, a snapshot, and what members ask each other beside Raft. */
  concurrentCallsMax: 1_000,
  backoffFirstMs: 50,
  /** Well under an election timeout: a peer that is back hears the leader before it campaigns. */
  backoffLastMs: 500,
  /** A peer that refuses us (another cluster, another member) will not change its mind soon. */
  backoffRefusedMs: 5_000,
} as const;

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

export function encodeHeader(header: PeerHeader): FieldPair[] {
  return [
    ['keelson-protocol', String(peerProtocolVersion)],
    ['keelson-cluster-id', header.clusterId],
    ['keelson-from', String(header.from)],
    ['keelson-to', String(header.to)],
  ];
}

/** The caller, or why it is refused. */
export function acceptHeader(read: ReadField, self: Omit<PeerHeader, 'from' | 'to'> & { id: ReplicaId }) {
  const text = (key: string) => read(key) ?? '';
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

/** Where a peer URL leads; the port is 2380 when it has none. (URL drops a port that is its scheme's default.) */
export function addressOf(url: string): ServerAddress {
  const unix = /^unixs?:\/\/(.+)$/.exec(url);
  if (unix) return { path: unix[1] as string };
  const match = /^https?:\/\/(\[[^\]]+\]|[^:/]+)(?::([0-9]+))?\/?$/.exec(url);
  if (!match) throw new KeelsonError('BAD_PEER_URL', `peer URL ${JSON.stringify(url)}: want http(s)://host:port`);
  return { host: (match[1] as string).replace(/^\[|\]$/g, ''), port: Number(match[2] ?? '2380') };
}

/** What TLS needs to connect to `url`, whose certificate must carry `serverName`, else the URL's host. Undefined: plain text. */
export function clientTlsFor(url: string, tls: PeerTls | undefined): H2ClientOptions['tls'] {
  if (!tls || !/^(https|unixs):/.test(url)) return undefined;
  const address = addressOf(url);
  const host = 'path' in address ? 'localhost' : address.host;
  const wanted = tls.serverName ?? host;
  return {
    ...(tls.ca ? { ca: Buffer.from(tls.ca) } : {}),
    key: Buffer.from(tls.key),
    cert: Buffer.from(tls.cert),
    rejectUnauthorized: tls.isUnverified !== true,
    checkServerIdentity: (_name, certificate) => {
      const reason = tls.check?.(certificate);
      if (reason !== undefined) return new Error(reason);
      return tls.isUnverified === true ? undefined : checkServerIdentity(wanted, certificate);
    },
    // TLS has no name for an address.
    servername: isIP(wanted) === 0 ? wanted : namelessServer,
  };
}

/** Name sent in the handshake with a peer that is addressed by IP. */
const namelessServer = 'keelson-peer';
