import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchRequest } from '../apply/requests.ts';
import { Notebook, TestStore, watch } from './store.ts';

const everything = watchRequest('\0', '\0');

test('a watch from now on gets each revision as one call, with the revision of the store', () => {
  const store = new TestStore();
  store.write('a=0');
  const { notebook, watcher } = watch(store, everything);
  store.write('a=1 b=2', '-a');
  assert.deepEqual(notebook.calls, ['put a=1@3, put b=2@3', 'delete a@4']);
  assert.deepEqual(notebook.revisions, [3, 4]);
  assert.ok(watcher.isSynced());
});

test('a watch from the past has got all of it when watch returns, then goes on', () => {
  const store = new TestStore();
  store.write('a=1', 'b=1', 'a=2 b=2', '-a');
  const { notebook, watcher } = watch(store, { ...everything, startRevision: 3 });
  assert.deepEqual(notebook.calls, ['put b=1@3, put a=2@4, put b=2@4, delete a@5']);
  assert.deepEqual(notebook.revisions, [5]);
  assert.ok(watcher.isSynced());
  store.write('c=1');
  assert.equal(notebook.calls.at(-1), 'put c=1@6');
});

test('a watch from the future waits for its revision', () => {
  const store = new TestStore();
  const { notebook, watcher } = watch(store, { ...everything, startRevision: 4 });
  assert.ok(watcher.isSynced());
  store.write('a=1', 'a=2', 'a=3', 'a=4');
  assert.deepEqual(notebook.calls, ['put a=3@4', 'put a=4@5']);
});

test('a watch from revision 1, where nothing was written, begins with the first write', () => {
  const store = new TestStore();
  store.write('a=1');
  assert.deepEqual(watch(store, { ...everything, startRevision: 1 }).notebook.calls, ['put a=1@2']);
});

test('filters leave out puts or deletes, from history as at the head', () => {
  const store = new TestStore();
  store.write('a=1', '-a');
  const noPut = watch(store, { ...everything, startRevision: 2, noPut: true }).notebook;
  const noDelete = watch(store, { ...everything, startRevision: 2, noDelete: true }).notebook;
  store.write('a=2', '-a');
  assert.deepEqual(noPut.calls, ['delete a@3', 'delete a@5']);
  assert.deepEqual(noDelete.calls, ['put a=1@2', 'put a=2@4']);
});

test('the previous value comes along when asked for, unless it is compacted', () => {
  const store = new TestStore();
  store.write('a=1', 'a=2', 'a=3', '-a', 'a=4');
  store.store.compact(4);
  const request = { ...everything, prevKv: true, startRevision: 4 };
  const expected = ['put a=3@4, delete a@5 (was 3), put a=4@6'];
  assert.deepEqual(watch(store, request).notebook.calls, expected, 'before cleaning');
  store.clean();
  assert.deepEqual(watch(store, request).notebook.calls, expected, 'after cleaning');
  const { notebook } = watch(store, { ...everything, prevKv: true });
  store.write('a=5');
  assert.deepEqual(notebook.calls, ['put a=5@7 (was 4)']);
});

test('a watch may start at the compacted revision and sees a delete there; below it is over at once', () => {
  const store = new TestStore();
  store.write('a=1', '-a', 'b=1');
  store.store.compact(3);
  store.clean();
  assert.deepEqual(watch(store, { ...everything, startRevision: 3 }).notebook.calls, ['delete a@3, put b=1@4']);
  const { notebook, watcher } = watch(store, { ...everything, startRevision: 2 });
  assert.deepEqual(notebook.calls, ['compacted at 3']);
  assert.ok(!watcher.isSynced());
  assert.equal(store.store.stats().watchers, 1);
  watcher.cancel();
  watcher.resume();
});

test('a paused watch has nothing queued and catches up from history when it resumes', () => {
  const store = new TestStore();
  const { notebook, watcher } = watch(store, everything);
  notebook.accepts = false;
  store.write('a=1', 'a=2', 'b=1 c=1');
  assert.deepEqual(notebook.calls, ['put a=1@2']);
  assert.ok(!watcher.isSynced());
  watcher.resume();
  assert.deepEqual(notebook.calls.slice(1), ['put a=2@3, put b=1@4, put c=1@4']);
  assert.ok(watcher.isSynced(), 'it is paused again, but has it all');
  store.write('d=1');
  assert.equal(notebook.calls.length, 2);
  notebook.accepts = true;
  watcher.resume();
  assert.deepEqual(notebook.calls.slice(2), ['put d=1@5']);
  store.write('e=1');
  assert.equal(notebook.calls.at(-1), 'put e=1@6');
});

test('a paused watch whose place is compacted away is over when it resumes', () => {
  const store = new TestStore();
  const { notebook, watcher } = watch(store, everything);
  notebook.accepts = false;
  store.write('a=1', 'a=2', 'a=3', 'a=4');
  store.store.compact(4);
  watcher.resume();
  assert.deepEqual(notebook.calls, ['put a=1@2', 'compacted at 4']);
  store.write('a=5');
  assert.equal(notebook.calls.length, 2);
});

test('a slow watch catches up in bounded batches that end with whole revisions', () => {
  const store = new TestStore();
  const wide = Array.from({ length: 700 }, (_, index) => `k${index}=v`).join(' ');
  store.write(wide, wide, wide);
  const notebook = new Notebook();
  notebook.accepts = false;
  const watcher = store.store.watch({ ...everything, startRevision: 2 }, notebook);
  const sizes = () => notebook.calls.map((call) => call.split(', ').length);
  assert.deepEqual(sizes(), [1400]);
  watcher.resume();
  assert.deepEqual(sizes(), [1400, 700]);
});

test('large values end a batch by their bytes', () => {
  const store = new TestStore();
  const large = 'x'.repeat(150 * 1024);
  store.write(`a=${large}`, `a=${large}`, `a=${large}`);
  const { notebook } = watch(store, { ...everything, startRevision: 2 });
  assert.deepEqual(
    notebook.calls.map((call) => call.split(', ').length),
    [2, 1],
  );
});

test('a sink may cancel its own watch, and that of another which is due in the same revision', () => {
  const store = new TestStore();
  const first = watch(store, everything);
  const second = watch(store, everything);
  first.notebook.onEvents = () => {
    first.watcher.cancel();
    second.watcher.cancel();
  };
  store.write('a=1', 'a=2');
  assert.deepEqual([first.notebook.calls, second.notebook.calls], [['put a=1@2'], []]);
  assert.equal(store.store.stats().watchers, 0);
});

test('a sink that says stop but has asked to resume meanwhile is not paused', () => {
  const store = new TestStore();
  const { notebook, watcher } = watch(store, everything);
  notebook.accepts = false;
  notebook.onEvents = () => watcher.resume();
  store.write('a=1', 'a=2');
  assert.deepEqual(notebook.calls, ['put a=1@2', 'put a=2@3']);
});

test('watches of keys, prefixes and intervals each get their own', () => {
  const store = new TestStore();
  const watches = {
    key: watch(store, watchRequest('b/1')).notebook,
    prefix: watch(store, watchRequest('b/', 'b0')).notebook,
    interval: watch(store, watchRequest('a', 'b/2')).notebook,
    fromKey: watch(store, watchRequest('b/2', '\0')).notebook,
    empty: watch(store, watchRequest('z', 'a')).notebook,
  };
  store.write('a=', 'b/1=', 'b/2=', 'c=');
  const keys = Object.entries(watches).map(([name, notebook]) => {
    return `${name}: ${notebook.calls.map((call) => call.slice(4, call.indexOf('='))).join(' ')}`.trim();
  });
  assert.deepEqual(keys, ['key: b/1', 'prefix: b/1 b/2', 'interval: a b/1', 'fromKey: b/2 c', 'empty:']);
});
