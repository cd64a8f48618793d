/** The search itself: small bounds are exhausted, what it takes for the same is the same, and stories can be told again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bounds, Clusters, type ClusterState } from '../../../chaos/explore/cluster.ts';
import { Fingerprints, mixLow } from '../../../chaos/explore/fingerprints.ts';
import { runExplore } from '../../../chaos/explore/main.ts';
import { Search } from '../../../chaos/explore/search.ts';
import { retell } from '../../../chaos/explore/story.ts';

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
  refinement: true,
};

const exhausted: readonly { readonly name: string; readonly bounds: Partial<Bounds>; readonly statesMin: number }[] = [
  { name: 'two terms without pre-vote', bounds: { terms: 2 }, statesMin: 20_000 },
  {
    name: 'one term without pre-vote, one crash at any moment, one proposal',
    bounds: { crashes: 1, entries: 1 },
    statesMin: 5_000,
  },
  {
    name: 'one term with pre-vote, check-quorum and a heartbeat',
    bounds: { preVote: true, checkQuorum: true, wire: 1, beats: 1 },
    statesMin: 200,
  },
  { name: 'records that overlap', bounds: { crashes: 1, entries: 1, records: 2, wire: 1 }, statesMin: 2_000 },
  {
    name: 'two terms with pre-vote and check-quorum',
    bounds: { terms: 2, preVote: true, checkQuorum: true, wire: 1 },
    statesMin: 5_000,
  },
  { name: 'messages that arrive twice', bounds: { duplicates: 1, entries: 1 }, statesMin: 1_000 },
];

for (const { name, bounds, statesMin } of exhausted) {
  test(`every state within a small bound is good: ${name}`, () => {
    const result = new Search({ ...smallest, ...bounds }, { audits: 200 }).run();
    assert.equal(result.counterexample?.violation.message, undefined);
    assert.equal(result.isExhausted, true);
    assert.ok(result.states > statesMin, `${result.states} states`);
    assert.ok(result.audited > 100, `${result.audited} merged steps compared`);
  });
}

test('states that differ only in who is who are one state', () => {
  const clusters = new Clusters(smallest);
  const successors = clusters.expand(clusters.initial());
  assert.ok(!('violation' in successors));
  const prints = successors.map(({ state }) => {
    const print: [number, number] = [0, 0];
    clusters.fingerprint(state, print);
    return print.join('/');
  });
  assert.equal(successors.length, 3, 'each of three members may campaign');
  assert.equal(new Set(prints).size, 1);
});

/** Every state, told apart also by who is who, found without fingerprints. */
function everyState(bounds: Bounds): { readonly states: number; readonly prints: number } {
  const clusters = new Clusters(bounds);
  const textOf = ({ locals, wire, history, left }: ClusterState) =>
    JSON.stringify([
      locals.map(({ id }) => id),
      wire.map(({ id }) => id).toSorted((one, other) => one - other),
      history.id,
      left,
    ]);
  const initial = clusters.initial();
  const seen = new Set([textOf(initial)]);
  const prints = new Set<string>();
  for (const waiting = [initial]; waiting.length > 0; ) {
    const state = waiting.pop() as ClusterState;
    const print: [number, number] = [0, 0];
    clusters.fingerprint(state, print);
    prints.add(print.join('/'));
    const successors = clusters.expand(state);
    assert.ok(!('violation' in successors));
    for (const { state: next } of successors) {
      if (seen.has(textOf(next))) continue;
      seen.add(textOf(next));
      waiting.push(next);
    }
  }
  return { states: seen.size, prints: prints.size };
}

test('nothing is lost by taking states for one that differ only in who is who', () => {
  const bounds = { ...smallest, entries: 1 };
  const { states, prints } = everyState(bounds);
  const result = new Search(bounds).run();
  assert.equal(result.states, prints);
  assert.ok(states > 5 * prints, `${states} states, ${prints} fingerprints`);
});

test('the search says that it was ended when it was', () => {
  let asked = 0;
  const result = new Search(smallest, { isOver: () => ++asked > 5 }).run();
  assert.equal(result.isExhausted, false);
  assert.equal(result.counterexample, undefined);
});

test('two runs of a search see the same states', () => {
  const [one, other] = [1, 2].map(() => new Search(smallest).run());
  assert.deepEqual(one, other);
});

test('a set of fingerprints holds each number once, however many there are', () => {
  const prints = new Fingerprints();
  for (let at = 0; at < 200_000; at++) assert.equal(prints.add(at >>> 3, mixLow(1, at)), true);
  for (let at = 0; at < 200_000; at++) assert.equal(prints.add(at >>> 3, mixLow(1, at)), false);
  assert.equal(prints.size, 200_000);
});

test('a story is told step by step, with what each member looks like', () => {
  const story = '1 timeout; 1 sync; 2 gets vote 1>2 term 1 last 0/0; 2 sync; 1 gets voteResp 2>1 term 1 yes; 3 crash 0';
  const { lines, violation } = retell(story, smallest);
  assert.equal(violation, undefined);
  assert.equal(lines.length, 6);
  assert.match(lines[0] ?? '', /1 is candidate, term 1 vote 1 log \[\] commit 0; on its disk term 0/);
  assert.match(lines[4] ?? '', /1 is leader, term 1 vote 1 log \[1\]/);
});

const badStories = [
  { story: 'x', message: /begins with the number of a member/ },
  { story: '7 timeout', message: /1 to 3/ },
  { story: '1 sleeps', message: /one of timeout, doubt, beat/ },
  { story: '1 sync', message: /nothing waits for its disk/ },
  { story: '1 beat', message: /only a leader/ },
  { story: '1 crash 2', message: /only 0 records/ },
  { story: '1 gets vote 2>1 term 1 last 0/0', message: /nobody has sent it/ },
];
for (const { story, message } of badStories) {
  test(`a story with the step "${story}" is refused with the reason`, () => {
    assert.throws(() => retell(story, smallest), { message });
  });
}

test('the command says how much it saw, and by its exit code whether that was all', async (context) => {
  const lines: string[] = [];
  context.mock.method(console, 'log', (line: string) => lines.push(line));
  assert.equal(await runExplore(['--terms=1', '--no-pre-vote', '--no-check-quorum']), 0);
  assert.match(lines.join('\n'), /\d+ states, \d+ transitions, depth \d+[^]*exhausted: every state within the bounds/);
  assert.equal(await runExplore(['--terms=1', '--no-pre-vote', '--no-check-quorum', '--states=100']), 2);
  assert.match(lines.at(-1) ?? '', /NOT exhausted/);
  assert.equal(await runExplore(['--no-pre-vote', '--replay=1 timeout; 1 sync']), 0);
  await assert.rejects(runExplore(['--replay=1 sync']), { code: 'USAGE', message: /nothing waits for its disk/ });
  await assert.rejects(runExplore(['--terms=0']), { code: 'USAGE' });
});
