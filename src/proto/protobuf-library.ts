/**
 * protobufjs, loaded when a message first needs it: most members of a store never see one that their own codecs do not
 * read, and half a hundred modules would stay in memory for nothing. Whoever gets the library here gets it with its
 * 64-bit gate guarded (int64.ts says what from).
 */
import { createRequire } from 'node:module';
import Long from 'long';
import type protobuf from 'protobufjs';
import { assert } from '../env/assert.ts';
import { fromInt64, toInt64, toUint64 } from './int64.ts';

export type ProtobufLibrary = typeof protobuf;

// What calls this is synchronous: a codec in the middle of a message.
const load = createRequire(import.meta.url);
let library: ProtobufLibrary | undefined;

/** The same object each time, and the one that `import 'protobufjs'` gives. */
export function openProtobuf(): ProtobufLibrary {
  if (library !== undefined) return library;
  const loaded = load('protobufjs') as ProtobufLibrary;
  guardLongBits(loaded);
  library = loaded;
  return loaded;
}

interface LongBitsClass {
  from(value: unknown): unknown;
  readonly isBigintSafe?: boolean;
}

/** Teaches protobufjs's single 64-bit gate about bigint, and proves it with one message. */
function guardLongBits(loaded: ProtobufLibrary): void {
  const longBits = (loaded.util as unknown as { LongBits: LongBitsClass }).LongBits;
  if (longBits.isBigintSafe) return;
  const original = longBits.from.bind(longBits);
  const guarded = (value: unknown): unknown => {
    switch (typeof value) {
      case 'bigint':
        return original(value < 0n ? toInt64(value) : toUint64(value));
      case 'number':
        assert(Number.isSafeInteger(value), () => `64-bit field from ${value}, which is no safe integer`);
        return original(value);
      case 'string':
        assert(/^-?[0-9]{1,20}$/.test(value), () => `64-bit field from the string ${JSON.stringify(value)}`);
        return original(value);
      default:
        assert(Long.isLong(value), () => `64-bit field set from ${typeof value}`);
        return original(value);
    }
  };
  Object.assign(longBits, { from: guarded, isBigintSafe: true });
  const probe = new loaded.Type('Probe').add(new loaded.Field('value', 1, 'int64'));
  new loaded.Root().add(probe);
  const decoded = probe.decode(probe.encode({ value: -5n }).finish()) as unknown as { value: Long };
  assert(fromInt64(decoded.value) === -5n, 'protobufjs writes a bigint into a 64-bit field as it is');
}
