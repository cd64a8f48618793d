/**
 * Loaded into a member before its own code (`--import`): the time that its JavaScript sees is told by a file, which may change
 * at any moment. Clocks, dates and timers of the program go by it; what OpenSSL and the kernel do goes by true time.
 */
import { readFileSync, watch } from 'node:fs';
import { ClockCourse, parseClockSettings } from './clock-course.ts';

const path = process.env['KEELSON_CHAOS_CLOCK'] ?? '';
/** The longest that a timer of Node waits. */
const waitMsMax = 2 ** 31 - 1;

const real = {
  Date,
  now: Date.now.bind(Date),
  monotonicMs: performance.now.bind(performance),
  setTimeout,
  clearTimeout,
};
const course = new ClockCourse(real.monotonicMs(), real.now());
const shownMs = () => course.monotonicMs(real.monotonicMs());
const wallMs = () => Math.floor(course.wallMs(real.monotonicMs()));

type Callback = (...args: readonly unknown[]) => void;

const live = new Map<number, ShownTimer>();
let nextId = 1;

/** What stands in the place of Node's Timeout. */
class ShownTimer {
  readonly #id = nextId++;
  readonly #callback: Callback;
  readonly #args: readonly unknown[];
  readonly #delayMs: number;
  readonly #isRepeated: boolean;
  #dueMs: number;
  #waiting: NodeJS.Timeout | undefined;
  #hasRef = true;

  constructor(callback: Callback, options: { delayMs: unknown; args: readonly unknown[]; isRepeated: boolean }) {
    const delayMs = Number(options.delayMs ?? 1);
    this.#callback = callback;
    this.#args = options.args;
    // As Node does.
    this.#delayMs = delayMs >= 1 && delayMs <= waitMsMax ? Math.trunc(delayMs) : 1;
    this.#isRepeated = options.isRepeated;
    this.#dueMs = shownMs() + this.#delayMs;
    live.set(this.#id, this);
    this.arm();
  }

  /** Called again whenever the clock's course has changed. */
  arm(): void {
    real.clearTimeout(this.#waiting);
    this.#waiting = undefined;
    const waitMs = course.trueDelayMs(this.#dueMs - shownMs());
    // A clock that stands still ends no wait.
    if (!Number.isFinite(waitMs)) return;
    this.#waiting = real.setTimeout(() => this.#due(), Math.min(Math.ceil(waitMs), waitMsMax));
    if (!this.#hasRef) this.#waiting.unref();
  }

  #due(): void {
    if (shownMs() < this.#dueMs) return this.arm();
    if (this.#isRepeated) {
      this.#dueMs = shownMs() + this.#delayMs;
      this.arm();
    } else {
      live.delete(this.#id);
    }
    this.#callback(...this.#args);
  }

  refresh(): this {
    this.#dueMs = shownMs() + this.#delayMs;
    live.set(this.#id, this);
    this.arm();
    return this;
  }

  ref(): this {
    this.#hasRef = true;
    this.#waiting?.ref();
    return this;
  }

  unref(): this {
    this.#hasRef = false;
    this.#waiting?.unref();
    return this;
  }

  hasRef(): boolean {
    return this.#hasRef;
  }

  close(): this {
    live.delete(this.#id);
    real.clearTimeout(this.#waiting);
    return this;
  }

  [Symbol.toPrimitive](): number {
    return this.#id;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function clear(timer: unknown): void {
  const found = timer instanceof ShownTimer ? timer : live.get(Number(timer));
  if (found !== undefined) found.close();
  else if (timer !== null && typeof timer === 'object') real.clearTimeout(timer as NodeJS.Timeout);
}

function start(isRepeated: boolean) {
  return (callback: Callback, delayMs?: unknown, ...args: readonly unknown[]) =>
    new ShownTimer(callback, { delayMs, args, isRepeated });
}

function follow(): void {
  const settings = parseClockSettings(readFileSync(path, 'utf8'));
  // A file that is being written is read again when it is whole.
  if (settings === undefined) return;
  course.set(settings, real.monotonicMs(), real.now());
  for (const timer of live.values()) timer.arm();
}

real.Date.now = wallMs;
performance.now = shownMs;
Object.assign(globalThis, {
  Date: new Proxy(real.Date, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [wallMs()] : args, newTarget) as object,
    apply: () => new real.Date(wallMs()).toString(),
  }),
  setTimeout: Object.assign(start(false), real.setTimeout),
  setInterval: start(true),
  clearTimeout: clear,
  clearInterval: clear,
});
follow();
watch(path, { persistent: false }, follow);
