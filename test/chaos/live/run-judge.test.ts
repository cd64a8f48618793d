/** Verdicts over runs that were written by hand: right ones that look odd, and wrong ones that must be seen. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Operation, Outcome } from '../../../chaos/check/history.ts';
import type { SeenEvent, WatchRecord } from '../../../chaos/check/watch.ts';
import { judge, type RunEvidence } from '../../../chaos/live/run-judge.ts';
import { RunJournal } from '../../../chaos/live/run-journal.ts';

/** A run in which the store is at revision 1 at the beginning. */
class Story {
  #now = 0;
  readonly journal = new RunJournal(() => this.#now++);
  readonly events: SeenEvent[] = [];
  readonly #held = new Map<string, NonNullable<SeenEvent['now']>>();
  head = 1;

  /** Asks, and is told. */
  told(operation: Operation, outcome: Outcome): this {
    const entry = this.journal.begin(0, undefined, operation);
    this.journal.succeed(entry, outcome);
    return this;
  }

  /** Asks, and is told nothing. */
  asked(operation: Operation): this {
    const entry = this.journal.begin(0, undefined, operation);
    this.journal.fail(entry, new Error('no answer'));
    return this;
  }

  /** What the watch of everything is told. */
  event(revision: number, key: string, value: string | undefined): this {
    const before = this.#held.get(key);
    const createRevision = before?.createRevision ?? revision;
    const version = (before?.version ?? 0) + 1;
    const now =
      value === undefined ? undefined : { key, value, createRevision, modRevision: revision, version, lease: '0' };
    if (now === undefined) this.#held.delete(key);
    else this.#held.set(key, now);
    this.events.push({ revision, type: now === undefined ? 'delete' : 'put', key, now, before });
    this.head = Math.max(this.head, revision);
    return this;
  }

  watch(name: string, events: readonly SeenEvent[] = this.events): WatchRecord {
    return {
      name,
      range: { key: '', end: '\0' },
      startRevision: 2,
      wantsPrevious: true,
      wantsPuts: true,
      wantsDeletes: true,
      createdRevision: 1,
      answers: Map.groupBy(events, ({ revision }) => revision)
        .entries()
        .map(([revision, together]) => ({ kind: 'events' as const, revision, events: together, isPart: false }))
        .toArray(),
      isOpen: true,
    };
  }

  judge(more: Partial<RunEvidence> = {}) {
    const log = this.watch('the log');
    return judge({
      operations: this.journal.entries,
      history: this.journal.history.entries,
      log,
      watches: [log],
      baseRevision: 1,
      headRevision: this.head,
      compactions: new Set(),
      windows: [],
      unready: [],
      misdeeds: [],
      events: [],
      ...more,
    });
  }
}

const put = (key: string, value: string): Operation => ({ kind: 'put', key, value });
const get = (key: string): Operation => ({ kind: 'get', key });
const got = (revision: number, value: string | undefined, modRevision: number): Outcome => ({
  kind: 'get',
  revision,
  value,
  modRevision,
});

test('a write that nobody was told of counts when the log has it, and not when it has not', () => {
  const happened = new Story()
    .asked(put('k1', 'a'))
    .event(2, 'k1', 'a')
    .told(get('k1'), got(2, 'a', 2));
  assert.equal(happened.judge().verdict, 'passed');
  const never = new Story().asked(put('k1', 'a')).told(get('k1'), got(1, undefined, 0));
  assert.equal(never.judge().verdict, 'passed');
});

test('a deletion that nobody was told of is found by its event', () => {
  const story = new Story()
    .told(put('k1', 'a'), { kind: 'put', revision: 2 })
    .event(2, 'k1', 'a')
    .asked({ kind: 'delete', key: 'k1' })
    .asked({ kind: 'delete', key: 'k1' })
    .event(3, 'k1', undefined)
    .told(get('k1'), got(3, undefined, 0));
  assert.equal(story.judge().verdict, 'passed');
});

test('a deletion that nobody asked for is seen', () => {
  const story = new Story()
    .told(put('k1', 'a'), { kind: 'put', revision: 2 })
    .event(2, 'k1', 'a')
    .event(3, 'k1', undefined);
  const { verdict, violation } = story.judge();
  assert.equal(verdict, 'failed');
  assert.match(violation?.detail ?? '', /revision 3 deleted k1, which nobody asked for/);
});

test('a write that shows before it was asked for is seen', () => {
  const story = new Story()
    .event(2, 'k1', 'a')
    .told(get('k2'), got(2, undefined, 0))
    .asked(put('k1', 'a'));
  assert.equal(story.judge().violation?.property, 'nothing happens before it was asked for');
});

test('a confirmed write that the log has lost is seen', () => {
  const story = new Story()
    .asked(put('k2', 'b'))
    .told(put('k1', 'a'), { kind: 'put', revision: 2 })
    .event(2, 'k2', 'b');
  const { verdict, violation, checks } = story.judge();
  assert.equal(verdict, 'failed');
  assert.deepEqual(violation?.operations, [0, 1]);
  assert.equal(checks.find(({ name }) => name === 'answers')?.verdict, 'failed');
});

test('a read of what was overwritten is seen, by values and by revisions', () => {
  const story = new Story()
    .told(put('k1', 'a'), { kind: 'put', revision: 2 })
    .event(2, 'k1', 'a')
    .told(put('k1', 'b'), { kind: 'put', revision: 3 })
    .event(3, 'k1', 'b')
    .told(get('k1'), got(2, 'a', 2));
  const failed = story.judge().checks.filter(({ verdict }) => verdict === 'failed');
  assert.deepEqual(
    failed.map(({ name }) => name),
    ['linearizability', 'revisions'],
  );
});

test('a member whose watch misses an event is seen, and the log is still good for the rest', () => {
  const story = new Story()
    .told(put('k1', 'a'), { kind: 'put', revision: 2 })
    .event(2, 'k1', 'a')
    .told(put('k1', 'b'), { kind: 'put', revision: 3 })
    .event(3, 'k1', 'b');
  const { verdict, violation } = story.judge({ watches: [story.watch('at m2', story.events.slice(0, 1))] });
  assert.equal(verdict, 'failed');
  assert.match(violation?.detail ?? '', /at m2 .* was never told put k1@3/);
});

test('without a whole log there is no verdict, and no pass', () => {
  const story = new Story().told(put('k1', 'a'), { kind: 'put', revision: 2 }).event(2, 'k1', 'a');
  const log = { ...story.watch('the log'), isOpen: false };
  assert.equal(story.judge({ log }).verdict, 'unknown');
  assert.equal(story.judge({ headRevision: undefined }).verdict, 'unknown');
});

test('writes are held against what was expected of them, when they began and ended while the fault lasted', () => {
  const story = new Story().told(put('k1', 'a'), { kind: 'put', revision: 2 }).event(2, 'k1', 'a');
  const [written] = story.journal.entries;
  assert.ok(written?.endMs !== undefined && written.startMs < written.endMs);
  const [fromMs, toMs] = [written.startMs, written.endMs];
  const text = 'apart: m1 | m2';
  const during = story.judge({ windows: [{ expect: 'noWrites', fromMs, toMs, text }] });
  assert.equal(during.violation?.property, 'without a majority nothing is confirmed');
  assert.deepEqual(during.violation?.operations, [0]);
  assert.equal(story.judge({ windows: [{ expect: 'noWrites', fromMs: fromMs + 0.5, toMs, text }] }).verdict, 'passed');
  assert.equal(story.judge({ windows: [{ expect: 'writes', fromMs, toMs, text }] }).verdict, 'passed');
  const none = story.judge({ windows: [{ expect: 'writes', fromMs: toMs, toMs: toMs + 3, text }] });
  assert.equal(none.violation?.property, 'a majority goes on');
});

test('a member that ended by itself and one that does not come back are failures', () => {
  const story = new Story();
  assert.equal(story.judge({ misdeeds: ['m1 ended by itself'] }).violation?.check, 'members stay up');
  assert.equal(story.judge({ unready: ['m2 is not ready'] }).violation?.check, 'liveness');
});
