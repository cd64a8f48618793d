/** Every planted bug. */
import { elections } from './elections.ts';
import { replication } from './replication.ts';
import { durability } from './durability.ts';
import { snapshots } from './snapshots.ts';
import { membership } from './membership.ts';
import { reads } from './reads.ts';
import { state } from './state.ts';
import { watches } from './watches.ts';
import type { Mutant } from './mutant.ts';

export const mutants: readonly Mutant[] = [
  ...elections,
  ...replication,
  ...durability,
  ...snapshots,
  ...membership,
  ...reads,
  ...state,
  ...watches,
];

/** Of all sorts, quickly found: what `npm test` plants. */
export const sample: readonly string[] = [
  'quorum-one-short',
  'vote-twice',
  'deaf-leader-stays',
  'append-without-checking-before',
  'figure-eight',
  'propose-again-too-early',
  'send-before-sync',
  'lost-log-votes',
  'snapshot-without-its-term',
  'two-changes-at-once',
  'read-joins-a-running-round',
  'keys-outlive-their-lease',
  'compaction-takes-the-version-at-it',
  'index-ahead-of-rows',
  'watch-drops-what-it-could-not-take',
];
