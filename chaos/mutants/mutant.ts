/**
 * A planted bug: a small patch on a copy of the sources, a mistake that somebody has really made in a system of this kind.
 * The simulation must find every one; a bug it cannot find would be a promise it cannot check.
 */
import type { Profile } from '../sim/plan.ts';

export interface Mutant {
  readonly name: string;
  /** What goes wrong, in one sentence. */
  readonly story: string;
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** Worlds about just this, where chance alone would take too long. Default: swarm. */
  readonly profile?: Profile;
  /** Of its kind in etcd's own track record. */
  readonly etcdIssue?: number;
}
