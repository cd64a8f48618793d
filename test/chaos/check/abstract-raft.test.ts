/**
 * The abstract Raft refuses steps that Raft does not allow, each made by hand, and accepts those that only look wrong. Terms,
 * votes and logs are given as they are after each step; a log is the terms of its entries.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AbstractRaft, type MemberView } from '../../../chaos/check/abstract-raft.ts';

interface Look extends Partial<Omit<MemberView, 'entries' | 'base' | 'durable'>> {
  /** Terms of the entries after the base; `2b` is another entry of term 2. */
  readonly log?: readonly (number | string)[];
  readonly base?: readonly [number, number];
  /** Term, vote and last index on disk. */
  readonly disk?: readonly [number, number, number];
}

type Step = readonly [member: number, look: Look, how?: 'restart' | 'forget'];

const unborn: MemberView = {
  term: 0,
  vote: 0,
  role: 'follower',
  committed: 0,
  base: { index: 0, term: 0 },
  entries: [],
  voters: [[1, 2, 3]],
};

function entryOf(word: number | string) {
  return { term: Number.parseInt(`${word}`, 10), data: new TextEncoder().encode(`${word}`) };
}

/** Takes steps one after another; each look changes what it names and keeps the rest. */
function play(steps: readonly Step[], options: { readonly steps: 'one' | 'several' } = { steps: 'one' }): AbstractRaft {
  const raft = new AbstractRaft(options);
  const views = new Map<number, MemberView>();
  for (const [member, { log, base, disk, ...look }, how] of steps) {
    const before = views.get(member) ?? unborn;
    const view: MemberView = {
      ...before,
      ...look,
      ...(base !== undefined && { base: { index: base[0], term: base[1] } }),
      ...(log !== undefined && { entries: log.map(entryOf) }),
      ...(disk !== undefined && { durable: { term: disk[0], vote: disk[1], lastIndex: disk[2] } }),
    };
    views.set(member, view);
    if (how === 'restart') raft.restarted(member, view);
    else if (how === 'forget') raft.forget(member, view);
    else raft.observe(member, view);
  }
  return raft;
}

/** Member 1 leads term 1 with the vote of 2, and its empty entry is in its log. */
const oneLeads: readonly Step[] = [
  [1, { term: 1, vote: 1, role: 'candidate' }],
  [2, { term: 1, vote: 1 }],
  [1, { role: 'leader', log: [1] }],
];
/** And the entry is committed with 2. */
const oneCommitted: readonly Step[] = [...oneLeads, [2, { log: [1] }], [1, { committed: 1 }]];
/** Member 3 leads term 2 with the vote of 2, and lacks entry 1 of term 1, which only member 1 holds. */
const threeLeadsWithout: readonly Step[] = [
  ...oneLeads,
  [3, { term: 1 }],
  [3, { term: 2, vote: 3, role: 'candidate' }],
  [2, { term: 2, vote: 3 }],
  [3, { role: 'leader', log: [2] }],
];

const legal: readonly { readonly name: string; readonly steps: readonly Step[]; readonly in?: 'several' }[] = [
  { name: 'an election, an entry and its commit', steps: [...oneCommitted, [2, { committed: 1 }]] },
  {
    name: 'a pre-candidate keeps its vote, and follows again',
    steps: [...oneLeads, [2, { role: 'preCandidate' }], [2, { role: 'follower' }], [2, { log: [1] }]],
  },
  { name: 'a learner of a term votes for nobody', steps: [...oneLeads, [3, { term: 1 }]] },
  {
    name: 'a candidate that nobody answered stands again in the next term',
    steps: [
      [1, { term: 1, vote: 1, role: 'candidate' }],
      [1, { term: 2, vote: 1 }],
    ],
  },
  {
    name: 'a log of an earlier term is cut where the new leader has another one',
    steps: [...threeLeadsWithout, [1, { term: 2, vote: 0, role: 'follower' }], [1, { log: [2] }]],
  },
  {
    name: 'a delayed leader of an earlier term goes on appending beside the new one',
    steps: [...threeLeadsWithout, [1, { log: [1, 1, 1] }]],
  },
  {
    name: 'an entry of an earlier term is committed by one of the own term after it',
    steps: [
      ...oneLeads,
      [2, { log: [1] }],
      [2, { term: 2, vote: 2, role: 'candidate' }],
      [3, { term: 2, vote: 2 }],
      [2, { role: 'leader', log: [1, 2] }],
      [3, { log: [1, 2] }],
      [2, { committed: 2 }],
      [3, { committed: 2 }],
    ],
  },
  {
    name: 'an old append changes nothing in a log that is longer',
    steps: [...oneLeads, [1, { log: [1, 1] }], [2, { log: [1, 1] }], [2, { log: [1, 1] }]],
  },
  {
    name: 'a follower’s unlike tail stays while only what is before it was compared',
    steps: [
      ...oneLeads,
      [1, { log: [1, '1a'] }],
      [2, { log: [1, '1a'] }],
      [3, { term: 1, log: [1] }],
      [3, { term: 2, vote: 3, role: 'candidate' }],
      // Its own log is longer, so 2 does not vote for 3; nor does it drop its tail on hearing of the term.
      [2, { term: 2, vote: 0 }],
    ],
  },
  {
    name: 'a leader starts again without what it had told nobody',
    steps: [
      [1, { term: 1, vote: 1, role: 'candidate', disk: [0, 0, 0] }],
      [1, { disk: [1, 1, 0] }],
      [2, { term: 1, vote: 1, disk: [1, 1, 0] }],
      [1, { role: 'leader', log: [1], disk: [1, 1, 0] }],
      [1, { role: 'follower', log: [], disk: [1, 1, 0] }, 'restart'],
    ],
  },
  {
    name: 'a vote that had not reached the disk is given to another one after a restart',
    steps: [
      [1, { term: 1, vote: 1, role: 'candidate', disk: [1, 1, 0] }],
      [2, { term: 1, vote: 2, role: 'candidate', disk: [1, 2, 0] }],
      [3, { term: 1, vote: 1, disk: [0, 0, 0] }],
      [3, { term: 0, vote: 0, disk: [0, 0, 0] }, 'restart'],
      [3, { term: 1, vote: 2, disk: [1, 2, 0] }],
      [2, { role: 'leader', log: [1] }],
    ],
  },
  {
    name: 'an acknowledgement that reaches the disk in the next term counts for the one it was given in',
    steps: [
      [1, { term: 1, vote: 1, role: 'candidate', disk: [1, 1, 0] }],
      [2, { term: 1, vote: 1, disk: [1, 1, 0] }],
      [1, { role: 'leader', log: [1], disk: [1, 1, 1] }],
      [2, { log: [1], disk: [1, 1, 0] }],
      [3, { term: 1, disk: [1, 0, 0] }],
      [3, { term: 2, vote: 3, role: 'candidate', disk: [2, 3, 0] }],
      [2, { term: 2, vote: 0, disk: [1, 1, 0] }],
      [2, { disk: [2, 0, 1] }],
      [1, { committed: 1 }],
    ],
  },
  {
    name: 'a snapshot takes the place of a log that is far behind',
    steps: [...oneCommitted, [1, { base: [1, 1], log: [] }], [3, { term: 1, base: [1, 1], committed: 1 }]],
  },
  {
    name: 'a majority of both halves of a joint membership elects',
    steps: [
      [
        1,
        {
          term: 1,
          vote: 1,
          role: 'candidate',
          voters: [
            [1, 2, 3],
            [1, 4, 5],
          ],
        },
      ],
      [2, { term: 1, vote: 1 }],
      [4, { term: 1, vote: 1 }],
      [1, { role: 'leader', log: [1] }],
    ],
  },
  {
    name: 'several steps between two looks: won, appended and followed by another term',
    in: 'several',
    steps: [
      [1, { term: 1, vote: 1, role: 'candidate' }],
      [2, { term: 1, vote: 1 }],
      [1, { role: 'leader', log: [1] }],
      [3, { term: 2, vote: 3, role: 'candidate' }],
      [2, { term: 2, vote: 0, log: [1] }],
      [1, { committed: 1 }],
    ],
  },
  {
    name: 'the only voter is seen again when it leads already, and has committed',
    in: 'several',
    steps: [
      [1, { term: 1, vote: 1, role: 'candidate', voters: [[1]] }],
      [1, { role: 'leader', log: [1] }],
      [1, { committed: 1 }],
      [1, { term: 2, log: [1, 2], committed: 2 }, 'forget'],
    ],
  },
  {
    name: 'nothing is known of what a member kept',
    in: 'several',
    steps: [...oneCommitted, [2, { term: 1, vote: 0, log: [] }, 'forget'], [2, { log: [1], committed: 1 }]],
  },
];

for (const { name, steps, in: granularity = 'one' } of legal) {
  test(`the abstract Raft accepts: ${name}`, () => {
    play(steps, { steps: granularity });
    if (granularity === 'one') play(steps, { steps: 'several' });
  });
}

const illegal: readonly {
  readonly name: string;
  readonly steps: readonly Step[];
  readonly message: RegExp;
  readonly in?: 'several';
}[] = [
  {
    name: 'a term that goes back',
    steps: [...oneLeads, [2, { term: 0, vote: 0 }]],
    message: /^refinement, terms: 2 goes back from term 1 to 0/,
  },
  {
    name: 'a term that nobody has begun',
    steps: [...oneLeads, [3, { term: 5 }]],
    message: /^refinement, terms: 3 is in term 5, which nobody has begun/,
  },
  {
    name: 'a candidate that leaves out a term',
    steps: [[1, { term: 2, vote: 1, role: 'candidate' }]],
    message: /^refinement, terms: 1 stands in term 2 as candidate, coming from term 0/,
  },
  {
    name: 'a second vote in a term',
    steps: [...oneLeads, [3, { term: 1, vote: 3, role: 'candidate' }], [2, { vote: 3 }]],
    message: /^refinement, votes: 2 voted for 1 in term 1, and now for 3/,
  },
  {
    name: 'a pre-candidate that forgets its vote',
    steps: [...oneLeads, [2, { role: 'preCandidate', vote: 0 }]],
    message: /^refinement, votes: 2 forgets that it voted for 1 in term 1/,
  },
  {
    name: 'a vote for who does not stand',
    steps: [...oneLeads, [3, { term: 1, vote: 2 }]],
    message: /^refinement, votes: 3 votes for 2, who does not stand in term 1/,
  },
  {
    name: 'a vote for itself in a term that another one began',
    steps: [...oneLeads, [3, { term: 1 }], [3, { vote: 3 }]],
    message: /^refinement, votes: 3 votes for itself in term 1 without having begun it/,
  },
  {
    name: 'a vote for a shorter log',
    steps: [
      ...oneLeads,
      [2, { log: [1] }],
      [3, { term: 1 }],
      [3, { term: 2, vote: 3, role: 'candidate' }],
      [2, { term: 2, vote: 3 }],
    ],
    message: /^refinement, votes: 2 votes for 3 in term 2, whose log ends at 0 \(term 0\); its own at 1 \(term 1\)/,
  },
  {
    name: 'a leader with one vote of three',
    steps: [
      [1, { term: 1, vote: 1, role: 'candidate' }],
      [1, { role: 'leader', log: [1] }],
    ],
    message: /^refinement, leaders: 1 leads term 1 without the votes of a majority/,
  },
  {
    name: 'a leader with a vote that is not on the disk',
    steps: [
      [1, { term: 1, vote: 1, role: 'candidate', disk: [1, 1, 0] }],
      [2, { term: 1, vote: 1, disk: [0, 0, 0] }],
      [1, { role: 'leader', log: [1] }],
    ],
    message: /^refinement, leaders: 1 leads term 1 without the votes of a majority/,
  },
  {
    name: 'a majority of one half of a joint membership',
    steps: [
      [
        1,
        {
          term: 1,
          vote: 1,
          role: 'candidate',
          voters: [
            [1, 2, 3],
            [1, 4, 5],
          ],
        },
      ],
      [2, { term: 1, vote: 1 }],
      [1, { role: 'leader', log: [1] }],
    ],
    message: /^refinement, leaders: 1 leads term 1 without the votes of a majority/,
  },
  {
    name: 'a follower that leads without standing',
    steps: [...oneLeads, [2, { role: 'leader' }]],
    message: /^refinement, roles: 2 was follower of term 1, and is now leader of term 1/,
  },
  {
    name: 'a leader that leads its term a second time',
    in: 'several',
    steps: [...oneLeads, [1, { role: 'follower' }], [1, { role: 'leader' }]],
    message: /^refinement, leaders: 1 leads term 1 for a second time/,
  },
  {
    name: 'a leader without what was committed',
    in: 'several',
    // 3 got the vote of 2 when 2 had lost its disk.
    steps: [
      ...oneCommitted,
      [2, { term: 1, vote: 0, log: [], committed: 0 }, 'forget'],
      [3, { term: 1 }],
      [3, { term: 2, vote: 3, role: 'candidate' }],
      [2, { term: 2, vote: 3 }],
      [3, { role: 'leader', log: [2] }],
    ],
    message: /^refinement, leaders: 3 leads term 2 without entry 1, which was committed in term 1/,
  },
  {
    name: 'a leader that cuts its log',
    steps: [...oneLeads, [1, { log: [1, 1] }], [1, { log: [1] }]],
    message: /^refinement, logs: 1 leads term 1 and changes its log otherwise/,
  },
  {
    name: 'a leader that appends an entry of another term',
    steps: [...threeLeadsWithout, [3, { log: [2, 1] }]],
    message: /^refinement, logs: 3 leads term 2 and changes its log otherwise/,
  },
  {
    name: 'a follower with an entry that its leader does not have',
    steps: [...oneLeads, [2, { log: ['1b'] }]],
    message: /^refinement, logs: 2 has in term 1 a log that is no part of a leader's/,
  },
  {
    name: 'an entry after one that is not the leader’s',
    steps: [
      ...threeLeadsWithout,
      [3, { log: [2, 2] }],
      [1, { term: 2, vote: 0, role: 'follower' }],
      [1, { log: [1, 2] }],
    ],
    message: /^refinement, logs: 1 has in term 2 a log that is no part of a leader's: it differs after 1/,
  },
  {
    name: 'a log that is cut where nothing differs',
    steps: [...oneLeads, [1, { log: [1, 1] }], [2, { log: [1, 1] }], [2, { log: [1] }]],
    message: /^refinement, logs: 2 cuts its log after 1, where nothing differs/,
  },
  {
    name: 'a committed entry that is cut',
    in: 'several',
    steps: [...oneCommitted, [2, { committed: 1 }], [2, { log: [] }]],
    message: /^refinement, logs: 2 cuts its log after 0, and 1 is committed/,
  },
  {
    name: 'an entry that only its leader holds',
    steps: [...oneLeads, [1, { committed: 1 }]],
    message: /^refinement, commits: 1 commits 1 in term 1, and no majority holds it/,
  },
  {
    name: 'an entry that is not on a majority of disks',
    steps: [
      [1, { term: 1, vote: 1, role: 'candidate', disk: [1, 1, 0] }],
      [2, { term: 1, vote: 1, disk: [1, 1, 0] }],
      [1, { role: 'leader', log: [1], disk: [1, 1, 1] }],
      [2, { log: [1] }],
      [1, { committed: 1 }],
    ],
    message: /^refinement, commits: 1 commits 1 in term 1, and no majority holds it/,
  },
  {
    name: 'an entry of an earlier term by counting',
    steps: [
      ...oneLeads,
      [2, { log: [1] }],
      [2, { term: 2, vote: 2, role: 'candidate' }],
      [3, { term: 2, vote: 2 }],
      [2, { role: 'leader', log: [1, 2] }],
      [3, { log: [1] }],
      [2, { committed: 1 }],
    ],
    message: /^refinement, commits: 2 leads term 2 and commits 1, an entry of term 1, by counting/,
  },
  {
    name: 'a follower that commits what its leader has not',
    steps: [...oneLeads, [2, { log: [1] }], [2, { committed: 1 }]],
    message: /^refinement, commits: 2 commits 1, and nobody has committed more than 0/,
  },
  {
    name: 'a commit beyond the log',
    steps: [...oneCommitted, [3, { term: 1, committed: 1 }]],
    message: /^refinement, commits: 3 commits 1, and its log ends at 0/,
  },
  {
    name: 'a commit that goes back',
    steps: [...oneCommitted, [1, { committed: 0 }]],
    message: /^refinement, commits: 1 goes back from commit 1 to 0/,
  },
  {
    name: 'another entry than the committed one',
    steps: [...threeLeadsWithout, [2, { log: [2] }], [3, { committed: 1 }], [1, { committed: 1 }]],
    message: /^refinement, commits: 1 commits another entry 1 than the one of term 2/,
  },
  {
    name: 'a member that is seen again as a leader without votes',
    in: 'several',
    steps: [...oneCommitted, [3, { term: 2, vote: 3, role: 'leader', log: [1, 2] }, 'forget']],
    message: /^refinement, leaders: 3 leads term 2 without the votes of a majority/,
  },
  {
    name: 'a member that is seen again with another entry than the committed one',
    in: 'several',
    steps: [...oneCommitted, [2, { log: ['1b'], committed: 1 }, 'forget']],
    message: /^refinement, commits: 2 commits another entry 1 than the one of term 1/,
  },
  {
    name: 'a start as something else than a follower',
    steps: [...oneLeads, [1, { role: 'leader' }, 'restart']],
    message: /^refinement, a start: 1 starts as leader/,
  },
  {
    name: 'a start without the vote that was on the disk',
    steps: [
      [1, { term: 1, vote: 1, role: 'candidate', disk: [1, 1, 0] }],
      [1, { role: 'follower', vote: 0, disk: [1, 0, 0] }, 'restart'],
    ],
    message: /^refinement, a start: 1 had a vote for 1 in term 1 on its disk, and starts with 0/,
  },
  {
    name: 'a start without an entry that was on the disk',
    steps: [
      [1, { term: 1, vote: 1, role: 'candidate', disk: [1, 1, 0] }],
      [2, { term: 1, vote: 1, disk: [1, 1, 0] }],
      [1, { role: 'leader', log: [1], disk: [1, 1, 1] }],
      [1, { role: 'follower', log: [], disk: [1, 1, 0] }, 'restart'],
    ],
    message: /^refinement, a start: 1 had entry 1 on its disk, and starts without it/,
  },
  {
    name: 'a start in a term it has never been in',
    steps: [[1, { term: 3 }, 'restart']],
    message: /^refinement, a start: 1 starts in term 3, and had only seen 0/,
  },
];

for (const { name, steps, message, in: granularity = 'one' } of illegal) {
  test(`the abstract Raft refuses: ${name}`, () => {
    play(steps.slice(0, -1), { steps: granularity });
    assert.throws(() => play(steps, { steps: granularity }), { name: 'Violation', message });
  });
}

test('a clone goes on by itself', () => {
  const raft = play(oneLeads);
  const text = raft.describe();
  const clone = raft.clone();
  const followed = { ...unborn, term: 1, vote: 1, entries: [entryOf(1)] };
  clone.observe(2, followed);
  assert.equal(raft.describe(), text);
  assert.notEqual(clone.describe(), text);
  raft.observe(2, followed);
  assert.equal(raft.describe(), clone.describe());
});
