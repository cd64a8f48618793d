/**
 * The catalogue of mistakes in Raft that others have made, and which test of ours stands for each. A name that no test has
 * any more fails here.
 */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const folders = ['test/raft/core', 'test/raft/host', 'test/raft/wal', 'test/kv/server', 'test/kv/apply', 'test/chaos'];

/** Number and name as in the catalogue; the tests by name. */
const catalogue: readonly (readonly [trap: string, tests: readonly string[]])[] = [
  ['1 figure 8', ['5.4.2: an entry of an earlier term is committed only together with one of the own term (figure 8)']],
  [
    '2 single-server membership bug',
    [
      'a new leader takes no membership change before an entry of its own term is committed',
      'thesis 4.1: one membership change at a time, after a commit in the own term',
      'the last message of a removed leader is lost with the leader: the voter that remains learns of it by asking',
    ],
  ],
  [
    '3 joint consensus',
    [
      '6: in joint consensus both halves must agree on an entry',
      'a joint configuration is left by a later leader, also after everybody crashed',
      'a leader that is removed leads until the others know, then hands over',
      'a leader that is removed does not count itself any more',
      'a learner votes when it is asked: it may be a voter in a membership it has not seen',
    ],
  ],
  [
    '4 pre-vote, check-quorum and stickiness together',
    [
      'partly connected replicas do not depose each other again and again',
      'one cut link does not depose a leader whom a quorum hears',
      'a leader that can send but hears nothing makes room, so the others are not held up for ever',
      'a leader that hears only a minority makes room for one that hears a quorum',
      'a deaf follower that asks for ever moves nobody’s term, and follows again when it hears',
      'a pre-candidate starts over clean: what it was told in the round before does not count',
    ],
  ],
  [
    '5 transfer',
    [
      'a transfer is not stopped by stickiness, and asks for no pre-vote',
      'thesis 3.10: a transfer that does not happen within an election time-out is given up',
      'writes are refused while leadership moves, and taken again when it did not',
      'a transferee that is told too late campaigns in a term that is over, and harms nobody',
    ],
  ],
  [
    '6 ReadIndex and leases',
    [
      'a read at a new leader waits for the commit of its own term',
      'thesis 6.4: a read waits for a round of heartbeats that began after it',
      'thesis 6.4: a deposed leader answers no read',
      'a repeated or late answer to a forwarded read is not expected any more',
      'a forwarded read is dropped when the leader changes, and its late answer is ignored',
      'a leader that stood still has no lease when it goes on, although no tick has told it',
      'a transfer ends the lease for the rest of the term, also when it comes to nothing',
      'a follower that was started again does not vote in its first election time-out: a lease may rest on it',
    ],
  ],
  [
    '7 term and vote on disk',
    [
      'a vote is on disk before it is sent, together with its term',
      'a vote survives a crash: the same term gives no second one',
      'a vote is not forgotten when its term is lost: following and stepping down keep it',
    ],
  ],
  [
    '8 repeated and stale answers',
    [
      'a repeated vote counts once',
      'a vote of an earlier term does not count',
      'a granted pre-vote does not count as a vote',
      'an acknowledgement of an earlier leadership does not count',
      'an acknowledgement of a removed member does not count',
    ],
  ],
  [
    '9 appends',
    [
      'only a real conflict cuts the log: an old message takes nothing away',
      '5.3: the commit index of a follower ends at the last entry the message vouches for',
      'index 0 matches with term 0, so the first entry can be appended',
      'next never falls to match or below, whatever the hint says',
      'a record that was overwritten while it was written vouches for nothing (asynchronous append, ABA)',
    ],
  ],
  [
    '10 a leader counts what is on its disk',
    [
      'a leader counts its own entry when it is on disk: one member acknowledges nothing before',
      'what is handed out to be applied is durable here, even if others committed it',
    ],
  ],
  [
    '11 snapshots',
    [
      'a snapshot behind the commit index is ignored',
      'log, membership, commit and snapshot change as one step, and the log matches at the edge',
      'two snapshots in a short time: the later one wins, and nothing is applied in between',
      'a follower that catches up while its snapshot is under way is not stuck',
      'a slow follower is not flooded, and goes on after its log was compacted away',
      'a snapshot whose stream breaks again and again goes on where it broke, and arrives',
    ],
  ],
  [
    '12 applying',
    [
      'a membership change and the index of its entry are one step on disk',
      'a vetoed change changes nothing, also after restarts',
      'a change that was vetoed just before the process ended stays vetoed: the state says how it ended',
      'an applied index that runs ahead of a membership change is a mistake of the host',
    ],
  ],
  [
    '16 protocol-aware recovery',
    [
      'a member that lost an acknowledged entry helps nobody to lead who lacks it',
      'a member that lost part of its log does not campaign, not even when it is told to',
      'the leader that believed a member to have everything brings it up again, without new writes',
      'an ordinary refusal that is late does not make the leader forget what was acknowledged since',
      'a member whose log lost committed entries refuses to start instead of voting as if nothing had happened',
    ],
  ],
  [
    '17 removed and wiped members',
    [
      'a replica that was removed or never added does not campaign',
      'a member that comes back with an empty disk under its old id is refused, and says why',
      'a member that was removed is told so by whoever it calls',
      'with --rejoin a wiped member comes back as a new learner, in place of who it was',
    ],
  ],
  [
    '19 flow control and order',
    [
      'a heartbeat never carries a commit index beyond what its receiver holds',
      'lost appends reopen with the answer to a heartbeat',
      'a full window pauses, an acknowledgement frees it',
    ],
  ],
];

async function namesOfTests(): Promise<Set<string>> {
  const names = new Set<string>();
  for (const folder of folders) {
    const files = await readdir(join(root, folder)).catch(() => []);
    for (const file of files.filter((name) => name.endsWith('.test.ts'))) {
      const text = await readFile(join(root, folder, file), 'utf8');
      for (const [, name = ''] of text.matchAll(/\btest\(\s*'((?:[^'\\]|\\.)*)'/g)) names.add(name);
    }
  }
  return names;
}

test('every trap of the catalogue has the tests that stand for it', async () => {
  const names = await namesOfTests();
  const missing = catalogue.flatMap(([trap, tests]) =>
    tests.filter((name) => !names.has(name)).map((name) => `${trap}: ${name}`),
  );
  assert.deepEqual(missing, []);
});
