/** Maintenance.Snapshot: the state as an etcd snapshot file in pieces, then its SHA-256, which etcdctl writes behind it. */
import { assert } from '../../env/assert.ts';
import { bytesType, varintSize, writeVarint } from '../../proto/wire-format.ts';
import { streamQueueBytesHigh } from '../../rpc/h2/limits.ts';
import { noBytes } from '../api.ts';
import { KvError } from '../errors.ts';
import { snapshotPieceBytes, type StoreSnapshot } from '../snapshot/exporter.ts';
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
  /** Not part of the message: `blob` has `headBytes` in front of it that are nobody else's. */
  readonly hasRoom?: boolean;
}

/** A client that takes nothing for so long keeps others from a snapshot, and its file on the disk. */
const stalledAfterMs = 60_000;

export function snapshotMethod(face: Face): StreamMethod<object, SnapshotAnswer> {
  const method = stream(face, maintenanceService['Snapshot'], (answers: FaceStream<SnapshotAnswer>) => {
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
  const { codec } = method;
  return { ...method, codec: { ...codec, encode: (answer) => encoded(answer, codec.encode) } };
}

/** In front of each piece, for the other fields of its message. */
const headBytes = 128;
/** No other memory is of this length: Node's own pool is a power of two. */
const pieceBytes = headBytes + snapshotPieceBytes;
/** More than a stream takes before it says that it is full, and two more: the one that filled it and the next one. */
const piecesMax = Math.ceil(streamQueueBytesHigh / snapshotPieceBytes) + 4;
/** Field 3, bytes. */
const blobTag = (3 << 3) | bytesType;

/** The message around a piece, written in front of it where it has the room; a gigabyte of copies would be as much to collect. */
function encoded(answer: SnapshotAnswer, encode: (answer: SnapshotAnswer) => Uint8Array): Uint8Array {
  const { blob } = answer;
  const rest = encode({ ...answer, blob: noBytes });
  const tagBytes = 1 + varintSize(blob.length);
  const from = blob.byteOffset - tagBytes - rest.length;
  if (answer.hasRoom !== true || from < 0) return encode(answer);
  const message = new Uint8Array(blob.buffer, from, tagBytes + rest.length + blob.length);
  message.set(rest);
  message[rest.length] = blobTag;
  writeVarint(message, rest.length + 1, blob.length);
  return message;
}

/** Memory for one piece after the other; that of an older one is used again when it is on its way. */
function piecesInTurn(): (bytes: number) => Uint8Array {
  const pieces: ArrayBuffer[] = [];
  let next = 0;
  return (bytes) => {
    assert(bytes > 0 && bytes <= snapshotPieceBytes, () => `a piece of ${bytes} bytes`);
    const piece = (pieces[next] ??= new ArrayBuffer(pieceBytes));
    next = (next + 1) % piecesMax;
    return new Uint8Array(piece, headBytes, bytes);
  };
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
  for await (const blob of snapshot.chunks(piecesInTurn())) {
    if (answers.isOver()) return;
    // Behind the content comes its checksum.
    remainingBytes = Math.max(0, remainingBytes - blob.length);
    const hasRoom = blob.buffer.byteLength === pieceBytes && blob.byteOffset === headBytes;
    if (!answers.write({ header, remainingBytes, blob, version, hasRoom })) await drained();
  }
  answers.end();
}
