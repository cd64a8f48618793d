/**
 * The words a scenario says a fault in, one for each kind of faults.ts and a few that stand for several. What a word needs
 * is read from the file at once, so that every mistake has its place; who is struck may be drawn only when it strikes.
 */
import {
  alone,
  type Draw,
  type FaultTemplate,
  lastsMs,
  ofAnyNumber,
  ofMember,
  ofMemberForGood,
  one,
  readJump,
  readLink,
  shuffled,
  type Word,
  type WordReader,
} from './fault-word-parts.ts';
import { calm } from './network-conditions.ts';

const wantedSides = 'lists of members such as [[0, 1], [2, 3, 4]], or sizes such as 2|3 with members drawn anew';

const partition: Word = (reader) => {
  const { fields, members } = reader;
  const healMs = lastsMs(reader);
  const node = fields.required('sides', fields.node('sides'), wantedSides);
  if (node.kind === 'scalar') {
    const isSizes = /^\d(\s*\|\s*\d)+$/.test(node.text);
    const sizes = isSizes ? node.text.split('|').map(Number) : [];
    const total = sizes.reduce((sum, size) => sum + size, 0);
    if (!isSizes || sizes.includes(0)) throw fields.wrong('sides', wantedSides);
    if (total !== members)
      throw fields.bad(node.place, `sides have ${total} members together; the cluster has ${members}`);
    return (draw) => one({ kind: 'partition', sides: drawnSides(sizes, draw), healMs });
  }
  if (node.kind !== 'list' || node.items.length < 2) throw fields.bad(node.place, `sides want ${wantedSides}`);
  const sides = Array.from({ length: members }, () => -1);
  for (const [side, group] of node.items.entries()) {
    if (group.kind !== 'list' || group.items.length === 0)
      throw fields.bad(group.place, 'a side without members; want a list such as [0, 1]');
    for (const item of group.items) {
      const member = fields.wholeNumberOf(item, 'member', { min: 0, max: members - 1 });
      if (sides[member] !== -1) throw fields.bad(item.place, `member ${member} is on two sides; want it on one`);
      sides[member] = side;
    }
  }
  const missing = sides.indexOf(-1);
  if (missing >= 0) throw fields.bad(node.place, `member ${missing} is on no side; want every member on one`);
  return () => one({ kind: 'partition', sides, healMs });
};

function drawnSides(sizes: readonly number[], { random, members }: Draw): readonly number[] {
  const left = sizes.flatMap((size, side) => Array.from({ length: size }, () => side));
  return Array.from({ length: members }, () => left.splice(random.integer(0, left.length - 1), 1)[0] ?? 0);
}

const weather: Word = (reader) => {
  const { fields } = reader;
  const forMs = lastsMs(reader);
  const conditions = {
    delayMinMs: fields.durationMs('delayMin') ?? calm.delayMinMs,
    delayMeanMs: fields.durationMs('delayMean') ?? calm.delayMeanMs,
    loss: fields.share('loss') ?? 0,
    duplication: fields.share('duplication') ?? 0,
  };
  return () => [
    { atMs: 0, fault: { kind: 'weather', conditions } },
    { atMs: forMs, fault: { kind: 'weather', conditions: calm } },
  ];
};

/** Every word, in the order in which the documentation has them. */
export const faultWords: Readonly<Record<string, Word>> = {
  crash: ofMember(
    (member, downMs) => ({ kind: 'crash', member, downMs }),
    (downMs) => ({ kind: 'crashLeader', downMs }),
  ),
  crashAll: (reader) => {
    const downMs = lastsMs(reader);
    return () => one({ kind: 'crashAll', downMs });
  },
  crashQuorum: (reader) => {
    const downMs = lastsMs(reader);
    return ({ random, members }) => {
      const order = shuffled(members, random);
      return one({ kind: 'crashQuorum', members: order.slice(0, Math.ceil(members / 2)), downMs });
    };
  },
  crashLoop: (reader) => {
    const times = reader.fields.wholeNumber('times', { min: 1, max: 100 }) ?? 5;
    const upMs = lastsMs(reader, 'up');
    return ofMember((member, downMs) => ({ kind: 'crashLoop', member, times, upMs, downMs }))(reader);
  },
  crashInDisk: (reader) => {
    const { fields } = reader;
    const operations = ['write', 'dataSync', 'open', 'rename', 'remove', 'truncate', 'syncDirectory'] as const;
    const operation = fields.required('operation', fields.choice('operation', operations), operations.join(', '));
    const after = fields.wholeNumber('after', { min: 1, max: 100_000 }) ?? 1;
    return ofMember((member, downMs) => ({ kind: 'crashInDisk', member, operation, after, downMs }))(reader);
  },
  stop: ofMember(
    (member, downMs) => ({ kind: 'stop', member, downMs }),
    (downMs) => ({ kind: 'stopLeader', downMs }),
  ),
  pause: ofMember(
    (member, pauseMs) => ({ kind: 'pause', member, pauseMs }),
    (pauseMs) => ({ kind: 'pauseLeader', pauseMs }),
  ),
  partition,
  isolate: ofMember(
    (member, healMs, { members }) => ({ kind: 'partition', sides: alone(member, members), healMs }),
    (healMs) => ({ kind: 'isolateLeader', healMs }),
  ),
  deaf: ofMember((member, healMs) => ({ kind: 'deaf', member, healMs })),
  mute: ofMember((member, healMs) => ({ kind: 'mute', member, healMs })),
  oneWay: (reader) => {
    const link = readLink(reader);
    const healMs = lastsMs(reader);
    return () => one({ kind: 'oneWay', ...link, healMs });
  },
  clog: (reader) => {
    const link = readLink(reader);
    const healMs = lastsMs(reader);
    return () => one({ kind: 'clog', ...link, healMs });
  },
  bridge: (reader) => {
    const healMs = lastsMs(reader);
    return ({ random, members }) => {
      const [member = 0, ...others] = shuffled(members, random);
      const half = new Set(others.slice(0, Math.floor(others.length / 2)));
      const sides = Array.from({ length: members }, (_, other) => (half.has(other) ? 1 : 0));
      return one({ kind: 'bridge', sides, member, healMs });
    };
  },
  ring: (reader) => {
    const healMs = lastsMs(reader);
    return ({ random, members }) => one({ kind: 'ring', order: shuffled(members, random), healMs });
  },
  flapping: (reader) => {
    const onMs = lastsMs(reader, 'on');
    const offMs = lastsMs(reader, 'off');
    return ofMember((member, healMs) => ({ kind: 'flapping', member, onMs, offMs, healMs }))(reader);
  },
  slowLinks: (reader) => {
    const byMs = lastsMs(reader, 'by');
    return ofMember((member, healMs) => ({ kind: 'slowLinks', member, byMs, healMs }))(reader);
  },
  lateReplay: (reader) => {
    const { fields } = reader;
    const share = fields.required('share', fields.share('share'), 'a share such as 2%');
    const lateMs = lastsMs(reader, 'late');
    const healMs = lastsMs(reader);
    return () => one({ kind: 'lateReplay', share, lateMs, healMs });
  },
  dropType: (reader) => {
    const { fields } = reader;
    const sorts = ['votes', 'appends', 'heartbeats', 'answers', 'proposals', 'reads', 'snapshots'] as const;
    const sort = fields.required('sort', fields.choice('sort', sorts), `one of ${sorts.join(', ')}`);
    const healMs = lastsMs(reader);
    return () => one({ kind: 'dropType', sort, healMs });
  },
  clientCut: (reader) => {
    const { fields } = reader;
    const lost = fields.required('lost', fields.choice('lost', ['requests', 'answers']), 'requests or answers');
    return ofMember((member, healMs) => ({ kind: 'clientCut', member, lost, healMs }))(reader);
  },
  weather,
  wipe: ofMember((member, downMs) => ({ kind: 'wipe', member, downMs })),
  rot: (reader) => {
    const bytes = reader.fields.wholeNumber('bytes', { min: 1, max: 1_000 }) ?? 1;
    return ofMember((member, downMs) => ({ kind: 'rot', member, downMs, bytes }))(reader);
  },
  diskError: (reader) => {
    const { fields } = reader;
    const code = fields.required('code', fields.choice('code', ['EIO', 'ENOSPC']), 'EIO or ENOSPC');
    return ofMember((member, downMs) => ({ kind: 'diskError', member, code, downMs }))(reader);
  },
  fullDisk: ofMember((member, healMs) => ({ kind: 'fullDisk', member, healMs })),
  slowDisk: (reader) => {
    const delayMs = lastsMs(reader, 'by');
    return ofMember((member, healMs) => ({ kind: 'slowDisk', member, delayMs, healMs }))(reader);
  },
  clockRate: (reader) => {
    const percent = reader.fields.wholeNumber('percent', { min: 10, max: 1_000 });
    const rate = reader.fields.required('percent', percent, 'how fast it runs, such as 150') / 100;
    return ofMember((member, healMs) => ({ kind: 'clockRate', member, rate, healMs }))(reader);
  },
  clockFreeze: ofMember((member, healMs) => ({ kind: 'clockFreeze', member, healMs })),
  wallJump: (reader) => {
    const byMs = readJump(reader);
    return ofMemberForGood((member) => ({ kind: 'wallJump', member, byMs }))(reader);
  },
  wallStrobe: (reader) => {
    const byMs = readJump(reader);
    const everyMs = lastsMs(reader, 'strobe');
    return ofMember((member, healMs) => ({ kind: 'wallStrobe', member, byMs, everyMs, healMs }))(reader);
  },
  defragment: ofMemberForGood((member) => ({ kind: 'defragment', member })),
  hash: ofMemberForGood((member) => ({ kind: 'hash', member })),
  saveSnapshot: ofMemberForGood((member) => ({ kind: 'saveSnapshot', member })),
  ambush: (reader) => {
    const forMs = lastsMs(reader);
    const withinMs = lastsMs(reader, 'within');
    const downMs = lastsMs(reader, 'down');
    return () => one({ kind: 'ambush', forMs, withinMs, downMs });
  },
  figureEight: () => () => one({ kind: 'figureEight' }),
  transfer: ofAnyNumber('transfer'),
  addLearner: ofAnyNumber('addLearner'),
  promote: () => () => one({ kind: 'promote' }),
  remove: ofAnyNumber('remove'),
};

/** Reads the word at `fault` and what goes with it. Throws BadScenario. */
export function readFaultWord(reader: WordReader): FaultTemplate {
  const { fields } = reader;
  const names = Object.keys(faultWords);
  const wanted = `one of ${names.join(', ')}`;
  const name = fields.required('fault', fields.text('fault', wanted), wanted);
  const word = Object.hasOwn(faultWords, name) ? faultWords[name] : undefined;
  if (word === undefined) throw fields.wrong('fault', wanted);
  return word(reader);
}
