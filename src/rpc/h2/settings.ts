/** SETTINGS of a client (RFC 9113, section 6.5). */
import { ConnectionError, errorCode, frameBytesLeast, int31Max, settingId } from './frames.ts';

const settingBytes = 6;
/** A frame may repeat a setting for each of its six bytes; nobody sends more than there are. */
const settingsMax = 64;

/** The settings of one frame, in order. Throws ConnectionError for values that are not allowed. */
export function readSettings(
  bytes: Buffer,
  start: number,
  end: number,
): readonly (readonly [id: number, value: number])[] {
  const count = (end - start) / settingBytes;
  if (!Number.isInteger(count)) throw new ConnectionError(errorCode.frameSizeError, 'each setting takes 6 bytes');
  if (count > settingsMax) throw new ConnectionError(errorCode.enhanceYourCalm, 'too many settings in one frame');
  const settings: (readonly [number, number])[] = [];
  for (let at = start; at < end; at += settingBytes) {
    const id = bytes.readUInt16BE(at);
    const value = bytes.readUInt32BE(at + 2);
    check(id, value);
    settings.push([id, value]);
  }
  return settings;
}

function check(id: number, value: number): void {
  if (id === settingId.enablePush && value > 1) {
    throw new ConnectionError(errorCode.protocolError, `ENABLE_PUSH is ${value}, want 0 or 1`);
  }
  if (id === settingId.initialWindowSize && value > int31Max) {
    throw new ConnectionError(
      errorCode.flowControlError,
      `INITIAL_WINDOW_SIZE is ${value}, at most ${int31Max} is allowed`,
    );
  }
  if (id === settingId.maxFrameSize && (value < frameBytesLeast || value >= 2 ** 24)) {
    throw new ConnectionError(errorCode.protocolError, `MAX_FRAME_SIZE is ${value}, want 16384 to 16777215`);
  }
}
