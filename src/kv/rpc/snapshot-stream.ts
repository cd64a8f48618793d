/** Maintenance.Snapshot: the state as an etcd snapshot file in pieces, then its SHA-256, which etcdctl writes behind it. */
import { KvError } from '../errors.ts';
import type { StoreSnapshot } from '../snapshot/exporter.ts';
import { type Face, headerOf } from './call.ts';
import type { StreamMethod } from '../../rpc/service.ts';
import { type FaceStream, stream } from './stream.ts';
import { maintenanceService } from './services.ts';
import type { Out, WireHeader } from './wire.ts';

interface SnapshotAnswer {
  readonly header: Out<WireHeader>;
  /** Bytes of the file that are still to come; its checksum does not count. */
  readonly remainingBytes: number;
  readonly blob: Uint8Array;
  /** Of the storage. */
  readonly version: string;
}

/** A client that takes nothing for so long keeps others from a snapshot, and its file on the disk. */
const stalledAfterMs = 60_000;

export function snapshotMethod(face: Face): StreamMethod<object, SnapshotAnswer> {
  return stream(face, maintenanceService['Snapshot'], (answers: FaceStream<SnapshotAnswer>) => {
    // Made by `gone` and `drained`; only one piece is on its way at a time.
    let wake = () => {};
    const drained = () =>
      new Promise<void>((resolve, reject) => {
        const cancel = face.server.clock.after(stalledAfterMs, () => reject(new KvError('timeout')));
        wake = () => {
          cancel();
          resolve();
        };
      });
    let isStarted = false;
    return {
      request: () => {
        if (isStarted) return;
        isStarted = true;
        send(face, answers, drained).catch((error: unknown) => answers.fail(error));
      },
      ended: () => undefined,
      drained: () => wake(),
      gone: () => wake(),
    };
  });
}

async function send(face: Face, answers: FaceStream<SnapshotAnswer>, drained: () => Promise<void>): Promise<void> {
  await face.server.auth.requireRoot(answers.call);
  const snapshot = await face.server.snapshot();
  const timings = face.server.timings();
  timings.snapshotsOpen += 1;
  try {
    await sendAll(face, answers, snapshot, drained);
  } finally {
    timings.snapshotsOpen -= 1;
    await snapshot.close();
  }
}

async function sendAll(
  face: Face,
  answers: FaceStream<SnapshotAnswer>,
  snapshot: StoreSnapshot,
  drained: () => Promise<void>,
): Promise<void> {
  const version = face.server.status().clusterVersion;
  const header = headerOf(face.server, snapshot.revision);
  let remainingBytes = snapshot.bytes;
  for await (const blob of snapshot.chunks()) {
    if (answers.isOver()) return;
    // Behind the content comes its checksum.
    remainingBytes = Math.max(0, remainingBytes - blob.length);
    if (!answers.write({ header, remainingBytes, blob, version })) await drained();
  }
  answers.end();
}
