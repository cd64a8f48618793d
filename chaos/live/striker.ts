/** Carries faults out on a live world, each until its own end. What cannot be done to real processes is refused. */
import type { StruckFault } from './contract.ts';
import { strikeClocks } from './strike-clocks.ts';
import { type AnyFault, StrikeContext, type StrikeParts } from './strike-context.ts';
import { strikeDisks } from './strike-disks.ts';
import { strikeLinks } from './strike-links.ts';
import { strikeProcesses } from './strike-processes.ts';
import { strikeRequests } from './strike-requests.ts';
import { unsupportedReason } from './supported-faults.ts';

export class Striker {
  readonly #context: StrikeContext;
  readonly #nowMs: () => number;

  constructor(parts: StrikeParts, nowMs: () => number) {
    this.#context = new StrikeContext(parts);
    this.#nowMs = nowMs;
  }

  async strike(fault: AnyFault): Promise<StruckFault> {
    const atMs = this.#nowMs();
    for (const room of [strikeProcesses, strikeLinks, strikeRequests, strikeDisks, strikeClocks]) {
      const struck = room(this.#context, fault);
      if (struck === undefined) continue;
      const { text, members = [], lastsMs, links = [] } = await struck;
      return { atMs, endMs: lastsMs === undefined ? undefined : atMs + lastsMs, text, members, links };
    }
    throw this.#context.unsupported(fault.kind, unsupportedReason(fault.kind) ?? 'nobody has written it');
  }
}
