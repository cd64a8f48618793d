/** A bare store on a memory backend, with writes by name. */
import type { KvEvent, WatchRequest } from '../../../src/kv/api.ts';
import type { Backend } from '../../../src/kv/backend/contract.ts';
import { createMemoryBackend } from '../../../src/kv/backend/memory.ts';
import type { Watcher } from '../../../src/kv/mvcc/contract.ts';
import { Store } from '../../../src/kv/mvcc/store.ts';
import { bytes, describeEvent } from '../apply/requests.ts';

export class TestStore {
  readonly backend: Backend = createMemoryBackend();
  readonly store: Store = new Store({
    backend: this.backend,
    commit: (rows) => this.backend.write(rows),
  });

  /** Each argument is one revision: `a=1` puts, `-a` deletes, `a=1 b=2 -c` does all of it at once. */
  write(...revisions: readonly string[]): number {
    for (const revision of revisions) {
      const txn = this.store.begin();
      for (const word of revision.split(' ')) {
        if (word.startsWith('-')) {
          txn.deleteRange(bytes(word.slice(1)), bytes(''));
          continue;
        }
        const [key = '', value = ''] = word.split('=');
        txn.put(bytes(key), bytes(value), 0n);
      }
      txn.end();
    }
    return this.store.revision();
  }

  clean(): void {
    while (this.store.cleanStep());
  }
}

/** A sink that takes down each call as one line, and pauses when told. */
export class Notebook {
  readonly calls: string[] = [];
  readonly revisions: number[] = [];
  accepts = true;
  /** Called inside the sink. */
  onEvents: (events: readonly KvEvent[]) => void = () => {};

  events(events: readonly KvEvent[], revision: number): boolean {
    this.calls.push(events.map(describeEvent).join(', '));
    this.revisions.push(revision);
    this.onEvents(events);
    return this.accepts;
  }

  compacted(revision: number): void {
    this.calls.push(`compacted at ${revision}`);
  }
}

export function watch(store: TestStore, request: WatchRequest): { notebook: Notebook; watcher: Watcher } {
  const notebook = new Notebook();
  return { notebook, watcher: store.store.watch(request, notebook) };
}
