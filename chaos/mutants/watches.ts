/** Planted bugs: What watchers are told. */
import type { Mutant } from './mutant.ts';

export const watches: readonly Mutant[] = [
  {
    name: 'watch-drops-what-it-could-not-take',
    story: 'A watcher that was full loses what came meanwhile (etcd 17529).',
    file: 'src/kv/mvcc/watch-hub.ts',
    find: '    watcher.next = Math.max(watcher.next, this.#source.revision() + 1);',
    replace: '    watcher.next = Math.max(watcher.next, this.#source.revision() + 2);',
    etcdIssue: 17529,
  },
  {
    name: 'future-watch-told-of-now',
    story: 'A watch from a revision to come is told what happens before it (etcd 20221).',
    file: 'src/kv/mvcc/watch-hub.ts',
    find: '      const wanted = next <= from ? events : events.filter(({ kv }) => kv.modRevision >= next);',
    replace: '      const wanted = events;',
    etcdIssue: 20221,
  },
  {
    name: 'catch-up-skips-one',
    story: 'Catching up leaves out a revision between two batches.',
    file: 'src/kv/mvcc/watch-hub.ts',
    find: '      watcher.next = main + 1;',
    replace:
      '      watcher.next = events.length === batchEventsMax ? main + 2 : main + 1 + (events.length % 7 === 6 ? 1 : 0);',
  },
  {
    name: 'watch-goes-back',
    story: 'A watcher that goes on after a restore is told things again (etcd 15271).',
    file: 'src/kv/mvcc/watch-hub.ts',
    find: `      if (watcher.state === 'synced') this.#unsync(watcher);
    }
  }`,
    replace: `      if (watcher.state === 'synced') {
        this.#unsync(watcher);
        watcher.next = Math.max(1, watcher.next - 2);
      }
    }
  }`,
    profile: 'snapshots',
    etcdIssue: 15271,
  },
  {
    name: 'previous-value-is-the-new-one',
    story: 'The value before is that of the event itself.',
    file: 'src/kv/mvcc/watch-hub.ts',
    find: '    const found = entry.find(main - 1);',
    replace: '    const found = entry.find(main);',
  },
  {
    name: 'deletes-count-as-puts',
    story: 'A deletion that a watcher catches up with is told as a put.',
    file: 'src/kv/mvcc/watch-hub.ts',
    find: "    const type = write.isTombstone ? 'delete' : 'put';",
    replace: "    const type = 'put';",
  },
  {
    name: 'filter-turned-around',
    story: 'A watch that wants no deletions gets them all the same.',
    file: 'src/kv/mvcc/watch-hub.ts',
    find: '    if (!watcher.wants(type)) return undefined;',
    replace: '',
  },
  {
    name: 'compacted-watch-goes-on',
    story: 'A watch whose place was compacted goes on with what is left (etcd 18089).',
    file: 'src/kv/mvcc/watch-hub.ts',
    find: '      if (watcher.next < this.#source.compactRevision()) return this.#expire(watcher);',
    replace: '',
    etcdIssue: 18089,
  },
  {
    name: 'interval-index-stale',
    story: 'A watcher of an interval that comes later is not found.',
    file: 'src/kv/mvcc/watcher-index.ts',
    find: `      this.#size += addTo(this.#byInterval, intervalName(watcher.range), watcher);
      this.#tree = undefined;`,
    replace: `      this.#size += addTo(this.#byInterval, intervalName(watcher.range), watcher);
      this.#tree ??= undefined;`,
  },
];
