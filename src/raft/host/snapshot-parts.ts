/** Parts of a snapshot's stream as protobuf (proto/raft.proto). */
import { assert } from '../../env/assert.ts';
import descriptor from '../../../proto/gen/raft.json' with { type: 'json' };
import { loadMessage } from '../../proto/grpc-service.ts';
import { bytesType, ProtoReader, writeVarint } from '../../proto/wire-format.ts';
import { streamQueueBytesHigh } from '../../rpc/h2/limits.ts';
import type { ProtoSnapshotPart } from './message-codec.ts';

const codec = loadMessage<ProtoSnapshotPart>(descriptor, 'keelson.raft.v1.SnapshotPart');
/** The description of a snapshot names its members; this is some thousands of them. */
const describedBytesMax = 64 * 1024;
const messageTag = (1 << 3) | bytesType;

export function encodePart(part: ProtoSnapshotPart): Buffer {
  return codec.encode(part);
}

/** Field 2, bytes. */
const chunkTag = (2 << 3) | bytesType;
const chunkHeadBytesMax = 8;

/** Smaller ones are no burden, and too many of them may wait at a time. */
const turnBytesMin = 64 * 1024;
/** As many of those as make a stream full, the one that did, the one that is made, and one to spare. */
const turns = Math.ceil(streamQueueBytesHigh / turnBytesMin) + 3;

/**
 * Parts that are a chunk each, the large ones in memory that takes turns: a gigabyte of them would otherwise be as much to
 * collect. The caller writes no more while its stream is full.
 */
export class ChunkParts {
  readonly #memory: Uint8Array[] = [];
  #next = 0;

  /** Valid until it has left a stream that is written to as said above. */
  encode(chunk: Uint8Array): Uint8Array {
    const memory = this.#memoryFor(chunk.length + chunkHeadBytesMax, chunk.length >= turnBytesMin);
    memory[0] = chunkTag;
    const at = writeVarint(memory, 1, chunk.length);
    assert(at <= chunkHeadBytesMax, 'what is before a chunk is short');
    memory.set(chunk, at);
    return memory.subarray(0, at + chunk.length);
  }

  #memoryFor(bytes: number, isInTurn: boolean): Uint8Array {
    if (!isInTurn) return new Uint8Array(bytes);
    const turn = this.#next;
    this.#next = (turn + 1) % turns;
    let memory = this.#memory[turn];
    if (memory === undefined || memory.length < bytes) {
      memory = new Uint8Array(bytes);
      this.#memory[turn] = memory;
    }
    return memory;
  }
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
