/** Control frames of a client, read and checked by the rules of RFC 9113, section 6. All throw ConnectionError. */
import { ConnectionError, errorCode, frameFlag, readUint31 } from './frames.ts';

/** A frame as the reader tells it: `bytes[start, end)` is its payload. */
export interface ReceivedFrame {
  readonly flags: number;
  readonly streamId: number;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/** By how much a window is widened; zero is an error, of the stream alone where there is one. */
export function readWindowUpdate({ streamId, bytes, start, end }: ReceivedFrame): number {
  checkSize('WINDOW_UPDATE', end - start, 4);
  const increment = readUint31(bytes, start);
  if (streamId === 0 && increment === 0) {
    throw new ConnectionError(errorCode.protocolError, 'a window is widened by nothing');
  }
  return increment;
}

/** Why the client has reset a stream. */
export function readRstStream({ bytes, start, end }: ReceivedFrame): number {
  checkSize('RST_STREAM', end - start, 4);
  return bytes.readUInt32BE(start);
}

/** The eight bytes of a ping. */
export function readPing({ streamId, bytes, start, end }: ReceivedFrame): Buffer {
  checkConnectionFrame('PING', streamId);
  checkSize('PING', end - start, 8);
  return bytes.subarray(start, end);
}

export function checkGoAway({ streamId, start, end }: ReceivedFrame): void {
  checkConnectionFrame('GOAWAY', streamId);
  if (end - start < 8) throw new ConnectionError(errorCode.frameSizeError, 'GOAWAY is too short');
}

/** Whether SETTINGS are no settings but the acknowledgement of ours. */
export function isSettingsAck({ flags, streamId, start, end }: ReceivedFrame): boolean {
  checkConnectionFrame('SETTINGS', streamId);
  if ((flags & frameFlag.ack) === 0) return false;
  if (end > start) throw new ConnectionError(errorCode.frameSizeError, 'an acknowledgement of SETTINGS is empty');
  return true;
}

/** The code to reset the stream with; undefined when there is nothing wrong with the PRIORITY. */
export function errorOfPriority({ streamId, bytes, start, end }: ReceivedFrame): number | undefined {
  if (streamId === 0) throw new ConnectionError(errorCode.protocolError, 'PRIORITY belongs to a stream');
  if (end - start !== 5) return errorCode.frameSizeError;
  return readUint31(bytes, start) === streamId ? errorCode.protocolError : undefined;
}

function checkConnectionFrame(name: string, streamId: number): void {
  if (streamId !== 0) throw new ConnectionError(errorCode.protocolError, `${name} belongs to no stream`);
}

function checkSize(name: string, bytes: number, wanted: number): void {
  if (bytes !== wanted)
    throw new ConnectionError(errorCode.frameSizeError, `${name} takes ${wanted} bytes, not ${bytes}`);
}
