/** Scenario files: what a right one means, and where a wrong one is wrong. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { seededRandom } from '../../../chaos/sim/random.ts';
import { faultKinds } from '../../../chaos/scenario/faults.ts';
import { compileScenario, parseScenario, usualMix } from '../../../chaos/scenario/scenario.ts';
import { BadScenario } from '../../../chaos/scenario/yaml-tree.ts';

const head = 'name: mine\ndescription: one\n';
const compiled = (faults: string, options: { readonly members?: number; readonly seed?: string } = {}) => {
  const text = `${head}cluster: {members: ${options.members ?? 3}}\nworkload: {seconds: 10}\nfaults:\n${faults}`;
  return compileScenario(parseScenario(text, 'mine.yaml'), seededRandom(options.seed ?? '1'));
};

test('a scenario of name and description alone is three members, usual clients and no fault', () => {
  const scenario = parseScenario(head, 'mine.yaml');
  assert.deepEqual(scenario, {
    name: 'mine',
    description: 'one',
    cluster: { members: 3, isTls: true, flags: [] },
    workload: { clients: 6, keys: 6, thinkMs: 40, seconds: 20, mix: usualMix },
    faults: [],
  });
});

test('everything a scenario can say is read', () => {
  const text = `${head}version: 1
cluster:
  members: 5
  tls: false
  flags: [--snapshot-count=100, "--auto-compaction-retention=1"]
workload:
  clients: 3
  keys: 2
  think: 1s500ms
  seconds: 7
  mix: {put: 1, get: 2}
`;
  const { cluster, workload } = parseScenario(text, 'mine.yaml');
  assert.deepEqual(cluster, {
    members: 5,
    isTls: false,
    flags: ['--snapshot-count=100', '--auto-compaction-retention=1'],
  });
  const mix = { put: 1, get: 2, cas: 0, delete: 0, txn: 0, list: 0, compact: 0 };
  assert.deepEqual(workload, { clients: 3, keys: 2, thinkMs: 1_500, seconds: 7, mix });
});

test('whoever leads is a member that a fault can name', () => {
  assert.deepEqual(compiled('- {at: 1s, fault: crash, member: leader, for: 500ms}'), [
    { atMs: 1_000, fault: { kind: 'crashLeader', downMs: 500 }, expect: undefined },
  ]);
  const kinds = compiled(
    '- {at: 1s, fault: pause, member: leader, for: 1s}\n- {at: 2s, fault: isolate, member: leader, for: 1s}',
  );
  assert.deepEqual(
    kinds.map(({ fault }) => fault.kind),
    ['pauseLeader', 'isolateLeader'],
  );
});

test('a fault comes again up to its end, each member in turn', () => {
  const faults = compiled('- {at: 1s, every: 2s, until: 8s, fault: crash, member: each, for: 1s}');
  assert.deepEqual(
    faults.map(({ atMs, fault }) => [atMs, 'member' in fault && fault.member]),
    [
      [1_000, 0],
      [3_000, 1],
      [5_000, 2],
      [7_000, 0],
    ],
  );
});

test('without an end a fault comes again for as long as clients work, also when somebody asks for less time', () => {
  const text = `${head}workload: {seconds: 10}\nfaults: [{at: 1s, every: 3s, fault: crashAll, for: 1s}]`;
  const scenario = parseScenario(text, 'mine.yaml');
  const times = (seconds?: number) => compileScenario(scenario, seededRandom('1'), seconds).map(({ atMs }) => atMs);
  assert.deepEqual(times(), [1_000, 4_000, 7_000]);
  assert.deepEqual(times(5), [1_000, 4_000]);
  assert.deepEqual(times(1), []);
});

test('sides are given, or drawn by their sizes, anew every time and the same from the same seed', () => {
  const given = compiled('- {at: 1s, fault: partition, sides: [[0, 3], [1], [2, 4]], for: 2s}', { members: 5 });
  assert.deepEqual(given[0]?.fault, { kind: 'partition', sides: [0, 1, 2, 0, 2], healMs: 2_000 });
  const text = '- {at: 0s, every: 100ms, fault: partition, sides: 2|3, for: 50ms, expect: writes}';
  const drawn = compiled(text, { members: 5 });
  assert.deepEqual(compiled(text, { members: 5 }), drawn);
  const seen = new Set(
    drawn.map(({ fault, expect }) => {
      assert.equal(expect, 'writes');
      assert(fault.kind === 'partition');
      assert.equal(fault.sides.filter((side) => side === 0).length, 2);
      assert.equal(fault.sides.filter((side) => side === 1).length, 3);
      return fault.sides.join();
    }),
  );
  assert.ok(seen.size > 5, `ten ways to draw two of five, seen ${seen.size}`);
});

test('a member by itself is a partition, and bad weather ends with calm weather', () => {
  assert.deepEqual(compiled('- {at: 1s, fault: isolate, member: 1, for: 2s}')[0]?.fault, {
    kind: 'partition',
    sides: [0, 1, 0],
    healMs: 2_000,
  });
  const weather = compiled('- {at: 1s, fault: weather, loss: 5%, duplication: 0.1, delayMean: 20ms, for: 2s}');
  assert.deepEqual(
    weather.map(({ atMs, fault }) => [atMs, fault.kind === 'weather' && fault.conditions.loss]),
    [
      [1_000, 0.05],
      [3_000, 0],
    ],
  );
});

test('every kind of the fault language can be said', () => {
  const faults = compiled(`
- {at: 0s, fault: crash, member: 1, for: 1s}
- {at: 0s, fault: crash, member: leader, for: 1s}
- {at: 0s, fault: crashAll, for: 1s}
- {at: 0s, fault: pause, member: any, for: 1s}
- {at: 0s, fault: pause, member: leader, for: 1s}
- {at: 0s, fault: partition, sides: 1|2, for: 1s}
- {at: 0s, fault: isolate, member: leader, for: 1s}
- {at: 0s, fault: deaf, member: 2, for: 1s}
- {at: 0s, fault: mute, member: 2, for: 1s}
- {at: 0s, fault: weather, for: 1s}
- {at: 0s, fault: wipe, member: 0, for: 1s}
- {at: 0s, fault: rot, member: 0, bytes: 3, for: 1s}
- {at: 0s, fault: diskError, code: EIO, member: 0, for: 1s}
- {at: 0s, fault: ambush, within: 1s, down: 1s, for: 5s}
- {at: 0s, fault: figureEight}
- {at: 0s, fault: transfer, member: 1}
- {at: 0s, fault: addLearner, member: 5}
- {at: 0s, fault: promote}
- {at: 0s, fault: remove, member: 5}
- {at: 0s, fault: crashQuorum, for: 1s}
- {at: 0s, fault: crashLoop, member: 1, times: 3, up: 1s, for: 1s}
- {at: 0s, fault: crashInDisk, member: 1, operation: rename, after: 3, for: 1s}
- {at: 0s, fault: stop, member: 1, for: 1s}
- {at: 0s, fault: stop, member: leader, for: 1s}
- {at: 0s, fault: oneWay, from: 0, to: 1, for: 1s}
- {at: 0s, fault: clog, from: 0, to: 1, for: 1s}
- {at: 0s, fault: bridge, for: 1s}
- {at: 0s, fault: ring, for: 1s}
- {at: 0s, fault: flapping, member: any, on: 300ms, off: 200ms, for: 3s}
- {at: 0s, fault: slowLinks, member: 2, by: 100ms, for: 3s}
- {at: 0s, fault: lateReplay, share: 5%, late: 2s, for: 3s}
- {at: 0s, fault: dropType, sort: heartbeats, for: 3s}
- {at: 0s, fault: clientCut, lost: answers, member: 0, for: 3s}
- {at: 0s, fault: fullDisk, member: 0, for: 3s}
- {at: 0s, fault: slowDisk, by: 50ms, member: 0, for: 3s}
- {at: 0s, fault: clockRate, percent: 150, member: 0, for: 3s}
- {at: 0s, fault: clockFreeze, member: 0, for: 3s}
- {at: 0s, fault: wallJump, by: 365d, back: true, member: 0}
- {at: 0s, fault: wallStrobe, by: 1m, strobe: 100ms, member: 0, for: 3s}
- {at: 0s, fault: defragment, member: 0}
- {at: 0s, fault: hash, member: 0}
- {at: 0s, fault: saveSnapshot, member: 0}
`);
  assert.deepEqual(new Set(faults.map(({ fault }) => fault.kind)), new Set(faultKinds));
});

test('every scenario that comes along can be read, and its name is that of its file', () => {
  const folder = new URL('../../../chaos/scenarios/', import.meta.url);
  const files = readdirSync(folder);
  assert.ok(files.length >= 14);
  for (const file of files) {
    const scenario = parseScenario(readFileSync(new URL(file, folder), 'utf8'), file);
    assert.equal(`${scenario.name}.yaml`, file);
    assert.ok(compileScenario(scenario, seededRandom('1')).length > 0 || scenario.name === 'calm');
  }
});

test('the example in the documentation is a scenario', () => {
  const documentation = readFileSync(new URL('../../../docs/chaos-scenarios.md', import.meta.url), 'utf8');
  const examples = [...documentation.matchAll(/```yaml\n(.*?)```/gs)].map((match) => match[1] ?? '');
  assert.ok(examples.length > 0);
  for (const example of examples) parseScenario(example, 'docs/chaos-scenarios.md');
});

const faultsOf = (line: string) => `${head}faults:\n  - ${line}\n`;

/** A file, and the whole of what is said about it. */
const wrong: readonly (readonly [string, string])[] = [
  ['', '1:1: the file is empty; want a scenario'],
  ['# nothing\n', '1:1: the file is empty; want a scenario'],
  ['- a\n', '1:1: the scenario is a list; want a mapping of keys to values'],
  ['just text\n', '1:1: the scenario is "just text"; want a mapping of keys to values'],
  ['name: x\n\tdescription: y\n', '2:1: not YAML: tab characters must not be used in indentation'],
  ['name: [a\nb: 2\n', '2:1: not YAML: deficient indentation'],
  [`${head}---\nname: two\n`, '4:1: a second document begins; want one scenario in a file'],
  ['name: &a x\n', '1:7: an anchor; want a plain value'],
  ['name: *a\n', '1:7: an alias; want the value itself'],
  ['name: !!str x\n', '1:7: a tag; want a plain value'],
  ['name: x\nname: y\n', '2:1: name is there twice, first in line 1; want it once'],
  ['? [a]\n: 1\n', '1:3: a key that is a collection; want a word'],
  ['description: x\n', '1:1: the scenario has no name; want a name such as partition-leader'],
  ['name: x\n', '1:1: the scenario has no description; want a sentence or two'],
  ['name:\ndescription: y\n', '1:1: name is empty; want a name'],
  ['name: Über\ndescription: y\n', '1:7: name is "Über"; want lower-case letters, digits and dashes, 63 at the most'],
  [`${head}version: 2\n`, '3:10: version is "2"; want 1 (a newer version of this program wrote it, and may read it)'],
  [
    `${head}fault: []\n`,
    '3:1: the scenario has no key "fault"; want version, name, description, cluster, workload, faults',
  ],
  [`${head}cluster: 3\n`, '3:10: cluster is "3"; want a mapping of keys to values'],
  [`${head}cluster:\n  members: 9\n`, '4:12: members is "9"; want a whole number from 1 to 7'],
  [`${head}cluster:\n  members: three\n`, '4:12: members is "three"; want a whole number from 1 to 7'],
  [`${head}cluster: {members: 3, tls: maybe}\n`, '3:28: tls is "maybe"; want true or false'],
  [`${head}cluster: {member: 3}\n`, '3:11: cluster has no key "member"; want members, tls, flags'],
  [
    `${head}cluster: {flags: [snapshot]}\n`,
    '3:19: "snapshot" is no flag; want one of etcd\'s flags with its value, such as --snapshot-count=100',
  ],
  [`${head}cluster: {flags: --x}\n`, '3:18: flags is "--x"; want a list'],
  [`${head}workload:\n  seconds: 0\n`, '4:12: seconds is "0"; want a whole number from 1 to 3600'],
  [`${head}workload:\n  seconds: 5s\n`, '4:12: seconds is "5s"; want a whole number from 1 to 3600'],
  [
    `${head}workload:\n  think: 0s\n`,
    '4:10: think is "0s"; want a duration such as 3s, 500ms or 1m30s, of 1 ms or more',
  ],
  [`${head}workload: {mix: {put: 0}}\n`, '3:17: mix lets clients do nothing; want at least one weight above 0'],
  [
    `${head}workload: {mix: {write: 1}}\n`,
    '3:18: mix has no key "write"; want put, get, cas, delete, txn, list, compact',
  ],
  [`${head}faults: crash\n`, '3:9: faults is "crash"; want a list'],
  [faultsOf('crash'), '4:5: a fault is "crash"; want a mapping of keys to values'],
  [faultsOf('{fault: crashAll, for: 1s}'), '4:5: a fault has no at; want when it strikes, such as 5s'],
  [faultsOf('{at: 5, fault: crashAll, for: 1s}'), '4:10: at is "5"; want a duration such as 3s, 500ms or 1m30s'],
  [
    faultsOf('{at: 20s, fault: crashAll, for: 1s}'),
    '4:10: at is "20s"; want a time before the workload ends after 20s',
  ],
  [faultsOf('{at: 5s, fault: crashAll}'), '4:5: a fault has no for; want a duration such as 3s'],
  [
    faultsOf('{at: 5s, fault: crashAll, for: 1ms}'),
    '4:36: for is "1ms"; want a duration such as 3s, 500ms or 1m30s, of 10 ms or more',
  ],
  [
    faultsOf('{at: 5s, fault: crashAll, for: 1s, member: 1}'),
    '4:40: a fault has no key "member"; want at, every, until, expect, fault, for',
  ],
  [
    faultsOf('{at: 5s, until: 6s, fault: crashAll, for: 1s}'),
    '4:5: a fault has no every; want how long after a strike the next one is due, as there is an until',
  ],
  [faultsOf('{at: 5s, every: 1s, until: 5s, fault: crashAll, for: 1s}'), '4:32: until is "5s"; want a time after at'],
  [
    faultsOf('{at: 5s, fault: crash, member: 3, for: 1s}'),
    '4:36: member is "3"; want a member from 0 to 2, or any, leader',
  ],
  [
    faultsOf('{at: 5s, fault: deaf, member: leader, for: 1s}'),
    '4:35: member is "leader"; want a member from 0 to 2, or any',
  ],
  [
    faultsOf('{at: 5s, fault: deaf, member: each, for: 1s}'),
    '4:35: member is "each"; want a member from 0 to 2, or any (each needs every)',
  ],
  [
    faultsOf('{at: 5s, fault: partition, sides: 1|1, for: 1s}'),
    '4:39: sides have 2 members together; the cluster has 3',
  ],
  [
    faultsOf('{at: 5s, fault: partition, sides: [[0], [1]], for: 1s}'),
    '4:39: member 2 is on no side; want every member on one',
  ],
  [
    faultsOf('{at: 5s, fault: partition, sides: [[0, 1], [1, 2]], for: 1s}'),
    '4:49: member 1 is on two sides; want it on one',
  ],
  [
    faultsOf('{at: 5s, fault: weather, loss: 120%, for: 1s}'),
    '4:36: loss is "120%"; want a share such as 2% or 0.02, from 0 to 1',
  ],
  [
    faultsOf('{at: 5s, fault: diskError, code: EPERM, member: 0, for: 1s}'),
    '4:38: code is "EPERM"; want one of EIO, ENOSPC',
  ],
  [
    faultsOf('{at: 5s, fault: crashAll, for: 1s, expect: silence}'),
    '4:48: expect is "silence"; want one of writes, noWrites',
  ],
  [
    `${head}workload: {seconds: 3600}\nfaults:\n  - {at: 0s, every: 50ms, fault: crashAll, for: 1s}\n`,
    '1:1: the faults strike 72000 times; want 10000 at the most',
  ],
];

for (const [text, message] of wrong) {
  test(`refused: ${message}`, () => {
    assert.throws(
      () => parseScenario(text, 'mine.yaml'),
      (error: unknown) => {
        assert(error instanceof BadScenario);
        assert.equal(error.message, `mine.yaml:${message}`);
        return true;
      },
    );
  });
}

test('a word that nobody knows is answered with all there are', () => {
  assert.throws(
    () => parseScenario(faultsOf('{at: 5s, fault: crush, for: 1s}'), 'mine.yaml'),
    /^BadScenario: mine\.yaml:4:21: fault is "crush"; want one of crash, crashAll, crashQuorum, .* promote, remove$/,
  );
});

test('a file of any content is either read or refused with a place', () => {
  const whole = `${head}cluster: {members: 5, flags: [--a=b]}\nworkload:\n  mix: {put: 1}\nfaults:\n  - at: 1s\n    fault: partition\n    sides: [[0, 1], [2, 3, 4]]\n    for: 1s\n`;
  const random = seededRandom('files');
  for (let length = 0; length <= whole.length; length++) {
    const cut = whole.slice(0, length);
    const position = random.integer(0, whole.length - 1);
    const changed =
      whole.slice(0, position) + '\n\t:-[]{}*&!|>"\'%#x9 '[random.integer(0, 19)] + whole.slice(position + 1);
    for (const text of [cut, changed]) {
      try {
        parseScenario(text, 'mine.yaml');
      } catch (error) {
        assert(error instanceof BadScenario, `${JSON.stringify(text)}: ${String(error)}`);
        assert.ok(error.place.line >= 1 && error.place.column >= 1);
      }
    }
  }
});
