/** Bytes of a watch response into its events: one JSON document a line. */
import { KeelsonError } from '../../env/errors.ts';
import type { JsonObject } from '../api/contract.ts';

/** An object has at most 1.5 MiB in the store; a line far longer than that is not a watch event. */
const lineBytesMax = 16 << 20;

export interface WatchFrame {
  readonly type: string;
  readonly object: JsonObject;
}

export class WatchDecoder {
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  /** The events that `chunk` completes. Throws KeelsonError BAD_WATCH_EVENT when a line is not an event. */
  push(chunk: Buffer): WatchFrame[] {
    const frames: WatchFrame[] = [];
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const line = Buffer.concat([...this.#pending, chunk.subarray(from, end)]).toString();
      this.#pending = [];
      this.#pendingBytes = 0;
      from = end + 1;
      if (line.trim() !== '') frames.push(parseFrame(line));
    }
    if (from < chunk.length) {
      this.#pending.push(chunk.subarray(from));
      this.#pendingBytes += chunk.length - from;
      if (this.#pendingBytes > lineBytesMax) {
        throw new KeelsonError('BAD_WATCH_EVENT', `cannot read a watch event: it is longer than ${lineBytesMax} bytes`);
      }
    }
    return frames;
  }
}

function parseFrame(line: string): WatchFrame {
  try {
    const frame = JSON.parse(line);
    if (typeof frame.type === 'string' && typeof frame.object === 'object' && frame.object !== null) return frame;
  } catch (error) {
    throw new KeelsonError('BAD_WATCH_EVENT', 'cannot read a watch event: it is not JSON', { cause: error });
  }
  throw new KeelsonError('BAD_WATCH_EVENT', 'cannot read a watch event: it has no type or no object');
}
