import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FlagTable, parseFlags, UsageError } from '../../src/cli/flags.ts';

const table = {
  name: { type: 'string', required: true, help: '' },
  count: { type: 'number', default: 3, min: 1, max: 7, help: '' },
  fresh: { type: 'boolean', help: '' },
  peers: { type: 'list', help: '' },
  wait: { type: 'duration', default: 5_000, help: '' },
} as const satisfies FlagTable;

const parse = (...args: string[]) => parseFlags(table, { command: 'x', args });

test('values come as --flag value and --flag=value, booleans alone, lists repeated', () => {
  const { values, given } = parse(
    '--name',
    'a',
    '--count=5',
    '--fresh',
    '--peers=b,c',
    '--peers',
    'd',
    '--wait',
    '1m30s',
  );
  assert.deepEqual(values, { name: 'a', count: 5, fresh: true, peers: ['b', 'c', 'd'], wait: 90_000 });
  assert.equal(given.has('count'), true);
});

test('defaults fill in what is not given, and are not counted as given', () => {
  const { values, given } = parse('--name=a');
  assert.deepEqual(values, { name: 'a', count: 3, fresh: false, peers: [], wait: 5_000 });
  assert.deepEqual([...given], ['name']);
});

test('an argument wins over the environment, the environment over the default', () => {
  const environment = (flag: string) =>
    flag === 'count' || flag === 'name' ? { count: '7', name: 'env' }[flag] : undefined;
  assert.equal(parseFlags(table, { command: 'x', args: ['--name=arg'], environment }).values.name, 'arg');
  assert.equal(parseFlags(table, { command: 'x', args: ['--name=arg'], environment }).values.count, 7);
});

test('durations are written as Go writes them, down to microseconds by either letter', () => {
  const wait = (text: string) => parse('--name=a', `--wait=${text}`).values.wait;
  assert.deepEqual(
    ['1h', '1.5s', '250ms', '1\u00b5s', '1\u03bcs', '3us'].map(wait),
    [3_600_000, 1_500, 250, 0.001, 0.001, 0.003],
  );
});

const wrong: readonly (readonly [readonly string[], RegExp])[] = [
  [['--nmae', 'a'], /unknown flag: --nmae/],
  [['--name'], /flag needs an argument: --name/],
  [['--count=3'], /flag --name is required/],
  [['--name=a', '--count=9'], /invalid value "9" for flag --count: want a whole number from 1 to 7/],
  [['--name=a', '--count='], /invalid value ""/],
  [['--name=a', '--fresh=maybe'], /want true or false/],
  [['--name=a', '--wait=soon'], /want a duration/],
  [['--name=a', 'stray'], /unexpected argument "stray"/],
];
for (const [args, message] of wrong) {
  test(`${args.join(' ')} is refused in one line`, () => {
    assert.throws(
      () => parse(...args),
      (error: unknown) => error instanceof UsageError && message.test(error.message) && !error.message.includes('\n'),
    );
  });
}
