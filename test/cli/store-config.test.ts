/** The store's command line, environment and configuration file: what is taken, what wins, what is refused and how. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseStoreFlags } from '../../src/cli/store-arguments.ts';
import { readStoreConfig } from '../../src/cli/store-config.ts';
import { DiskError } from '../../src/env/disk.ts';
import { realDisk } from '../../src/env/real.ts';

/** A disk of these files and nothing else. */
const diskOf = (files: Readonly<Record<string, string>> = {}) => ({
  ...realDisk,
  readFile: async (path: string) => {
    const text = files[path];
    if (text === undefined) throw new DiskError('ENOENT', 'read', path);
    return new TextEncoder().encode(text);
  },
});

const parse = (args: readonly string[], environment: Readonly<Record<string, string>> = {}, file?: string) =>
  parseStoreFlags(diskOf(file === undefined ? {} : { 'store.yml': file }), args, environment);
const config = async (args: readonly string[], environment: Readonly<Record<string, string>> = {}, file?: string) =>
  readStoreConfig(diskOf(), await parse(args, environment, file));
const messages = async (args: readonly string[], environment: Readonly<Record<string, string>> = {}) =>
  (await config(args, environment)).notices.map(({ level, message, fields }) => [level, message, fields]);

describe('the store’s flags', () => {
  test('say it first, then variables, then defaults', async () => {
    const { flags } = await parse(['--name=a', '--data-dir', '/x'], { ETCD_NAME: 'b', ETCD_MAX_TXN_OPS: '7' });
    assert.equal(flags.name, 'a');
    assert.equal(flags['data-dir'], '/x');
    assert.equal(flags['max-txn-ops'], 7);
    assert.equal(flags['snapshot-count'], 10_000);
    const named = { ETCD_WITNESS: 'true', ETCD_INITIAL_CLUSTER_WITNESSES: 'c,d' };
    const asFile = 'witness: true\ninitial-cluster-witnesses: [c, d]';
    for (const witness of [await parse([], named), await parse(['--config-file=store.yml'], {}, asFile)]) {
      assert.equal(witness.flags.witness, true);
      assert.deepEqual(witness.flags['initial-cluster-witnesses'], ['c', 'd']);
    }
    // An empty variable says nothing.
    assert.equal((await parse([], { ETCD_MAX_TXN_OPS: '' })).flags['max-txn-ops'], 128);
  });

  test('of before 3.6 are what they became', async () => {
    const { flags } = await parse(
      ['--experimental-warning-apply-duration=2s', '--experimental-initial-corrupt-check'],
      { ETCD_EXPERIMENTAL_WATCH_PROGRESS_NOTIFY_INTERVAL: '1m' },
    );
    assert.equal(flags['warning-apply-duration'], 2_000);
    assert.equal(flags['initial-corrupt-check'], true);
    assert.equal(flags['watch-progress-notify-interval'], 60_000);
    await assert.rejects(parse(['--experimental-nonsense']), /unknown flag: --experimental-nonsense/);
  });

  test('that mean nothing here are told of once, in silence where nothing is lost', async () => {
    assert.deepEqual(await messages(['--backend-batch-limit=5', '--logger', 'zap', '--proxy=off', '--max-wals=3']), []);
    assert.deepEqual(await messages(['--memory-mlock', '--logger=capnslog']), [
      ['warn', 'flags without effect', { flags: ['--memory-mlock', '--logger'] }],
    ]);
    assert.deepEqual(await messages(['--memory-mlock=false']), []);
    await assert.rejects(
      config(['--discovery', 'https://discovery.example/1']),
      /--discovery: .*use --discovery-token/,
    );
  });

  test('that etcd means to give up are told of in its words', async () => {
    const told = async (...args: string[]) => (await messages(args)).map(([level, message]) => `${level}: ${message}`);
    assert.deepEqual(await told('--snapshot-count=100', '--max-snapshots=10', '--v2-deprecation', 'gone'), [
      'warn: --snapshot-count is deprecated in 3.6 and will be decommissioned in 3.7.',
      'warn: --max-snapshots is deprecated in 3.6 and will be decommissioned in 3.7.',
      'warn: --v2-deprecation is deprecated and scheduled for removal in v3.8. The default value is enforced, ignoring user input.',
    ]);
    assert.deepEqual(await told('--name=a'), []);
  });

  test('shadow a variable, or leave a misspelled one: both are told', async () => {
    assert.deepEqual(await messages(['--name=a'], { ETCD_NAME: 'b', ETCD_NAMES: 'c', PATH: '/bin' }), [
      ['warn', 'the flag wins over its environment variable', { 'environment-variable': 'ETCD_NAME' }],
      ['warn', 'unrecognized environment variable', { 'environment-variable': 'ETCD_NAMES' }],
    ]);
  });

  const unreadable: readonly (readonly [string[], RegExp])[] = [
    [['--nonsense'], /unknown flag: --nonsense/],
    [['--heartbeat-interval', 'soon'], /--heartbeat-interval/],
    [['--initial-cluster-state', 'old'], /want new or existing/],
    [['--log-level', 'loud'], /--log-level/],
    [['--metrics', 'some'], /basic or extensive/],
    [['--v2-deprecation', 'soon'], /want not-yet or write-only/],
    [['--feature-gates', 'Nonsense=true'], /unrecognized feature gate: Nonsense/],
    [['--feature-gates', 'CompactHashCheck=maybe'], /CompactHashCheck=true or CompactHashCheck=false/],
  ];
  for (const [args, pattern] of unreadable) {
    test(`cannot be read: ${args.join(' ')}`, () => assert.rejects(config(args), { code: 'USAGE', message: pattern }));
  }

  const contradictory: readonly (readonly [string[], RegExp])[] = [
    [
      ['--election-timeout=400'],
      /--election-timeout\[400ms\] should be at least as 5 times as --heartbeat-interval\[100ms\]/,
    ],
    [['--witness', '--enable-v2'], /--witness and --enable-v2 contradict each other: a witness keeps no data/],
    [['--election-timeout=60000'], /is too long, and should be set less than 50000ms/],
    [
      ['--listen-client-urls', 'http://127.0.0.1:1'],
      /--advertise-client-urls is required when --listen-client-urls is set/,
    ],
    [['--listen-peer-urls', 'http://example.org:1'], /expected IP in URL for binding \(http:\/\/example\.org:1\)/],
    [['--advertise-client-urls', 'http://:1'], /must be "host:port"/],
    [['--listen-metrics-urls', 'ftp://127.0.0.1:1'], /http\(s\):\/\/host:port or unix\(s\):\/\/path/],
    [['--listen-client-urls='], /names no URL/],
    [['--listen-metrics-urls', 'https://127.0.0.1:1'], /--cert-file and --key-file are needed, or --auto-tls/],
    [['--cert-file=a'], /go together/],
    [['--client-cert-auth'], /--client-cert-auth needs --trusted-ca-file/],
    [['--peer-cert-allowed-cn=a', '--peer-cert-allowed-hostname=b'], /mutually exclusive/],
    [['--client-cert-allowed-cn=a', '--client-cert-allowed-hostname=b'], /mutually exclusive/],
    [['--cipher-suites=A'], /unexpected TLS cipher suite "A"/],
    [['--tls-min-version=TLS1.1'], /unexpected TLS version "TLS1\.1" \(must be one of: TLS1\.2, TLS1\.3\)/],
    [
      ['--tls-min-version=TLS1.3', '--tls-max-version=TLS1.2'],
      /min version \(TLS1\.3\) is greater than max version \(TLS1\.2\)/,
    ],
    [['--tls-min-version=TLS1.3', '--cipher-suites=TLS_RSA_WITH_AES_128_GCM_SHA256'], /only TLS1\.3 is enabled/],
    [['--discovery-token=a'], /both --discovery-token and --discovery-endpoints must be set/],
    [['--discovery-srv=a', '--initial-cluster=default=http://localhost:2380'], /multiple discovery or bootstrap flags/],
    [['--auto-compaction-mode=x'], /unknown auto-compaction-mode "x"/],
    [['--auto-compaction-mode=revision', '--auto-compaction-retention=5m'], /a number of revisions/],
    [['--compact-hash-check-time=0'], /--compact-hash-check-time must be >0/],
    [
      ['--warning-unary-request-duration=1s', '--experimental-warning-unary-request-duration', '1s'],
      /give one of them/,
    ],
    [['surplus'], /"surplus" is not a valid flag/],
  ];
  for (const [args, pattern] of contradictory) {
    test(`contradict themselves: ${args.join(' ')}`, () =>
      assert.rejects(config(args), { code: 'BAD_FLAGS', message: pattern }));
  }

  test('turn features on by gate or by flag', async () => {
    const off = (await config([])).corruption;
    assert.deepEqual(off, { isCheckedAtStart: false, checkEveryMs: 0, compactionHashEveryMs: 0 });
    const on = (
      await config(['--feature-gates=CompactHashCheck=true,InitialCorruptCheck=true', '--corrupt-check-time=1h'])
    ).corruption;
    assert.deepEqual(on, { isCheckedAtStart: true, checkEveryMs: 3_600_000, compactionHashEveryMs: 60_000 });
    assert.equal(
      (await config(['--compact-hash-check-enabled', '--compact-hash-check-time=5s'])).corruption.compactionHashEveryMs,
      5_000,
    );
  });

  test('make certificates under the data directory with --auto-tls', async () => {
    const { clientTls, peerTls } = await config(['--auto-tls', '--peer-auto-tls', '--data-dir=/d']);
    assert.deepEqual(
      [clientTls?.isSelfMade, clientTls?.cert, clientTls?.key],
      [true, '/d/fixtures/client/cert.pem', '/d/fixtures/client/key.pem'],
    );
    assert.equal(peerTls?.cert, '/d/fixtures/peer/cert.pem');
    assert.equal(peerTls?.isAddressChecked, true);
    assert.equal(
      (await config(['--peer-auto-tls', '--peer-skip-client-san-verification'])).peerTls?.isAddressChecked,
      false,
    );
  });
});

describe('a configuration file', () => {
  test('wins over everything else, by etcd’s keys', async () => {
    const text = [
      'name: from-file',
      'heartbeat-interval: 200',
      'election-timeout: 2000',
      'grpc-keepalive-min-time: 7000000000',
      'log-outputs: [stderr, store.log]',
      'cors:',
      "proxy: 'off'",
      'cipher-suites: [',
      '  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,',
      ']',
      'client-transport-security:',
      '  auto-tls: true',
      'peer-transport-security:',
      '  auto-tls: true',
      '  allowed-cn: [a, b]',
      'socket-options:',
      '  reuse-port: true',
      'discovery-config:',
      '  token: t',
      '  client:',
      '    endpoints: [http://127.0.0.1:1]',
      '    dial-timeout: 3000000000',
    ].join('\n');
    const parsed = await parse(
      ['--config-file=store.yml', '--name=flag', '--snapshot-count=5'],
      { ETCD_NAME: 'variable' },
      text,
    );
    const { flags } = parsed;
    assert.equal(flags.name, 'from-file');
    assert.equal(flags['snapshot-count'], 10_000);
    assert.equal(flags['grpc-keepalive-min-time'], 7_000);
    assert.deepEqual(flags['log-outputs'], ['stderr', 'store.log']);
    assert.deepEqual(flags.cors, ['*']);
    assert.deepEqual([flags['auto-tls'], flags['peer-auto-tls'], flags['socket-reuse-port']], [true, true, true]);
    const read = await readStoreConfig(diskOf(), parsed);
    assert.deepEqual(read.discovery, { kind: 'store', token: 't', endpoints: ['http://127.0.0.1:1'] });
    assert.deepEqual(read.peerTls?.allowed.commonNames, ['a', 'b']);
    assert.match(
      read.notices[0]?.message ?? '',
      /^loaded server configuration, other configuration command line flags/,
    );
  });

  test('names the clients and the members that are let in, section by section', async () => {
    const file = 'client-transport-security:\n  allowed-cn: [a, b]\npeer-transport-security:\n  allowed-cn: [c]\n';
    const { flags } = await parse(['--config-file=store.yml'], {}, file);
    assert.deepEqual(flags['client-cert-allowed-cn'], ['a', 'b']);
    assert.deepEqual(flags['peer-cert-allowed-cn'], ['c']);
  });

  test('is named by a variable as well', async () => {
    assert.equal((await parse([], { ETCD_CONFIG_FILE: 'store.yml' }, 'name: a')).flags.name, 'a');
    assert.equal((await parse([], { ETCD_CONFIG_FILE: 'store.yml' }, '# nothing\n\n')).flags.name, 'default');
  });

  const bad: readonly (readonly [string, RegExp])[] = [
    ['name: a\nnames: b', /store\.yml: line 2: unknown key "names"/],
    ['name: a\nclient-transport-security:\n  # comment\n  cert-fil: b', /line 4: unknown key "cert-fil"/],
    ['client-transport-security: yes', /line 1: client-transport-security: want a section/],
    ['\nheartbeat-interval: soon', /line 2: invalid value "soon" for flag --heartbeat-interval/],
    ['name: [{}]', /line 1: name: \[\{\}\] is no value/],
    ['config-file: other.yml', /unknown key "config-file"/],
    ['- name', /want a mapping/],
    ['name: [', /not YAML/],
  ];
  for (const [text, pattern] of bad) {
    test(`is refused with its line: ${JSON.stringify(text)}`, () =>
      assert.rejects(parse(['--config-file=store.yml'], {}, text), { code: 'BAD_CONFIG', message: pattern }));
  }

  test('that is not there is named', () =>
    assert.rejects(parse(['--config-file=other.yml']), { code: 'BAD_CONFIG', message: /other\.yml: cannot be read/ }));
});
