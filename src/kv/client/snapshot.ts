/** Asks one member for a snapshot of the store and hands it out as it arrives, no faster than it is taken. */
import * as grpc from '@grpc/grpc-js';
import { present } from '../../env/assert.ts';
import { KeelsonError } from '../../env/errors.ts';
import { maintenanceService } from '../rpc/wire.ts';
import { Connections } from './connections.ts';
import type { KvClientOptions } from './contract.ts';
import { toClientError } from './failures.ts';

const connectTimeoutMs = 5_000;

export interface SnapshotRequest extends KvClientOptions {
  readonly signal?: AbortSignal;
  /** Sent with the call, as `token` for one who has authenticated. */
  readonly token?: string;
}

/**
 * Pieces of an etcd snapshot file, its SHA-256 as the last 32 bytes. Takes the first endpoint that can be reached; rejects
 * with KvError, KeelsonError `GRPC_*`, or `NO_MEMBER` when there is none.
 */
export async function* fetchSnapshot(request: SnapshotRequest): AsyncGenerator<Uint8Array> {
  const connections = new Connections(request);
  try {
    const client = connections.get(await reachable(connections, request.endpoints));
    const method = present(maintenanceService['Snapshot'], 'method Snapshot');
    const metadata = new grpc.Metadata();
    if (request.token !== undefined) metadata.set('token', request.token);
    const answers = client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      {},
      metadata,
    );
    const onAbort = () => answers.cancel();
    request.signal?.addEventListener('abort', onAbort, { once: true });
    try {
      for await (const answer of answers) yield Buffer.from((answer as { readonly blob: Uint8Array }).blob);
    } catch (error) {
      request.signal?.throwIfAborted();
      throw toClientError(error as grpc.ServiceError, 'take a snapshot of the store');
    } finally {
      request.signal?.removeEventListener('abort', onAbort);
      answers.cancel();
    }
  } finally {
    connections.close();
  }
}

async function reachable(connections: Connections, endpoints: readonly string[]): Promise<string> {
  for (const endpoint of endpoints) if (await connections.connect(endpoint, connectTimeoutMs)) return endpoint;
  throw new KeelsonError(
    'NO_MEMBER',
    `take a snapshot of the store: no member answers at ${endpoints.join(', ')}: check the addresses and that it runs`,
  );
}
