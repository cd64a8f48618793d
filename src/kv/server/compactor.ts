/** Which revision to compact to and when: pure decisions behind `--auto-compaction-mode`. The leader's member carries them out. */
import { assert } from '../../env/assert.ts';
import type { AutoCompaction } from './contract.ts';

const hourMs = 3_600_000;
/** Revision mode looks this often, as etcd does. */
const revisionModeEveryMs = 300_000;
/** Periodic mode looks back over this many samples of its retention. */
const samplesPerRetention = 10;

export class Compactor {
  readonly #policy: AutoCompaction;
  /** Oldest first: which revision was the head at which time. At most one retention's worth. */
  #samples: { readonly atMs: number; readonly revision: number }[] = [];
  #lastCompacted = 0;

  constructor(policy: AutoCompaction) {
    this.#policy = policy;
  }

  /** How often `step` wants to be called; 0 = never. */
  everyMs(): number {
    if (this.#policy.mode === 'revision') return this.#policy.retentionRevisions > 0 ? revisionModeEveryMs : 0;
    const { retentionMs } = this.#policy;
    return retentionMs > 0 ? Math.max(1, Math.min(retentionMs, hourMs) / samplesPerRetention) : 0;
  }

  /** Takes the head's revision; returns the revision to compact to now, if any. */
  step(nowMs: number, revision: number): number | undefined {
    assert(revision >= 1, 'a store has revision 1 at least');
    const target = this.#target(nowMs, revision);
    if (target === undefined || target <= this.#lastCompacted) return undefined;
    this.#lastCompacted = target;
    return target;
  }

  #target(nowMs: number, revision: number): number | undefined {
    if (this.#policy.mode === 'revision') {
      const target = revision - this.#policy.retentionRevisions;
      return target > 0 ? target : undefined;
    }
    const { retentionMs } = this.#policy;
    this.#samples.push({ atMs: nowMs, revision });
    const old = this.#samples.filter((sample) => sample.atMs <= nowMs - retentionMs);
    const newest = old.at(-1);
    // The newest sample that is old enough is kept: it is the answer until the next one is.
    this.#samples = this.#samples.slice(Math.max(0, old.length - 1));
    return newest?.revision;
  }
}
