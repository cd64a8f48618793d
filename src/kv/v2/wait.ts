/** Long polls: the next change of a node, or of anything under it, and with `stream` all that follow. */
import type { KvEvent } from '../api.ts';
import { noBytes } from '../api.ts';
import { KvError } from '../errors.ts';
import type { Watcher } from '../mvcc/contract.ts';
import type { From } from '../server/auth-contract.ts';
import type { KvServer } from '../server/contract.ts';
import { V2Error } from './errors.ts';
import { keyOf, nodeOf, pathOf, rangeUnder, type V2Node } from './records.ts';
import type { Change } from './tree.ts';

export interface WaitRequest {
  readonly path: string;
  readonly isRecursive: boolean;
  /** 0 = from now on. */
  readonly index: number;
}

export interface WaitListener {
  /** False: that was the last one wanted. */
  changed(change: Change): boolean;
  failed(error: Error): void;
}

/** Resolves with what ends the waiting. */
export async function waitFor(
  server: KvServer,
  from: From,
  request: WaitRequest,
  listener: WaitListener,
): Promise<() => void> {
  const { path, isRecursive, index } = request;
  // The node itself and what lies under it are two intervals: `/a`, and from `/a/` on.
  const intervals = [
    ...(path === '/' ? [] : [{ key: keyOf(path), rangeEnd: noBytes }]),
    ...(isRecursive || path === '/' ? [rangeUnder(path)] : []),
  ];
  const watchers: Watcher[] = [];
  let isOver = false;
  const stop = () => {
    isOver = true;
    for (const watcher of watchers) watcher.cancel();
  };
  for (const interval of intervals) {
    const watch = { ...interval, startRevision: index, prevKv: true, noPut: false, noDelete: false };
    const refusal = await server.watchRefusal(watch, from);
    if (refusal !== undefined) throw new KvError(refusal);
    if (isOver) break;
    const watcher = server.watch(watch, {
      events: (events, revision) => {
        for (const event of events) {
          if (isOver || isHidden(event, path)) continue;
          if (!listener.changed(changeOf(event, revision))) stop();
        }
        return true;
      },
      compacted: (compactRevision) => {
        stop();
        const about = `the requested history has been cleared [${compactRevision}/${index}]`;
        listener.failed(new V2Error('eventIndexCleared', about));
      },
    });
    if (isOver) watcher.cancel();
    else watchers.push(watcher);
  }
  return stop;
}

/** A wait above does not see parts that begin with `_`. */
function isHidden(event: KvEvent, path: string): boolean {
  const below = pathOf(event.kv.key).slice(path === '/' ? 1 : path.length + 1);
  return below.split('/').some((part) => part.startsWith('_'));
}

function changeOf(event: KvEvent, index: number): Change {
  const prevNode = event.prevKv ? nodeOf(event.prevKv) : undefined;
  if (event.type === 'put') {
    const node = nodeOf(event.kv);
    return { action: node.action, node, prevNode, index };
  }
  const node: V2Node = {
    path: pathOf(event.kv.key),
    isDirectory: prevNode?.isDirectory ?? false,
    value: '',
    action: 'set',
    createdIndex: prevNode?.createdIndex ?? event.kv.modRevision,
    modifiedIndex: event.kv.modRevision,
    lease: 0n,
  };
  return { action: 'delete', node, prevNode, index };
}
