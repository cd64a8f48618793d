/** Events as a watch stream writes them, in the words of the checkers. */
import type { KeyValue } from '../../src/kv/api.ts';
import { fromWireEvent } from '../../src/kv/rpc/codec-values.ts';
import type { Out, WireEvent } from '../../src/kv/rpc/wire.ts';
import type { ModelKey } from '../check/model.ts';
import type { SeenEvent } from '../check/watch.ts';

const decoder = new TextDecoder();

export function toModelKey(kv: KeyValue): ModelKey {
  const { createRevision, modRevision, version, lease } = kv;
  const [key, value] = [decoder.decode(kv.key), decoder.decode(kv.value)];
  return { key, value, createRevision, modRevision, version, lease: String(lease) };
}

export function toSeen(wire: Out<WireEvent>): SeenEvent {
  const { type, kv, prevKv } = fromWireEvent(wire);
  return {
    revision: kv.modRevision,
    type,
    key: decoder.decode(kv.key),
    now: type === 'put' ? toModelKey(kv) : undefined,
    before: prevKv === undefined ? undefined : toModelKey(prevKv),
  };
}
