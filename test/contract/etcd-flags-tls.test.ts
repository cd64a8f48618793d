/**
 * Flags about certificates, ports and the log on real processes: one member that has nearly all of them, looked at from
 * every side, and members that find each other by a token.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { connect as connectPlain } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { type Authority, makeAuthority, type Pair } from '../rpc/tls/certificates.ts';
import { freePorts } from '../support/free-ports.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const waitMs = 30_000;

interface Running {
  readonly output: () => string;
  /** Resolves once the output has this text, from a place on. */
  seen(text: string, from?: number): Promise<void>;
  end(signal: 'SIGTERM' | 'SIGINT'): Promise<number | null>;
}

const running = new Set<Running & { kill(): void }>();

function start(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Running {
  const command = ['--disable-warning=ExperimentalWarning', join(root, 'src/cli/entry.ts'), 'store', ...args];
  const child = spawn(join(root, 'node_modules/.bin/node'), command, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...environment },
  });
  let output = '';
  let wake = () => undefined as void;
  let isOver = false;
  const exited = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => {
      isOver = true;
      wake();
      resolve(code);
    });
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    wake();
  });
  const self = {
    output: () => output,
    seen: (text: string, from = 0) =>
      new Promise<void>((resolve, reject) => {
        const give = (why: string) => reject(new Error(`${why}, waiting for ${text}:\n${output}`));
        const timer = setTimeout(() => give('too late'), waitMs);
        const before = wake;
        wake = () => {
          before();
          if (!output.includes(text, from) && !isOver) return;
          clearTimeout(timer);
          wake = before;
          if (output.includes(text, from)) resolve();
          else give('it ended');
        };
        wake();
      }),
    end: async (signal: 'SIGTERM' | 'SIGINT') => {
      child.kill(signal);
      return exited;
    },
    kill: () => child.kill('SIGKILL'),
  };
  running.add(self);
  void exited.then(() => running.delete(self));
  return self;
}

function etcdctl(args: readonly string[]): Promise<{ readonly code: number; readonly text: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, ETCDCTL_API: '3' };
    execFile(
      '/usr/bin/etcdctl',
      ['--command-timeout=2s', '--dial-timeout=1s', ...args],
      { env },
      (error, stdout, stderr) => resolve({ code: error ? Number(error.code ?? -1) : 0, text: stdout + stderr }),
    );
  });
}

let directory: string;
let authority: Authority;
const path = (name: string) => join(directory, name);
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keelson-flags-tls-'));
  authority = await makeAuthority();
});
after(async () => {
  for (const each of running) each.kill();
  await rm(directory, { recursive: true, force: true });
});

async function writePair(name: string, pair: Pair): Promise<readonly [cert: string, key: string]> {
  await writeFile(path(`${name}.key`), pair.key);
  await writeFile(path(`${name}.crt`), pair.cert);
  return [path(`${name}.crt`), path(`${name}.key`)];
}

describe('one member with nearly all flags', { timeout: 120_000 }, () => {
  let member: Running;
  let ports: readonly number[];
  const at = (index: number) => `127.0.0.1:${ports[index]}`;
  const client = () => [`--cacert=${path('ca.crt')}`, `--cert=${path('client.crt')}`, `--key=${path('client.key')}`];

  before(async () => {
    ports = await freePorts(5);
    await writeFile(path('ca.crt'), authority.pem);
    await writeFile(path('client.crl'), await authority.revoke([]));
    const here = { addresses: ['127.0.0.1'], dnsNames: ['localhost'] };
    const server = await writePair('server', await authority.issue({ commonName: 'server', ...here }));
    const peer = await writePair('peer', await authority.issue({ commonName: 'member', ...here }));
    await writePair('client', await authority.issue({ commonName: 'client', serial: '0c11', ...here }));
    await writePair('stranger', await authority.issue({ commonName: 'stranger', ...here }));
    const urls = (...list: string[]) => list.join(',');
    await writeFile(
      path('store.yml'),
      [
        'name: m1',
        `data-dir: ${path('data')}`,
        `wal-dir: ${path('wal')}`,
        // Plain and secure on one port, and a socket file.
        `listen-client-urls: ${urls(`http://${at(0)}`, `https://${at(0)}`, `unix://${path('store.sock')}`)}`,
        `advertise-client-urls: https://${at(0)}`,
        `listen-client-http-urls: https://${at(1)}`,
        `listen-metrics-urls: ${urls(`https://${at(2)}`, `http://${at(3)}`)}`,
        `listen-peer-urls: https://${at(4)}`,
        `initial-advertise-peer-urls: https://${at(4)}`,
        `initial-cluster: m1=https://${at(4)}`,
        'client-transport-security:',
        `  cert-file: ${server[0]}`,
        `  key-file: ${server[1]}`,
        `  trusted-ca-file: ${path('ca.crt')}`,
        '  client-cert-auth: true',
        `  crl-file: ${path('client.crl')}`,
        'peer-transport-security:',
        `  cert-file: ${peer[0]}`,
        `  key-file: ${peer[1]}`,
        `  trusted-ca-file: ${path('ca.crt')}`,
        '  client-cert-auth: true',
        '  allowed-cn: [member]',
        `log-outputs: [stderr, ${path('store.log')}]`,
        'log-format: console',
        'enable-pprof: true',
        'warning-unary-request-duration: 1',
        'tls-min-version: TLS1.3',
      ].join('\n'),
    );
    member = start(['--config-file', path('store.yml'), '--name=ignored']);
    await member.seen('"traffic":"http"');
  });

  test('listens where it is told to, and says so in lines for people, in both outputs', async () => {
    const output = member.output();
    assert.match(output, /^\S+Z\tinfo\tkeelson\/store\tloaded server configuration/);
    assert.match(output, /\tready to serve client requests\n/);
    assert.match(output, /\tserving client traffic insecurely; this is strongly discouraged!\t\{.*"traffic":"grpc"/);
    assert.match(output, /\tserving client traffic securely\t\{"traffic":"http","address":"127\.0\.0\.1:\d+"\}/);
    assert.doesNotMatch(output, /\t(warn|error)\t/);
    assert.ok((await readFile(path('store.log'), 'utf8')).includes('ready to serve client requests'));
    // The log lies apart from the data.
    assert.ok((await readdir(path('wal'))).includes('wal'));
    assert.ok(!(await readdir(path('data'))).includes('raft'));
    assert.equal((await stat(path('data'))).mode & 0o777, 0o700);
  });

  test('answers etcdctl in plain text, with TLS, and over its socket file', async () => {
    assert.deepEqual(await etcdctl([`--endpoints=http://${at(0)}`, 'put', 'a', '1']), { code: 0, text: 'OK\n' });
    assert.equal((await etcdctl([...client(), `--endpoints=https://${at(0)}`, 'get', 'a'])).text, 'a\n1\n');
    assert.equal((await etcdctl([`--endpoints=unix://${path('store.sock')}`, 'get', 'a'])).text, 'a\n1\n');
    // Slower than a nanosecond, so it is told.
    assert.match(
      member.output(),
      /\twarn\tkeelson\/store\trequest stats\t\{"time spent":"[\d.]+ms","response type":"\/etcdserverpb\.KV\//,
    );
  });

  test('serves HTTP on URLs of its own only, and metrics securely and in plain text', async () => {
    const pair = {
      ca: authority.pem,
      cert: await readFile(path('client.crt')),
      key: await readFile(path('client.key')),
    };
    const get = (port: number | undefined, pathname: string) =>
      new Promise<string>((resolve, reject) => {
        const agent = new Agent();
        const asked = request({ ...pair, agent, host: '127.0.0.1', port, path: pathname }, (answer) => {
          let body = '';
          answer.on('data', (chunk: Buffer) => {
            body += chunk.toString();
          });
          answer.once('end', () => resolve(`${answer.statusCode} ${body}`));
        });
        asked.once('error', reject);
        asked.end();
      });
    assert.match(await get(ports[1], '/version'), /^200 .*etcdserver/);
    assert.match(await get(ports[1], '/debug/pprof/cmdline'), /^200 .*--config-file/);
    assert.match(await get(ports[1], '/debug/pprof/profile?seconds=1'), /^200 \{"nodes":/);
    assert.match(await get(ports[1], '/debug/pprof/profile?seconds=x'), /^400 /);
    assert.match(await get(ports[2], '/metrics'), /^200 [^]*etcd_server_has_leader 1/);
    assert.match(await (await fetch(`http://${at(3)}/health`)).text(), /"health":"true"/);
    await assert.rejects(get(ports[0], '/version'));
  });

  test('tells whom it rejects at either endpoint', async () => {
    const from = member.output().length;
    const gone = (socket: { on(event: string, listener: (value: unknown) => void): unknown }) =>
      new Promise<void>((resolve) => {
        socket.on('error', () => undefined);
        socket.on('close', () => resolve());
      });
    const [cert, key] = [await readFile(path('stranger.crt')), await readFile(path('stranger.key'))];
    const peer = { host: '127.0.0.1', port: ports[4], ca: authority.pem };
    await gone(connect({ ...peer, cert, key }));
    await member.seen('rejected connection on peer endpoint', from);
    assert.match(member.output().slice(from), /"error":"client certificate authentication failed"/);
    const plain = connectPlain({ host: '127.0.0.1', port: ports[4] as number });
    plain.write('GET / HTTP/1.1\r\n\r\n');
    await gone(plain);
    await member.seen('first record does not look like a TLS handshake', from);
    await gone(connect({ host: '127.0.0.1', port: ports[0], ca: authority.pem, maxVersion: 'TLSv1.2' }));
    await member.seen('rejected connection on client endpoint', from);
    await gone(connect({ host: '127.0.0.1', port: ports[3], ca: authority.pem }));
    await member.seen('a TLS handshake arrived at an endpoint that is not secure', from);
  });

  test('follows its certificates and revocation list on disk', async () => {
    const shown = () =>
      new Promise<string>((resolve, reject) => {
        const socket = connect({ host: '127.0.0.1', port: ports[0], ca: authority.pem });
        socket.once('error', reject);
        socket.once('secureConnect', () => {
          resolve(String(socket.getPeerCertificate().subject['CN']));
          socket.destroy();
        });
      });
    assert.equal(await shown(), 'server');
    await writePair('server', await authority.issue({ commonName: 'renewed', addresses: ['127.0.0.1'] }));
    assert.equal(await shown(), 'renewed');
    await writeFile(path('client.crl'), await authority.revoke(['0c11']));
    const from = member.output().length;
    const refused = await etcdctl([...client(), `--endpoints=https://${at(0)}`, 'get', 'a']);
    assert.notEqual(refused.code, 0);
    await member.seen('transport: certificate serial c11 revoked', from);
    await writeFile(path('client.crl'), await authority.revoke([]));
    assert.equal((await etcdctl([...client(), `--endpoints=https://${at(0)}`, 'get', 'a'])).code, 0);
  });

  test('ends with 0 when asked to', async () => {
    assert.equal(await member.end('SIGINT'), 0);
    assert.match(member.output(), /\tstopped\n$/);
  });
});

test('members find each other by a token in another store, and trust certificates they made themselves', {
  timeout: 120_000,
}, async () => {
  const ports = await freePorts(8);
  const url = (scheme: string, index: number) => `${scheme}://127.0.0.1:${ports[index]}`;
  const flagsOf = (name: string, scheme: string, index: number) => [
    `--name=${name}`,
    `--data-dir=${path(name)}`,
    `--listen-client-urls=${url(scheme, index)}`,
    `--advertise-client-urls=${url(scheme, index)}`,
    `--listen-peer-urls=${url(scheme, index + 1)}`,
    `--initial-advertise-peer-urls=${url(scheme, index + 1)}`,
  ];
  const service = start([...flagsOf('service', 'http', 0), `--initial-cluster=service=${url('http', 1)}`]);
  await service.seen('ready to serve client requests');
  await etcdctl([`--endpoints=${url('http', 0)}`, 'put', '/_etcd/registry/t1/_config/size', '2']);
  const discovery = [
    '--discovery-token=t1',
    `--discovery-endpoints=${url('http', 0)}`,
    '--auto-tls',
    '--peer-auto-tls',
  ];
  const members = [
    start([...flagsOf('d1', 'https', 2), ...discovery], { ETCD_LOG_LEVEL: 'debug' }),
    start([...flagsOf('d2', 'https', 4), ...discovery]),
  ];
  await etcdctl([`--endpoints=${url('http', 0)}`, 'put', '/_etcd/registry/t2/_config/size', '2']);
  const alone = start([...flagsOf('d4', 'https', 6), ...discovery.map((flag) => flag.replace('=t1', '=t2'))]);
  await alone.seen('waiting for peers from discovery service');
  assert.equal(await alone.end('SIGTERM'), 0);
  for (const member of members) await member.seen('ready to serve client requests');
  for (const member of members) assert.match(member.output(), /established TCP streaming connection with remote peer/);
  const listed = await etcdctl([
    `--cacert=${path('d1/fixtures/client/cert.pem')}`,
    `--endpoints=${url('https', 2)}`,
    'member',
    'list',
  ]);
  assert.deepEqual(
    listed.text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split(', ')[2] ?? '')
      .sort((a, b) => a.localeCompare(b)),
    ['d1', 'd2'],
  );
  const third = start([...flagsOf('d3', 'https', 6), ...discovery]);
  await third.seen('cluster t1 is full');
  for (const member of [...members, service]) assert.equal(await member.end('SIGTERM'), 0);
  // The service is gone, and nobody asks for it a second time.
  const again = start([...flagsOf('d1', 'https', 2), ...discovery]);
  await again.seen('serving peer traffic');
  await again.end('SIGTERM');
});
