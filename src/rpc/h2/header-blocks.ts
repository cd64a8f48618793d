/** Puts header blocks together out of HEADERS and CONTINUATION. A block that came in one frame is not copied. */
import { assert } from '../../env/assert.ts';
import { ConnectionError, errorCode, frameFlag, readUint31 } from './frames.ts';
import { continuationFramesMax, headerBlockBytesMax } from './limits.ts';

const nothing = Buffer.alloc(0);

export class HeaderBlocks {
  /** The rest of a block has to come. */
  isOpen = false;
  streamId = 0;
  isEndStream = false;
  /** A priority that makes the stream depend on itself, which is malformed. */
  dependsOnItself = false;
  #bytes: Buffer = nothing;
  #start = 0;
  #end = 0;
  #parts: Buffer[] = [];
  #partBytes = 0;

  /** A HEADERS frame; true when the block is whole. */
  begin(flags: number, streamId: number, bytes: Buffer, payloadStart: number, payloadEnd: number): boolean {
    assert(!this.isOpen, 'one block at a time');
    if (streamId === 0) throw new ConnectionError(errorCode.protocolError, 'HEADERS belong to a stream');
    let start = payloadStart;
    let end = payloadEnd;
    if ((flags & frameFlag.padded) !== 0) {
      if (start === end)
        throw new ConnectionError(errorCode.frameSizeError, 'padded HEADERS without the length of the padding');
      end -= bytes[start] as number;
      start++;
    }
    this.dependsOnItself = false;
    if ((flags & frameFlag.priority) !== 0) {
      if (payloadEnd - start < 5)
        throw new ConnectionError(errorCode.frameSizeError, 'HEADERS are too short for a priority');
      this.dependsOnItself = readUint31(bytes, start) === streamId;
      start += 5;
    }
    if (start > end)
      throw new ConnectionError(errorCode.protocolError, 'the padding of HEADERS is longer than the frame');
    this.streamId = streamId;
    this.isEndStream = (flags & frameFlag.endStream) !== 0;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
    if ((flags & frameFlag.endHeaders) !== 0) return true;
    this.isOpen = true;
    this.#parts = [Buffer.from(bytes.subarray(start, end))];
    this.#partBytes = end - start;
    return false;
  }

  /** A CONTINUATION frame; true when the block is whole. */
  go(flags: number, streamId: number, bytes: Buffer, start: number, end: number): boolean {
    if (!this.isOpen || streamId !== this.streamId) {
      throw new ConnectionError(errorCode.protocolError, 'CONTINUATION without headers to continue');
    }
    this.#parts.push(Buffer.from(bytes.subarray(start, end)));
    this.#partBytes += end - start;
    if (this.#parts.length > continuationFramesMax || this.#partBytes > headerBlockBytesMax) {
      throw new ConnectionError(errorCode.enhanceYourCalm, 'the headers are too large');
    }
    if ((flags & frameFlag.endHeaders) === 0) return false;
    this.isOpen = false;
    this.#bytes = Buffer.concat(this.#parts);
    this.#start = 0;
    this.#end = this.#bytes.length;
    this.#parts = [];
    return true;
  }

  /** The block, once it is whole. */
  take(): { readonly bytes: Buffer; readonly start: number; readonly end: number } {
    assert(!this.isOpen, 'a block is taken when it is whole');
    const block = { bytes: this.#bytes, start: this.#start, end: this.#end };
    this.#bytes = nothing;
    return block;
  }
}
