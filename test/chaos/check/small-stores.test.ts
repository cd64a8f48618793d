/**
 * Stores of a page, with clients at the same time, answers that are lost and watches that are cut off: one that keeps its word, which
 * nobody may blame, and one for each of some famous mistakes, which somebody must see.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkHistory, type CheckResult } from '../../../chaos/check/check-history.ts';
import { History, type Operation, type Outcome } from '../../../chaos/check/history.ts';
import { readHistory, writeHistory } from '../../../chaos/check/history-file.ts';
import { type ModelKey, type ModelRequest, StoreModel } from '../../../chaos/check/model.ts';
import { HistoryRecorder, toHistory, toWatchEvent } from '../../../chaos/check/recorder.ts';
import type { SeenEvent } from '../../../chaos/check/watch.ts';
import { type SeededRandom, seededRandom } from '../../../chaos/sim/random.ts';

type Bug =
  | 'stale read'
  | 'lost write'
  | 'write twice'
  | 'old compare'
  | 'failed write happens'
  | 'event missing'
  | 'event twice'
  | 'events swapped'
  | 'value of another key'
  | 'lost at power loss';

class Run {
  readonly recorder: HistoryRecorder;
  readonly #random: SeededRandom;
  readonly #bug: Bug | undefined;
  #model = new StoreModel();
  #before = new StoreModel();
  readonly #requests: ModelRequest[] = [];
  readonly #open: { readonly id: number; readonly operation: Operation; outcome: Outcome | undefined }[] = [];
  #told = 0;
  #watches = 0;
  #nowMs = 0;
  #lastValues = new Map<string, string>();
  /** Mistakes happen now and then. */
  #mistakes = 0;

  constructor(seed: string, bug: Bug | undefined) {
    this.#random = seededRandom(seed);
    this.#bug = bug;
    this.recorder = new HistoryRecorder(() => this.#nowMs++);
    this.#watch(1);
  }

  play(steps: number): readonly CheckResult[] {
    for (let step = 0; step < steps; step++) {
      const dice = this.#random.next();
      if (this.#open.length < 4 && dice < 0.4) this.#invoke(step);
      else if (dice < 0.9) this.#advance();
      else this.#tell();
      if (step === Math.floor(steps / 2)) this.#losePower();
    }
    while (this.#open.length > 0) this.#advance();
    this.#tell();
    return checkHistory(readHistory(writeHistory(this.recorder.history)));
  }

  #errs(bug: Bug): boolean {
    if (this.#bug !== bug || this.#random.next() > 0.2) return false;
    this.#mistakes += 1;
    return true;
  }

  #invoke(step: number): void {
    const key = `k${this.#random.integer(1, 3)}`;
    const value = `v${step}`;
    const dice = this.#random.next();
    const operation: Operation =
      dice < 0.4
        ? { kind: 'put', key, value }
        : dice < 0.75
          ? { kind: 'get', key }
          : dice < 0.92
            ? { kind: 'cas', key, expected: this.#lastValues.get(key), value }
            : { kind: 'delete', key };
    this.#open.push({ id: this.recorder.invoke(1, operation), operation, outcome: undefined });
  }

  /** Something that was asked happens, or is answered, or never will be. */
  #advance(): void {
    const place = this.#random.integer(0, Math.max(0, this.#open.length - 1));
    const one = this.#open[place];
    if (one === undefined) return;
    if (one.outcome === undefined && this.#random.next() < 0.05) {
      this.#open.splice(place, 1);
      this.recorder.fail(one.id, 'refused');
      if (this.#errs('failed write happens')) this.#carryOut(one.operation);
      return;
    }
    if (one.outcome === undefined) {
      one.outcome = this.#carryOut(one.operation);
      return;
    }
    this.#open.splice(place, 1);
    if (this.#random.next() < 0.1) this.recorder.info(one.id, 'time-out');
    else this.recorder.ok(one.id, one.outcome);
  }

  #apply(request: ModelRequest): void {
    this.#requests.push(request);
    this.#model.apply(request);
    // What it was some requests ago.
    if (this.#requests.length > 3) this.#before.apply(this.#requests[this.#requests.length - 4] as ModelRequest);
  }

  #carryOut(operation: Operation): Outcome {
    const { kind } = operation;
    if (kind === 'get') {
      const stale = this.#errs('stale read') ? this.#before : this.#model;
      const held = stale.at(this.#errs('value of another key') ? 'k1' : operation.key, stale.revision);
      if (held !== undefined) this.#lastValues.set(operation.key, held.value);
      return { kind, revision: this.#model.revision, value: held?.value, modRevision: held?.modRevision ?? 0 };
    }
    if (kind === 'cas') {
      const { key, expected, value } = operation;
      const compared = this.#errs('old compare') ? this.#before : this.#model;
      const succeeded = compared.at(key, compared.revision)?.value === expected;
      if (succeeded) this.#apply({ kind: 'put', key, value, lease: '0' });
      return { kind, succeeded, revision: this.#model.revision };
    }
    if (kind === 'delete') {
      const deleted = this.#model.at(operation.key, this.#model.revision) !== undefined;
      this.#apply({ kind, key: operation.key, end: '' });
      return { kind, deleted, revision: this.#model.revision };
    }
    assert.ok(kind === 'put');
    const { key, value } = operation;
    if (this.#errs('lost write')) return { kind, revision: this.#model.revision + 1 };
    this.#apply({ kind, key, value, lease: '0' });
    const { revision } = this.#model;
    if (this.#errs('write twice')) this.#apply({ kind, key, value, lease: '0' });
    return { kind, revision };
  }

  #watch(startRevision: number): void {
    const watch = `w${this.#watches++}`;
    const range = { key: '\0', end: '\0' };
    const wants = { wantsPrevious: false, wantsPuts: true, wantsDeletes: true };
    this.recorder.add({ type: 'watch', watch, range, startRevision, ...wants });
    this.recorder.add({ type: 'watchCreated', watch, revision: this.#model.revision });
  }

  #tell(): void {
    let events: SeenEvent[] = this.#model.events
      .slice(this.#told)
      .map((event) => ({ ...event, now: event.now as ModelKey | undefined, before: undefined }));
    this.#told = this.#model.events.length;
    if (events.length > 2 && this.#errs('event missing')) events.splice(1, 1);
    if (events.length > 1 && this.#errs('event twice')) events = [events[0] as SeenEvent, ...events];
    if (events.length > 1 && this.#errs('events swapped')) events.reverse();
    const watch = `w${this.#watches - 1}`;
    const revision = Math.max(...events.map((event) => event.revision));
    if (events.length > 0) this.recorder.add(toWatchEvent(watch, { kind: 'events', revision, events, isPart: false }));
    if (this.#random.next() > 0.2) return;
    this.recorder.add({ type: 'watchClosed', watch });
    this.#watch((this.#model.events[this.#told - 1]?.revision ?? 0) + 1);
  }

  /** What had not been answered is cut off. */
  #losePower(): void {
    for (const { id } of this.#open.splice(0)) this.recorder.info(id, 'cut off');
    this.#tell();
    this.recorder.add({ type: 'powerLoss' });
    if (this.#bug !== 'lost at power loss') return;
    this.#mistakes += 1;
    this.#model = new StoreModel();
    for (const request of this.#requests.slice(0, -4)) this.#model.apply(request);
    this.#told = this.#model.events.length;
  }

  get mistakes(): number {
    return this.#mistakes;
  }
}

test('a store that keeps its word is blamed by nobody, and no verdict is left open', () => {
  for (let seed = 0; seed < 60; seed++) {
    const results = new Run(`good ${seed}`, undefined).play(300);
    const bad = results.filter(({ verdict }) => verdict === 'failed' || verdict === 'unknown');
    assert.deepEqual(bad, [], `seed ${seed}`);
    const passed = results.filter(({ verdict }) => verdict === 'passed').map(({ name }) => name);
    for (const name of ['linearizability', 'revisions', 'answers', 'watches', 'durability'])
      assert.ok(passed.includes(name), `${name}, seed ${seed}`);
  }
});

const seenBy: Readonly<Record<Bug, readonly string[]>> = {
  'stale read': ['linearizability', 'revisions', 'answers'],
  'lost write': ['linearizability', 'revisions', 'answers'],
  'write twice': ['revisions', 'answers'],
  'old compare': ['linearizability', 'answers'],
  'failed write happens': ['failures'],
  'event missing': ['watches'],
  'event twice': ['watches', 'watchAgreement'],
  'events swapped': ['watches', 'watchAgreement'],
  'value of another key': ['linearizability', 'answers'],
  'lost at power loss': ['durability', 'linearizability', 'revisions'],
};

for (const [bug, names] of Object.entries(seenBy)) {
  test(`a store with the mistake "${bug}" is blamed by ${names.join(', ')}`, () => {
    const blamed = new Map<string, number>();
    let runs = 0;
    for (let seed = 0; seed < 25; seed++) {
      const run = new Run(`bad ${seed}`, bug as Bug);
      const results = run.play(300);
      if (run.mistakes === 0) continue;
      runs += 1;
      for (const { name, verdict } of results) if (verdict === 'failed') blamed.set(name, (blamed.get(name) ?? 0) + 1);
    }
    assert.ok(runs > 5, `it was made in ${runs} runs`);
    for (const name of names) assert.ok((blamed.get(name) ?? 0) > 0, `${name}: ${JSON.stringify([...blamed])}`);
  });
}

test('what was kept in memory is judged like a file', () => {
  const history = new History();
  const put = history.invoke(1, { kind: 'put', key: 'a', value: '1', lease: '7' });
  history.invoke(2, { kind: 'put', key: 'b', value: 'open' });
  history.succeed(put, { kind: 'put', revision: 2 });
  const model = new StoreModel();
  const requests: readonly ModelRequest[] = [
    { kind: 'grant', lease: '7', ttlSeconds: 1 },
    { kind: 'put', key: 'a', value: '1', lease: '7' },
    { kind: 'revoke', lease: '7' },
  ];
  for (const request of requests) model.apply(request);
  const remembered = {
    history,
    watches: [
      {
        name: 'w',
        range: { key: 'a', end: '' },
        startRevision: 1,
        wantsPrevious: true,
        wantsPuts: true,
        wantsDeletes: true,
        createdRevision: 1,
        answers: [{ kind: 'events', revision: 3, events: model.events, isPart: false } as const],
        isOpen: false,
      },
    ],
    leaseCalls: [{ kind: 'grant', lease: '7', invokedMs: 0, returnedMs: 10, ttlSeconds: 1 } as const],
    commits: requests.map((request, position) => ({ request, atMs: 5 + position * 1_000 })),
    calmMs: 0,
    endMs: 9_000,
    clockRateMax: 1,
    leaseEndWithinMs: 500,
  };
  const verdicts = checkHistory(readHistory(writeHistory(toHistory(remembered))))
    .filter(({ verdict }) => verdict !== 'notApplicable')
    .map(({ name, verdict }) => `${name} ${verdict}`);
  assert.deepEqual(verdicts, [
    'linearizability passed',
    'revisions passed',
    'answers passed',
    'watches passed',
    'leases passed',
  ]);
});
