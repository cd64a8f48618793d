/**
 * Streams one snapshot to a peer in a call of its own (proto/raft.proto): its message, then what the peer says it does not
 * have of the content, then how much there was in all. Held back by the peer's windows, given up when nothing moves.
 */
import { assert } from '../../env/assert.ts';
import type { Cancel, Clock } from '../../env/clock.ts';
import { errorText, KeelsonError } from '../../env/errors.ts';
import { grpcStatus } from '../../rpc/grpc-status.ts';
import type { H2Client } from '../../rpc/h2/client-host.ts';
import type { FieldPair } from '../../rpc/h2/stream.ts';
import type { Message } from '../core/types.ts';
import { peerLimits, snapshotPath } from './grpc-wire.ts';
import { stagedBytesOf } from './grpc-words.ts';
import { toProto } from './message-codec.ts';
import { ChunkParts, encodePart } from './snapshot-parts.ts';

export interface SnapshotWay {
  readonly client: H2Client;
  readonly clock: Pick<Clock, 'after'>;
  readonly metadata: readonly FieldPair[];
  readonly onResumed: (stagedBytes: number) => void;
}

/** Resolves when the peer has stored and stepped the snapshot; rejects with SNAPSHOT_NOT_DELIVERED. */
export async function streamSnapshot(
  message: Message & { readonly type: 'snap' },
  chunks: AsyncIterable<Uint8Array>,
  { client, clock, metadata, onResumed }: SnapshotWay,
): Promise<void> {
  const accepted = Promise.withResolvers<number>();
  const answered = Promise.withResolvers<void>();
  let room = Promise.withResolvers<void>();
  const call = client.call(snapshotPath, metadata, {
    begun: (fields) => accepted.resolve(stagedBytesOf((name) => fields.get(name))),
    message: () => undefined,
    drained: () => room.resolve(),
    ended: ({ code, details }) => {
      // A peer that had all of it, or wants none, answers without beginning.
      if (code === grpcStatus.ok) answered.resolve();
      else answered.reject(new Error(details));
      accepted.resolve(0);
      room.resolve();
    },
  });
  if (!call) throw new KeelsonError('UNREACHABLE', `send snapshot: member ${message.to} takes no more calls now`);
  let cancelStall: Cancel = () => undefined;
  const moved = () => {
    cancelStall();
    cancelStall = clock.after(peerLimits.snapshotStallMs, () => {
      call.cancel();
      answered.reject(new Error(`nothing moved for ${peerLimits.snapshotStallMs} ms`));
      accepted.resolve(0);
      room.resolve();
    });
  };
  // What ends the call is thrown where the sender next looks, or at the end.
  let failed: unknown;
  answered.promise.catch((error: unknown) => {
    failed = error;
  });
  const chunkParts = new ChunkParts();
  const write = async (part: Uint8Array) => {
    room = Promise.withResolvers<void>();
    if (!call.write(part)) await room.promise;
    if (failed !== undefined) throw failed;
    moved();
  };
  try {
    moved();
    await write(encodePart({ message: toProto(message) }));
    const stagedBytes = await accepted.promise;
    if (stagedBytes > 0) onResumed(stagedBytes);
    let totalBytes = 0;
    for await (const chunk of chunks) {
      // What the peer has is read here all the same: it is verified, and cheap beside the network.
      let from = Math.min(Math.max(stagedBytes - totalBytes, 0), chunk.length);
      for (; from < chunk.length; from += peerLimits.snapshotChunkBytesMax) {
        await write(chunkParts.encode(chunk.subarray(from, from + peerLimits.snapshotChunkBytesMax)));
      }
      totalBytes += chunk.length;
    }
    assert(totalBytes >= 0, 'content has a length');
    await write(encodePart({ isLast: true, totalBytes }));
    call.end();
    await answered.promise;
  } catch (error) {
    call.cancel();
    throw new KeelsonError('SNAPSHOT_NOT_DELIVERED', `send snapshot to member ${message.to}: ${errorText(error)}`, {
      cause: error,
    });
  } finally {
    cancelStall();
  }
}
