/** The clock of a member that runs on Node, as whoever tampers with it holds it: a file that the shim in the member follows. */
import { writeFileSync } from 'node:fs';
import { extname } from 'node:path';
import { type ClockSettings, trueClock } from './clock-course.ts';

/** Under its own extension: sources run as they are, and built ones as they were built. */
const shim = new URL(`member-clock-shim${extname(import.meta.url)}`, import.meta.url).href;

export class MemberClock {
  readonly #path: string;
  #settings = trueClock;

  constructor(path: string) {
    this.#path = path;
    this.set({});
  }

  get settings(): ClockSettings {
    return this.#settings;
  }

  /** What a process needs to go by this clock. */
  get environment(): Readonly<Record<string, string>> {
    const given = process.env['NODE_OPTIONS'] ?? '';
    return { NODE_OPTIONS: `${given} --import=${shim}`.trim(), KEELSON_CHAOS_CLOCK: this.#path };
  }

  /** What is not named stays as it is. */
  set(changes: Partial<ClockSettings>): void {
    this.#settings = { ...this.#settings, ...changes };
    writeFileSync(this.#path, JSON.stringify(this.#settings), { mode: 0o600 });
  }

  beTrue(): void {
    this.set(trueClock);
  }
}
