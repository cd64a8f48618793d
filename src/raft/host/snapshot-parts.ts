/** Parts of a snapshot's stream as protobuf (proto/raft.proto). */
import descriptor from '../../../proto/gen/raft.json' with { type: 'json' };
import { loadMessage } from '../../proto/grpc-service.ts';
import { bytesType, ProtoReader } from '../../proto/wire-format.ts';
import type { ProtoSnapshotPart } from './message-codec.ts';

const codec = loadMessage<ProtoSnapshotPart>(descriptor, 'keelson.raft.v1.SnapshotPart');
/** The description of a snapshot names its members; this is some thousands of them. */
const describedBytesMax = 64 * 1024;
const messageTag = (1 << 3) | bytesType;

export function encodePart(part: ProtoSnapshotPart): Buffer {
  return codec.encode(part);
}

/** Throws RangeError when a part describes its snapshot at a length that no membership has. */
export function decodePart(part: Uint8Array): ProtoSnapshotPart {
  const reader = new ProtoReader(part);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag !== messageTag) reader.skip(tag);
    else if (reader.view().length > describedBytesMax)
      throw new RangeError('malformed message: a snapshot described at length');
  }
  return codec.decode(part);
}
