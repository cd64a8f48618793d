/**
 * Histories as text: JSON lines, told in docs/history-format.md. What is written reads back equal. What is wrong, cut short or of
 * a newer version is refused, with the line, the field and the reason; nothing is guessed, for a verdict over a history that
 * was misread is worse than none.
 *
 * Beyond the shape of every line it is seen to that each return belongs to an invocation and answers it in its own words, that watches are
 * open when they are told something, and that time does not go back.
 */
import { errorText, KeelsonError } from '../../src/env/errors.ts';
import type { AnyOperation, AnyOutcome, HistoryEvent, RecordedHistory } from './history-events.ts';
import { header, historyEvent, trailer } from './history-shapes.ts';
import { ShapeError } from './shape.ts';

export const historyVersion = 1;

/** A response of a watch is 1.5 MiB of requests at most, escaped six characters to one; anything longer is no history. */
export const lineCharactersMax = 64 * 1024 * 1024;

export class HistoryFormatError extends KeelsonError {
  override readonly name = 'HistoryFormatError';
  /** From 1. */
  readonly line: number;
  /** A path, '' when the whole line is meant. */
  readonly field: string;
  readonly reason: string;
  constructor(line: number, field: string, reason: string) {
    super('HISTORY_FORMAT', `history, line ${line}${field === '' ? '' : `, field ${field}`}: ${reason}`);
    this.line = line;
    this.field = field;
    this.reason = reason;
  }
}

/** Takes lines one by one; every method throws HistoryFormatError. */
export class HistoryReader {
  readonly #events: HistoryEvent[] = [];
  readonly #open = new Map<number, AnyOperation>();
  /** Ids that were used. */
  readonly #ids = new Set<number>();
  readonly #watches = new Map<string, 'open' | 'over'>();
  #line = 0;
  #lastMs = Number.NEGATIVE_INFINITY;
  #isOver = false;

  take(line: string): void {
    this.#line += 1;
    try {
      this.#take(line);
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      throw new HistoryFormatError(this.#line, error.field, error.reason);
    }
  }

  /** After the last line. */
  end(): RecordedHistory {
    if (!this.#isOver) {
      const reason =
        this.#line === 0 ? 'is missing: the file is empty' : 'the file ends without its last line: it was cut short';
      throw new HistoryFormatError(this.#line + 1, '', reason);
    }
    return { events: this.#events };
  }

  #take(line: string): void {
    if (line.length > lineCharactersMax) throw new ShapeError('', `is longer than ${lineCharactersMax} characters`);
    if (this.#isOver) throw new ShapeError('', 'stands after the last line');
    const value = parse(line);
    if (this.#line === 1) return checkHeader(value);
    if (typeof value === 'object' && value !== null && 'type' in value && value.type === 'end') {
      const { events } = trailer(value, '');
      if (events !== this.#events.length)
        throw new ShapeError('events', `want ${this.#events.length}, as many as there are; have ${events}`);
      this.#isOver = true;
      return;
    }
    const event = historyEvent(value, '');
    this.#checkTime(event);
    this.#checkSense(event);
    this.#events.push(event);
  }

  #checkTime({ atMs }: HistoryEvent): void {
    if (atMs === undefined) return;
    if (atMs < this.#lastMs) throw new ShapeError('atMs', `${atMs} is before ${this.#lastMs}, of a line above`);
    this.#lastMs = atMs;
  }

  #checkSense(event: HistoryEvent): void {
    switch (event.type) {
      case 'invoke':
        if (this.#ids.has(event.id)) throw new ShapeError('id', `${event.id} is used by an invocation above`);
        this.#ids.add(event.id);
        this.#open.set(event.id, event.operation);
        return;
      case 'ok':
        checkOutcome(this.#close(event.id), event.outcome);
        return;
      case 'fail':
      case 'info':
        this.#close(event.id);
        return;
      case 'watch':
        if (this.#watches.has(event.watch)) throw new ShapeError('watch', `${event.watch} is the name of one above`);
        this.#watches.set(event.watch, 'open');
        return;
      case 'watchCreated':
      case 'watchEvents':
      case 'watchProgress':
      case 'watchCompacted':
        this.#checkWatch(event.watch);
        return;
      case 'watchClosed':
        this.#checkWatch(event.watch);
        this.#watches.set(event.watch, 'over');
        return;
      case 'commit':
      case 'powerLoss':
      case 'calm':
      case 'state':
      case 'expect':
    }
  }

  #close(id: number): AnyOperation {
    const operation = this.#open.get(id);
    if (operation === undefined) {
      const reason = this.#ids.has(id) ? `${id} has returned above` : `no invocation above has the id ${id}`;
      throw new ShapeError('id', reason);
    }
    this.#open.delete(id);
    return operation;
  }

  #checkWatch(name: string): void {
    const state = this.#watches.get(name);
    if (state === undefined) throw new ShapeError('watch', `no watch above has the name ${name}`);
    if (state === 'over') throw new ShapeError('watch', `${name} was closed above`);
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    if (line.trim() === '') throw new ShapeError('', 'is empty');
    // The line that JSON.parse counts is within this one.
    const reason = errorText(error).replace(/ \(line \d+ column \d+\)$/, '');
    throw new ShapeError('', `is no JSON, or cut short: ${reason}`);
  }
}

function checkHeader(value: unknown): void {
  if (typeof value === 'object' && value !== null && 'version' in value && Number(value.version) > historyVersion) {
    const reason = `${String(value.version)} is newer than ${historyVersion}, the newest that is known here: take a newer keelson`;
    throw new ShapeError('version', reason);
  }
  const { version } = header(value, '');
  if (version !== historyVersion) throw new ShapeError('version', `want ${historyVersion}, have ${version}`);
}

function checkOutcome(operation: AnyOperation, outcome: AnyOutcome): void {
  if (operation.kind !== outcome.kind)
    throw new ShapeError('outcome.kind', `want ${operation.kind}, as was asked; have ${outcome.kind}`);
  if (operation.kind === 'txn' && outcome.kind === 'txn') {
    const steps = outcome.succeeded ? operation.success : operation.failure;
    checkCount('outcome.found', steps.filter((step) => step.kind === 'get').length, outcome.found.length);
  }
  if (operation.kind === 'listTxn' && outcome.kind === 'listTxn') {
    const reads = operation.steps.filter((step) => step.kind === 'read').length;
    checkCount('outcome.lists', reads, outcome.lists.length);
  }
}

function checkCount(field: string, want: number, have: number): void {
  if (want !== have) throw new ShapeError(field, `want ${want}, one for each read; have ${have}`);
}

/** Throws HistoryFormatError. Lines of an iterable come without their ends. */
export function readHistory(source: string | Iterable<string>): RecordedHistory {
  const reader = new HistoryReader();
  if (typeof source === 'string') {
    const lines = source.split('\n');
    const last = lines.pop();
    for (const line of lines) reader.take(line);
    if (last !== undefined && last !== '') reader.take(last);
  } else for (const line of source) reader.take(line);
  return reader.end();
}

export async function readHistoryStream(lines: AsyncIterable<string>): Promise<RecordedHistory> {
  const reader = new HistoryReader();
  for await (const line of lines) reader.take(line);
  return reader.end();
}

/** Without line ends. */
export function* historyLines({ events }: RecordedHistory): Generator<string, void, undefined> {
  yield JSON.stringify({ format: 'keelson-history', version: historyVersion });
  for (const event of events) yield JSON.stringify(event, noneAsNull);
  yield JSON.stringify({ type: 'end', events: events.length });
}

export function writeHistory(history: RecordedHistory): string {
  return `${[...historyLines(history)].join('\n')}\n`;
}

function noneAsNull(_name: string, value: unknown): unknown {
  return value === undefined ? null : value;
}
