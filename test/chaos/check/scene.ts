/** Histories made by hand: what is asked and told, line after line, with ten milliseconds between them. */
import assert from 'node:assert/strict';
import { checkHistory, type CheckResult } from '../../../chaos/check/check-history.ts';
import type {
  AnyOperation,
  AnyOutcome,
  HistoryEvent,
  ToldEvent,
  ToldValue,
} from '../../../chaos/check/history-events.ts';
import { readHistory, writeHistory } from '../../../chaos/check/history-file.ts';

type WithoutTime<T> = T extends unknown ? Omit<T, 'atMs'> : never;

export class Scene {
  readonly events: HistoryEvent[] = [];
  #id = 0;
  #nowMs = 0;

  /** Time goes by. */
  wait(ms: number): void {
    this.#nowMs += ms;
  }

  add(event: WithoutTime<HistoryEvent>): void {
    this.#nowMs += 10;
    this.events.push({ ...event, atMs: this.#nowMs } as HistoryEvent);
  }

  begin(operation: AnyOperation, client = 1): number {
    const id = this.#id++;
    this.add({ type: 'invoke', id, client, operation });
    return id;
  }

  ok(id: number, outcome: AnyOutcome): void {
    this.add({ type: 'ok', id, outcome });
  }

  fail(id: number, isCompacted = false): void {
    this.add({ type: 'fail', id, reason: 'refused', ...(isCompacted ? { isCompacted } : {}) });
  }

  did(operation: AnyOperation, outcome: AnyOutcome, client = 1): number {
    const id = this.begin(operation, client);
    this.ok(id, outcome);
    return id;
  }

  put(key: string, value: string, revision: number): number {
    return this.did({ kind: 'put', key, value }, { kind: 'put', revision });
  }

  get(key: string, value: string | undefined, modRevision: number, revision: number): number {
    return this.did({ kind: 'get', key }, { kind: 'get', value, modRevision, revision });
  }

  /** Of everything from the first revision on, unless said otherwise. */
  watch(watch: string, startRevision = 1, range = { key: '\0', end: '\0' }): void {
    const wants = { wantsPrevious: false, wantsPuts: true, wantsDeletes: true };
    this.add({ type: 'watch', watch, range, startRevision, ...wants });
    this.add({ type: 'watchCreated', watch, revision: 1 });
  }

  tell(watch: string, ...events: readonly ToldEvent[]): void {
    const revision = events.at(-1)?.revision ?? 0;
    this.add({ type: 'watchEvents', watch, revision, isPart: false, events });
  }

  /** Through the file format, as everybody else does it. */
  check(): readonly CheckResult[] {
    return checkHistory(readHistory(writeHistory({ events: this.events })));
  }

  result(name: string): CheckResult {
    const found = this.check().find((result) => result.name === name);
    assert.ok(found, `a checker called ${name}`);
    return found;
  }
}

export function scene(play: (scene: Scene) => void): Scene {
  const made = new Scene();
  play(made);
  return made;
}

/** All that can be judged passes, and `name` is among it. */
export function accepts(name: string, play: (scene: Scene) => void): void {
  const results = scene(play).check();
  for (const { name: one, verdict, detail } of results) assert.notEqual(verdict, 'failed', `${one}: ${detail}`);
  assert.deepEqual(
    results
      .filter((result) => result.name === name)
      .map(({ verdict, detail }) => [verdict, verdict === 'passed' ? '' : detail]),
    [['passed', '']],
  );
}

/** `name` fails with this property, and shows these operations. */
export function rejects(name: string, property: RegExp, play: (scene: Scene) => readonly number[] | void): CheckResult {
  const made = new Scene();
  const operations = play(made);
  const result = made.result(name);
  assert.equal(result.verdict, 'failed', `${name}: ${result.detail}`);
  assert.match(`${result.property}: ${result.detail}`, property);
  if (operations !== undefined) assert.deepEqual(result.operations, operations);
  return result;
}

/** A key as a watch tells that it was put. */
export function wrote(key: string, value: string, revision: number, more: Partial<ToldValue> = {}): ToldEvent {
  const now = { value, createRevision: revision, modRevision: revision, version: 1, lease: '0', ...more };
  return { key, revision, now, before: undefined };
}

export function removed(key: string, revision: number): ToldEvent {
  return { key, revision, now: undefined, before: undefined };
}
