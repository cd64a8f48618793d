/** Asks one member for a snapshot of the store and hands it out as it arrives, no faster than it is taken. */
import * as grpc from '@grpc/grpc-js';
import { present } from '../../env/assert.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import { fromInt64, type Int64Like, safeNumberFromInt64 } from '../../proto/int64.ts';
import { authService, maintenanceService } from '../rpc/services.ts';
import type { Out, WireHeader } from '../rpc/wire.ts';
import { Caller } from './calls.ts';
import { Connections } from './connections.ts';
import type { KvClientOptions } from './contract.ts';
import { toClientError } from './failures.ts';

const connectTimeoutMs = 5_000;
const authenticateTimeoutMs = 10_000;

export interface SnapshotRequest extends KvClientOptions {
  /** Who asks, where users are. */
  readonly user?: { readonly name: string; readonly password: string };
}

export interface RemoteSnapshot {
  /** Hexadecimal, as etcd prints it. */
  readonly clusterId: string;
  readonly revision: number;
  /** An etcd snapshot file in pieces, its SHA-256 as the last 32 bytes. To be read once; ends the connection. */
  chunks(): AsyncGenerator<Uint8Array>;
  /** For one whose chunks are not read. */
  close(): void;
}

interface SnapshotAnswer {
  readonly header: Out<WireHeader> | null;
  readonly blob: Uint8Array;
}

/**
 * Takes the first endpoint that can be reached and resolves with its first answer. Rejects with KvError, KeelsonError
 * `GRPC_*`, or `NO_MEMBER` when none can be reached.
 */
export async function openRemoteSnapshot(request: SnapshotRequest): Promise<RemoteSnapshot> {
  const connections = new Connections(request);
  try {
    const endpoint = await reachable(connections, request.endpoints);
    const metadata = new grpc.Metadata();
    if (request.user) metadata.set('token', await authenticate(connections, request, endpoint));
    const method = present(maintenanceService['Snapshot'], 'method Snapshot');
    const { path, requestSerialize, responseDeserialize } = method;
    const stream = connections
      .get(endpoint)
      .makeServerStreamRequest(path, requestSerialize, responseDeserialize, {}, metadata);
    const answers = stream[Symbol.asyncIterator]() as AsyncIterator<SnapshotAnswer>;
    const first = await next(answers);
    if (first === undefined)
      throw new KeelsonError('NO_SNAPSHOT', `take a snapshot of the store: ${endpoint} sent nothing`);
    return {
      clusterId: BigInt.asUintN(64, fromInt64(first.header?.clusterId as Int64Like)).toString(16),
      revision: safeNumberFromInt64(first.header?.revision),
      close: () => connections.close(),
      async *chunks() {
        try {
          for (let answer: SnapshotAnswer | undefined = first; answer; answer = await next(answers)) yield answer.blob;
        } finally {
          stream.cancel();
          connections.close();
        }
      },
    };
  } catch (error) {
    connections.close();
    throw error;
  }
}

/** The next answer; undefined at the end. */
async function next(answers: AsyncIterator<SnapshotAnswer>): Promise<SnapshotAnswer | undefined> {
  try {
    const { done, value } = await answers.next();
    return done ? undefined : value;
  } catch (error) {
    const action = 'take a snapshot of the store';
    if (error instanceof Error && 'code' in error && 'details' in error) {
      throw toClientError(error as grpc.ServiceError, action);
    }
    throw new KeelsonError('NO_SNAPSHOT', `${action}: ${errorText(error)}`, { cause: error });
  }
}

async function authenticate(connections: Connections, request: SnapshotRequest, endpoint: string): Promise<string> {
  const caller = new Caller(connections, request.clock, authenticateTimeoutMs);
  const call = {
    service: authService,
    method: 'Authenticate',
    request: request.user as object,
    isRead: true,
    endpoint,
  };
  return (await caller.call<{ readonly token: string }>(call)).token;
}

async function reachable(connections: Connections, endpoints: readonly string[]): Promise<string> {
  for (const endpoint of endpoints) {
    if (await connections.connect(endpoint, connectTimeoutMs)) return endpoint;
    connections.moveOn(endpoint);
  }
  throw new KeelsonError(
    'NO_MEMBER',
    `take a snapshot of the store: no member answers at ${endpoints.join(', ')}: check the addresses and that it runs`,
  );
}
