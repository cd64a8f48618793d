/**
 * The search finds bugs that were planted, each within a bound that is small, and says what comes of them. Where the core's
 * own assertions would stop it first, they are taken out as well.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Bounds } from '../../../chaos/explore/cluster.ts';
import { type Edit, unwatchedVotes, withPlanted } from './planted.ts';

const smallest: Bounds = {
  members: 3,
  terms: 1,
  entries: 0,
  crashes: 0,
  beats: 0,
  duplicates: 0,
  wire: 2,
  records: 1,
  entriesPerAppend: 1,
  preVote: false,
  checkQuorum: false,
  refinement: false,
};

/** No search of these tests goes on for longer. */
const statesMax = 150_000;

const forgetfulPreCandidate: readonly Edit[] = [
  {
    file: 'src/raft/core/state.ts',
    find: `  reset(state, state.term);
  state.role = 'preCandidate';`,
    replace: `  reset(state, state.term);
  state.vote = nobody;
  state.role = 'preCandidate';`,
  },
  ...unwatchedVotes,
];

const countsEarlierTerms: Edit = {
  file: 'src/raft/core/replicate.ts',
  find: '  if (state.log.termAt(quorumIndex) !== state.term) return false;\n',
  replace: '',
};

interface Bug {
  readonly story: string;
  readonly edits: readonly Edit[];
  readonly bounds: Partial<Bounds>;
  readonly found: RegExp;
}

const bugs: readonly Bug[] = [
  {
    story: 'a pre-candidate forgets whom it voted for in its term, and votes for another one',
    edits: forgetfulPreCandidate,
    bounds: { preVote: true },
    found: /^election safety: term 1 has two leaders/,
  },
  {
    story: 'the same, seen by the abstract Raft before it does harm',
    edits: forgetfulPreCandidate,
    bounds: { preVote: true, checkQuorum: true, refinement: true },
    found: /^refinement, votes: \d forgets that it voted for/,
  },
  {
    story: 'a vote is given twice in a term',
    edits: [
      {
        file: 'src/raft/core/election.ts',
        find: 'const isFree = state.vote === message.from || (state.vote === nobody && state.leader === nobody);',
        replace: "const isFree = state.role === 'follower';",
      },
      ...unwatchedVotes,
    ],
    bounds: {},
    found: /^election safety: term 1 has two leaders/,
  },
  {
    story: 'an entry of an earlier term is committed because a majority holds it',
    edits: [countsEarlierTerms],
    bounds: { terms: 2, records: 0, refinement: true },
    found: /^refinement, commits: \d leads term 2 and commits 1, an entry of term 1, by counting/,
  },
  {
    story: 'a vote is told before it is on the disk',
    edits: [{ file: 'src/raft/core/outbox.ts', find: '  voteResp: true,', replace: '  voteResp: false,' }],
    bounds: { crashes: 1 },
    found: /^what is promised is on disk: member \d votes for \d in term 1, and on its disk is term 0/,
  },
  {
    story: 'an acknowledgement is told before the entry is on the disk',
    edits: [{ file: 'src/raft/core/outbox.ts', find: '  appResp: true,', replace: '  appResp: false,' }],
    bounds: {},
    found: /^what is promised is on disk: member \d acknowledges entry 1, and its disk ends at 0/,
  },
  {
    story: 'a start takes the term from the disk and not the vote',
    edits: [
      { file: 'src/raft/core/raft.ts', find: '      vote: hardState.vote,', replace: '      vote: nobody,' },
      ...unwatchedVotes,
    ],
    bounds: { crashes: 1 },
    found: /^election safety: term 1 has two leaders/,
  },
  {
    story: 'a vote is given without a look at the logs',
    edits: [
      {
        file: 'src/raft/core/log.ts',
        find: 'return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);',
        replace: 'return lastIndex >= 0 && lastTerm >= 0;',
      },
    ],
    bounds: { terms: 2 },
    found: /^leader completeness: member \d leads term 2 without entry 1/,
  },
  {
    story: 'logs are compared by length only',
    edits: [
      {
        file: 'src/raft/core/log.ts',
        find: 'return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);',
        replace: 'return lastIndex >= this.lastIndex;',
      },
    ],
    bounds: { terms: 3, wire: 1, entries: 1 },
    found: /^leader completeness: member \d leads term 3 without entry 2/,
  },
  {
    story: 'a follower does not look at the entry before',
    edits: [
      {
        file: 'src/raft/core/log.ts',
        find: 'if (!this.matches(request.prevIndex, request.prevTerm)) return undefined;',
        replace: 'if (request.prevIndex > this.lastIndex) return undefined;',
      },
    ],
    bounds: { terms: 3, wire: 1, records: 0, entries: 1 },
    found: /^(log matching|refinement)/,
  },
  {
    story: 'an append that arrives again cuts what came after it',
    edits: [
      {
        file: 'src/raft/core/log.ts',
        find: 'const firstNew = request.entries.findIndex((entry) => !this.matches(entry.index, entry.term));',
        replace: 'const firstNew = request.entries.findIndex((entry) => entry.index > this.committed);',
      },
    ],
    bounds: { entries: 2, duplicates: 1 },
    found: /^what is committed is on the disks of a majority: entry 3 \(term 1\) is on 1 of 3 disks/,
  },
];

for (const { story, edits, bounds, found } of bugs) {
  test(`the search finds: ${story}`, async () => {
    const within = { ...smallest, ...bounds };
    await withPlanted(edits, ({ run, storyText, retell }) => {
      const { counterexample, states } = run(within, statesMax);
      assert.ok(counterexample !== undefined, `nothing in ${states} states`);
      assert.match(counterexample.violation.message, found);
      const told = retell(storyText(counterexample.story, within.members), within);
      assert.equal(told.violation?.message, counterexample.violation.message, 'the story told again ends the same');
    });
  });
}

test('a candidate that loses and forgets its vote hurts nobody without pre-vote: every state is good', async () => {
  const forgets = {
    file: 'src/raft/core/election.ts',
    find: "if (result === 'lost') return becomeFollower(state, state.term, nobody);",
    replace: "if (result === 'lost') { becomeFollower(state, state.term, nobody); state.vote = nobody; return; }",
  };
  await withPlanted([forgets, ...unwatchedVotes], ({ run }) => {
    const result = run({ ...smallest, terms: 2 }, statesMax);
    assert.equal(result.counterexample?.violation.message, undefined);
    assert.equal(result.isExhausted, true);
  });
});

test('the command tells the story of a bug, and the line that tells it again', async (context) => {
  const lines: string[] = [];
  context.mock.method(console, 'log', (line: string) => lines.push(line));
  await withPlanted(forgetfulPreCandidate, async ({ runExplore }) => {
    assert.equal(await runExplore(['--terms=1']), 1);
    const text = lines.join('\n');
    assert.match(text, /^BROKEN refinement, votes: \d forgets that it voted for/m);
    assert.match(text, /^ {2}1\. \d timeout\n +\d is preCandidate, term 0 vote 0/m);
    const story = /^again: keelson chaos explore --terms=1 --replay '(.*)'$/m.exec(text)?.[1] ?? '';
    lines.length = 0;
    assert.equal(await runExplore(['--terms=1', `--replay=${story}`]), 1);
    assert.match(lines.join('\n'), /^BROKEN refinement, votes: \d forgets that it voted for/m);
  });
});
